"""Outlines in Web Mercator as SVG path data: the world, and detailed borders in tiles."""

from __future__ import annotations

from functools import cache

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries, outline
from geoloc.types import Float64Array, GeometryArray

WORLD_PX = 1000.0
"""Side of the square Web Mercator world in map units."""

NORTHERNMOST_DEG = 85.05

STEPS = 20
"""The outlines of countries are accurate to 0.1 degrees: 1/20 of a map unit is enough for them."""

TILE_STEPS = 500
"""Coordinates in tiles are written to 1/500 of a map unit, 80 m at the equator."""

TILE = WORLD_PX / 64
"""Side of a tile of the map, in map units."""

PIXEL = TILE / 1500
"""Borders in tiles are simplified to this."""


@cache
def world() -> str:
    """Return path data of all countries in 1/STEPS of a map unit, 0.3 MB."""
    return svg_path(shapely.get_parts(project(outline())), STEPS)


@cache
def tile(column: int, row: int) -> dict[str, object]:
    """Return the land and the borders of a tile.

    Returns:
        `box` [left, top, right, bottom] in map units, and path data in 1/TILE_STEPS: `land` as
        areas, `regions` and `countries` as lines.
    """
    left, top = column * TILE, row * TILE
    box = (left, top, left + TILE, top + TILE)
    borders = embedded_boundaries()
    countries = _near(borders.country.polygons, box)
    regions = _near(borders.finest.polygons, box)
    area, line = int(shapely.GeometryType.POLYGON), int(shapely.GeometryType.LINESTRING)
    return {
        "box": list(box),
        "land": _clipped(countries, box, area),
        "regions": _clipped(shapely.boundary(regions), box, line),
        "countries": _clipped(shapely.boundary(countries), box, line),
    }


def _near(polygons: GeometryArray, box: tuple[float, float, float, float]) -> GeometryArray:
    """Return the polygons near a box, in map units."""
    west, north, east, south = lonlat_of(np.array(box).reshape(2, 2)).ravel()
    bounds = shapely.bounds(polygons)
    near = (bounds[:, 0] < east) & (bounds[:, 2] > west)
    near &= (bounds[:, 1] < north) & (bounds[:, 3] > south)
    return project(polygons[near])


def _clipped(shapes: GeometryArray, box: tuple[float, float, float, float], kind: int) -> str:
    inside = shapely.simplify(shapely.clip_by_rect(shapes, *box), PIXEL)
    parts = shapely.get_parts(shapely.get_parts(inside))
    return svg_path(parts[shapely.get_type_id(parts) == kind], TILE_STEPS)


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


def svg_path(parts: GeometryArray, steps: int) -> str:
    """Return SVG path data of polygons or lines, in whole 1/steps of a unit."""
    rings = [
        ring
        for part in parts
        for ring in ([part] if shapely.get_type_id(part) == 1 else shapely.get_rings(part))
    ]
    return "".join(_ring(shapely.get_coordinates(ring), steps) for ring in rings)


def _ring(points: Float64Array, steps: int) -> str:
    """Return path data of one ring or line as relative moves, "" if it is smaller than a step."""
    grid = np.rint(points * steps).astype(np.int64)
    moves = np.diff(grid, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    if not len(moves):
        return ""
    relative = " ".join(map(str, moves.ravel().tolist())).replace(" -", "-")
    return f"M{grid[0, 0]} {grid[0, 1]}l{relative}"
