"""Maps as SVG: Web Mercator, borders of countries and districts, path data.

MapLibre and Matplotlib project by themselves: their maps take the same outlines in degrees, from
`geocells.borders.hierarchy`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries, outline
from geoloc.types import Float64Array, GeometryArray

WORLD_PX = 1000.0
"""Side of the square Web Mercator world in map units."""

NORTHERNMOST_DEG = 85.05
_STEPS_PER_UNIT = 2000
"""Coordinates are written to 1/2000 of a map unit, 20 m at the equator."""

TILE = WORLD_PX / 64
"""Side of a tile of the map, in map units."""

MAX_TILES = 60
"""Tiles with detailed borders, those with most photos: about 2 MB at most."""

Projection = Callable[[GeometryArray], GeometryArray]
"""Polygons in lon/lat degrees -> polygons in the units of a drawing, x right and y down."""


@cache
def world(tolerance: float = 0.0) -> str:
    """Return path data of all countries in Web Mercator; see `world_path`."""
    return world_path(project, tolerance, round(3 / tolerance) if tolerance else _STEPS_PER_UNIT)


def world_path(projection: Projection, tolerance: float, steps: int) -> str:
    """Return path data of the embedded country outlines, which are accurate to 0.1 degrees.

    Args:
        projection: the map projection.
        tolerance: of the simplification, in units of the drawing; 0 leaves outlines as they are.
            Parts whose area is below its square are left out.
        steps: coordinates are written to 1/steps of a unit.
    """
    shapes = projection(outline())
    if not tolerance:
        return svg_path(shapely.get_parts(shapes), steps)
    parts = shapely.get_parts(shapely.simplify(shapes, tolerance))
    return svg_path(parts[shapely.area(parts) > tolerance**2], steps)


def tile(column: int, row: int) -> list[Any]:
    """Return left, top, right and bottom of a tile and the path data of its borders."""
    left, top = column * TILE, row * TILE
    box = [left, top, left + TILE, top + TILE]
    return [*box, detail(box, TILE / 1500)]


def detail(box: Sequence[float], pixel: float) -> str:
    """Return path data of the districts in a box, simplified to a pixel.

    Args:
        box: left, top, right and bottom in map units; it may cross the antimeridian.
        pixel: size of a pixel in map units.
    """
    west, north, east, south = lonlat_of(np.array(box).reshape(2, 2)).ravel()
    units = embedded_boundaries().finest.polygons
    bounds = shapely.bounds(units)
    paths = ""
    for turn in (-1, 0, 1):  # copies of the world to the west and east
        near = (bounds[:, 0] + 360 * turn < east) & (bounds[:, 2] + 360 * turn > west)
        near &= (bounds[:, 1] < north) & (bounds[:, 3] > south)
        moved = shapely.transform(
            project(units[near]), lambda xy, x=turn: xy + np.array([x * WORLD_PX, 0.0])
        )
        inside = shapely.clip_by_rect(moved, *box)
        parts = shapely.get_parts(shapely.simplify(inside, pixel))
        paths += svg_path(parts[shapely.get_type_id(parts) == 3])
    return paths


def project(shapes: GeometryArray) -> GeometryArray:
    """Project polygons in lon/lat degrees to map units, clipped at NORTHERNMOST_DEG."""
    clipped = shapely.clip_by_rect(shapes, -180.0, -NORTHERNMOST_DEG, 180.0, NORTHERNMOST_DEG)
    projected: GeometryArray = shapely.transform(clipped, lambda lonlat: mercator(lonlat[:, ::-1]))
    return projected


def mercator(latlon: Float64Array) -> Float64Array:
    """Return Web Mercator x (east) and y (south) in 0..WORLD_PX for (N, 2) lat/lon degrees."""
    lat = np.radians(np.clip(latlon[:, 0], -NORTHERNMOST_DEG, NORTHERNMOST_DEG))
    x = (latlon[:, 1] + 180.0) / 360.0
    y = 0.5 - np.log(np.tan(np.pi / 4 + lat / 2)) / (2 * np.pi)
    return np.stack([x, y], axis=1) * WORLD_PX


def lonlat_of(xy: Float64Array) -> Float64Array:
    """Return (N, 2) lon/lat degrees of map units (N, 2), the inverse of `mercator`."""
    lon = xy[:, 0] / WORLD_PX * 360.0 - 180.0
    y = np.clip(xy[:, 1] / WORLD_PX, 0.0, 1.0)
    lat = np.degrees(2.0 * np.arctan(np.exp((0.5 - y) * 2.0 * np.pi)) - np.pi / 2)
    return np.stack([lon, lat], axis=1)


def svg_path(parts: GeometryArray, steps: int = _STEPS_PER_UNIT) -> str:
    """Return SVG path data of polygons or lines, with coordinates in 1/steps of a unit."""
    rings = [
        ring
        for part in parts
        for ring in ([part] if shapely.get_type_id(part) == 1 else shapely.get_rings(part))
    ]
    return "".join(_ring(shapely.get_coordinates(ring), steps) for ring in rings)


def _ring(points: Float64Array, steps: int) -> str:
    """Return path data of one ring or line as relative moves, which take fewer characters."""
    grid = np.rint(points * steps).astype(np.int64)
    moves = np.diff(grid, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    relative = "".join(f"l{x / steps:g},{y / steps:g}" for x, y in moves.tolist())
    return f"M{grid[0, 0] / steps:g},{grid[0, 1] / steps:g}{relative}"
