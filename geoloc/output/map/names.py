"""Names on maps: countries, regions and towns, the most important ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries, outline
from geocells.places import towns
from geoloc.output.map.outlines import mercator
from geoloc.types import Float64Array

REGION_ZOOM = 4
"""From this zoom regions have borders and names."""
PEOPLE = {3: 2_000_000, 4: 1_000_000, 5: 300_000, 6: 100_000, 7: 30_000, 8: 8_000, 9: 2_000, 10: 0}
"""Smallest town with a name, by zoom."""

LARGEST_TOWNS = 500
"""Towns that every page names, wherever it looks."""
TOWNS_IN_BOX = 60
"""The largest towns of each detailed part of a page."""

Name = list[str | float]
"""Text, x and y in map units, kind ("country", "region" or "town"), and the first zoom."""


@dataclass(frozen=True, eq=False)
class Names:
    """Names with a place on the map, the most important ones first."""

    text: list[str]
    xy: Float64Array
    """(N, 2) in map units; see `mercator`."""


def names_at(zoom: int) -> list[tuple[str, Names, int]]:
    """Return kind, names and how many of them are on a map of a zoom."""
    found = [("country", unit_names(0), 10**9)]
    if zoom >= REGION_ZOOM:
        found.append(("region", unit_names(1), 10**9))
    if zoom in PEOPLE:
        at_most = int(np.searchsorted(-_people(), -PEOPLE[zoom], side="right"))
        found.append(("town", town_names(), at_most))
    return found


def names_in(boxes: Sequence[Sequence[float]]) -> list[Name]:
    """Return the names of a page, the most important ones of each kind first.

    These are all countries, the largest towns, and regions and further towns of the boxes.

    Args:
        boxes: detailed parts of the page, as left, top, right and bottom in map units.
    """
    countries, regions, all_towns = unit_names(0), unit_names(1), town_names()
    region_rows: set[int] = set()
    town_rows = set(range(min(LARGEST_TOWNS, len(all_towns.text))))
    for box in boxes:
        region_rows.update(_inside(regions, box))
        town_rows.update(_inside(all_towns, box)[:TOWNS_IN_BOX])
    return [
        *_listed(countries, range(len(countries.text)), "country"),
        *_listed(regions, sorted(region_rows), "region"),
        *_listed(all_towns, sorted(town_rows), "town"),
    ]


def _inside(names: Names, box: Sequence[float]) -> list[int]:
    left, top, right, bottom = box
    x, y = names.xy.T
    rows: list[int] = np.flatnonzero((x >= left) & (x < right) & (y >= top) & (y < bottom)).tolist()
    return rows


def _listed(names: Names, rows: Sequence[int], kind: str) -> list[Name]:
    at = names.xy.round(3).tolist()
    return [[names.text[row], *at[row], kind, _first_zoom(kind, row)] for row in rows]


def _first_zoom(kind: str, row: int) -> int:
    if kind == "town":
        return next(zoom for zoom, least in PEOPLE.items() if _people()[row] >= least)
    return 0 if kind == "country" else REGION_ZOOM + 1


@cache
def unit_names(depth: int) -> Names:
    """Return the names of countries (0) or regions (1), the largest first."""
    unit = embedded_boundaries().levels[depth]
    shapes = outline() if depth == 0 else unit.polygons
    largest = [max(shapely.get_parts(shape), key=shapely.area) for shape in shapes]
    centre = shapely.centroid(largest)
    inside = np.where(shapely.contains(largest, centre), centre, shapely.point_on_surface(largest))
    order = np.argsort(-shapely.area(shapes), kind="stable")
    latlon = shapely.get_coordinates(inside)[order, ::-1]
    return Names([str(unit.names[i]) for i in order], mercator(latlon))


@cache
def town_names() -> Names:
    """Return the names of towns, the largest first."""
    table, order = towns(), _order()
    return Names(table.name.take(order).to_pylist(), mercator(table.points.latlon[order]))


@cache
def _order() -> np.ndarray:
    order: np.ndarray = np.argsort(-towns().population, kind="stable")
    return order


@cache
def _people() -> np.ndarray:
    people: np.ndarray = np.asarray(towns().population)[_order()]
    return people
