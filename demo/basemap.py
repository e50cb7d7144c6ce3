"""An offline world map: a MapLibre style drawn from the embedded Natural Earth borders alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import shapely

from geocells.boundaries import load_boundaries
from geocells.polygons import dissolve

Window = tuple[float, float, float, float]
"""South, west, north, east in degrees; beyond -180..180 where it crosses the antimeridian."""

SEA, LAND, BORDER = "#d3e4ec", "#f6f3ea", "#b9b4a8"
WORLD_TOLERANCE_DEG = 0.15
WIDEST_DETAIL_DEG = 30.0
DETAIL_STEPS = 800
"""A detail is as fine as this fraction of the window, about one pixel."""


def style(window: Window) -> dict[str, Any]:
    """A style that needs no network: the world coarsely, and finely where the map is opened.

    Args:
        window: what the map shows first.
    """
    south, west, north, east = window
    sheets = [("world", LAND, _world())]
    if max(north - south, east - west) < WIDEST_DETAIL_DEG and -180.0 <= west < east <= 180.0:
        sheets.append(("sea", SEA, _geojson([shapely.box(west, south, east, north)])))
        sheets.append(("detail", LAND, _detail(window)))
    layers = [{"id": "background", "type": "background", "paint": {"background-color": SEA}}]
    for name, colour, _ in sheets:
        line = BORDER if colour == LAND else colour
        layers.append(_layer(name, "fill", {"fill-color": colour}))
        layers.append(_layer(name, "line", {"line-color": line, "line-width": 0.8}))
    sources = {name: {"type": "geojson", "data": data} for name, _, data in sheets}
    return {"version": 8, "sources": sources, "layers": layers}


def _layer(source: str, kind: str, paint: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{source}-{kind}", "source": source, "type": kind, "paint": paint}


@cache
def _world() -> dict[str, Any]:
    """Countries; their districts are simplified together, so that neighbours still touch."""
    borders = load_boundaries()
    country = borders.ancestors(np.arange(len(borders.finest), dtype=np.int32))[:, 0]
    coarse = shapely.coverage_simplify(borders.finest.polygons, WORLD_TOLERANCE_DEG)
    return _geojson(dissolve(coarse, country, len(borders.country)))


def _detail(window: Window) -> dict[str, Any]:
    """The parts of districts inside the window."""
    south, west, north, east = window
    units = load_boundaries().finest.polygons
    near = units[shapely.intersects(units, shapely.box(west, south, east, north))]
    clipped = shapely.clip_by_rect(near, west, south, east, north)
    return _geojson(shapely.simplify(clipped, max(north - south, east - west) / DETAIL_STEPS))


def _geojson(shapes: Iterable[shapely.Geometry]) -> dict[str, Any]:
    rounded = shapely.set_precision(np.asarray(shapes), 1e-4, mode="pointwise")
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shape)}
        for shape in shapely.to_geojson(rounded)
    ]
    return {"type": "FeatureCollection", "features": features}
