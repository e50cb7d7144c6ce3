"""What maps are drawn with: Web Mercator, borders, SVG paths, and pages in one file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries, outline
from geoloc.types import Float64Array, GeometryArray

TEMPLATES = Path(__file__).parent / "templates"

WORLD_PX = 1000.0
"""Side of the square Web Mercator world in the units of the drawing."""

NORTHERNMOST_DEG = 85.05
_STEPS = 2000
"""Coordinates are written to 1/2000 of a unit: 20 m."""


def page(name: str, **data: Any) -> str:  # noqa: ANN401
    """A page that loads nothing: a template with the style and scripts that it names, and data.

    Args:
        name: of the template.
        data: what JSON can hold; the page finds it in the constant `data`.
    """
    html = re.sub(r"/\*(\w+\.(?:css|js))\*/", lambda part: _template(part[1]), _template(name))
    return html.replace("/*DATA*/null", script_json({**data, "size": WORLD_PX}))


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").rstrip("\n")


def script_json(data: Any) -> str:  # noqa: ANN401
    """JSON that may stand inside a script element: no file name can end it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@cache
def world() -> str:
    """Path data of all countries, to 0.1 degrees."""
    return svg_path(shapely.get_parts(project(outline())))


def rough_world(fine: float) -> str:
    """Path data of all countries, without what is smaller than `fine` units of the drawing."""
    parts = shapely.get_parts(shapely.simplify(project(outline()), fine))
    return svg_path(parts[shapely.area(parts) > fine**2], round(3 / fine))


def detail(box: Sequence[float], pixel: float) -> str:
    """Borders of districts inside left, top, right, bottom, as fine as a pixel."""
    west, north, east, south = lonlat_of(np.array(box).reshape(2, 2)).ravel()
    units = embedded_boundaries().finest.polygons
    bounds = shapely.bounds(units)
    paths = ""
    for turn in (-1, 0, 1):  # the box may reach over the antimeridian
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
    """Polygons in lon/lat degrees to the drawing's units, without the poles."""
    clipped = shapely.clip_by_rect(shapes, -180.0, -NORTHERNMOST_DEG, 180.0, NORTHERNMOST_DEG)
    projected: GeometryArray = shapely.transform(clipped, lambda lonlat: mercator(lonlat[:, ::-1]))
    return projected


def mercator(latlon: Float64Array) -> Float64Array:
    """Web Mercator, x to the east and y to the south, 0..WORLD_PX."""
    lat = np.radians(np.clip(latlon[:, 0], -NORTHERNMOST_DEG, NORTHERNMOST_DEG))
    x = (latlon[:, 1] + 180.0) / 360.0
    y = 0.5 - np.log(np.tan(np.pi / 4 + lat / 2)) / (2 * np.pi)
    return np.stack([x, y], axis=1) * WORLD_PX


def lonlat_of(xy: Float64Array) -> Float64Array:
    """The inverse of `mercator`, as (N, 2) longitudes and latitudes."""
    lon = xy[:, 0] / WORLD_PX * 360.0 - 180.0
    y = np.clip(xy[:, 1] / WORLD_PX, 0.0, 1.0)
    lat = np.degrees(2.0 * np.arctan(np.exp((0.5 - y) * 2.0 * np.pi)) - np.pi / 2)
    return np.stack([lon, lat], axis=1)


def svg_path(parts: GeometryArray, steps: int = _STEPS) -> str:
    """SVG path data of polygons or lines, written to so many steps of a unit."""
    rings = [
        ring
        for part in parts
        for ring in ([part] if shapely.get_type_id(part) == 1 else shapely.get_rings(part))
    ]
    return "".join(_ring(shapely.get_coordinates(ring), steps) for ring in rings)


def _ring(points: Float64Array, steps: int) -> str:
    """One ring or line: a start and relative moves, which are short to write."""
    whole = np.rint(points * steps).astype(np.int64)
    moves = np.diff(whole, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    relative = "".join(f"l{x / steps:g},{y / steps:g}" for x, y in moves.tolist())
    return f"M{whole[0, 0] / steps:g},{whole[0, 1] / steps:g}{relative}"
