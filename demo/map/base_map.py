"""The base map: vector tiles of the embedded borders and names, in more detail at closer zoom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import shapely

from demo.map.vector_tile import EXTENT, Layer, encode
from geocells.borders.hierarchy import embedded_boundaries, outline
from geoloc.output.map.names import REGION_ZOOM, names_at
from geoloc.output.map.outlines import WORLD_PX, project
from geoloc.types import Float64Array, GeometryArray

BORDERS_MAX_ZOOM = 7
"""Borders are not more precise than tiles of this zoom; MapLibre enlarges these."""
NAMES_MAX_ZOOM = 10
COARSE_ZOOM = 3
"""Up to this zoom the outlines of countries are enough, which are accurate to 0.1 degrees."""
BUFFER = 64
"""Shapes reach so many units beyond their tile, so that no edge of a tile is drawn."""
PIXEL = EXTENT / 512 * 0.75
"""Shapes are simplified to this, in units of the tile: a little less than a pixel of the screen."""
DRAWN = (int(shapely.GeometryType.LINESTRING), int(shapely.GeometryType.POLYGON))
KEPT_TILES = 600


@dataclass(frozen=True, eq=False)
class _Units:
    """Administrative units in map units; see `mercator`."""

    areas: GeometryArray
    edges: GeometryArray
    tree: shapely.STRtree


@lru_cache(KEPT_TILES)
def borders(zoom: int, column: int, row: int) -> bytes:
    """Return the tile of land and borders: the layers land, countries and regions."""
    shift, scale = _frame(zoom, column, row)
    box = (*(shift - BUFFER / scale), *(shift + (EXTENT + BUFFER) / scale))
    countries = _countries(coarse=zoom <= COARSE_ZOOM)
    drawn = {"land": (countries, countries.areas), "countries": (countries, countries.edges)}
    if zoom >= REGION_ZOOM:
        drawn["regions"] = (_regions(), _regions().edges)
    layers = []
    for name, (units, shapes) in drawn.items():
        near = np.sort(units.tree.query(shapely.box(*box)))
        inside = shapely.simplify(shapely.clip_by_rect(shapes[near], *box), PIXEL / scale)
        parts = shapely.get_parts(shapely.get_parts(inside))
        parts = parts[shapely.length(parts) > PIXEL / scale]
        parts = parts[np.isin(shapely.get_type_id(parts), DRAWN)]
        layers.append(Layer(name, shapely.transform(parts, lambda xy: (xy - shift) * scale)))
    return encode(layers)


@lru_cache(KEPT_TILES)
def names(zoom: int, column: int, row: int) -> bytes:
    """Return the tile of names: the layers country, region and town, with `name` and `rank`."""
    shift, scale = _frame(zoom, column, row)
    layers = []
    for kind, found, at_most in names_at(zoom):
        xy = (found.xy[:at_most] - shift) * scale
        rows = np.flatnonzero(((xy >= 0.0) & (xy < EXTENT)).all(axis=1))
        properties: list[dict[str, str | int]] = [
            {"name": str(found.text[i]), "rank": i} for i in rows.tolist()
        ]
        layers.append(Layer(kind, shapely.points(xy[rows]), properties))
    return encode(layers)


def exists(zoom: int, column: int, row: int, max_zoom: int) -> bool:
    """Return whether there is such a tile."""
    return 0 <= zoom <= max_zoom and 0 <= column < 2**zoom and 0 <= row < 2**zoom


def _frame(zoom: int, column: int, row: int) -> tuple[Float64Array, float]:
    """Return the upper left corner of a tile in map units, and tile units per map unit."""
    side = WORLD_PX / 2**zoom
    return np.array([column, row]) * side, EXTENT / side


def _indexed(polygons: GeometryArray) -> _Units:
    areas = project(polygons)
    return _Units(areas, shapely.boundary(areas), shapely.STRtree(areas))


@cache
def _countries(coarse: bool) -> _Units:
    return _indexed(outline() if coarse else embedded_boundaries().country.polygons)


@cache
def _regions() -> _Units:
    return _indexed(embedded_boundaries().region.polygons)
