"""Answers on a map in one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geocells.boundaries import load_boundaries, outline
from geocells.polygons import GeometryArray
from geocells.sphere import FloatArray, destination
from geocells.table import CellTable
from geoloc.guess import Guess
from geoloc.posterior import CREDIBLE_LEVELS
from geoloc.report import exif_note, km, percent, sentence

TEMPLATE = Path(__file__).parent / "templates" / "map.html"

WORLD_PX = 1000.0
"""Side of the square Web Mercator world in the units of the drawing."""

NORTHERNMOST_DEG = 85.05
FINE_PART = 1 / 1500
"""Cells and borders near an answer are drawn to this part of the window, about a pixel."""

LEAST_WINDOW_KM = 40.0
_STEPS = 2000
"""Coordinates are written to 1/2000 of a unit: 20 m."""


def write_map(guesses: Sequence[Guess], cells: CellTable, path: str | os.PathLike[str]) -> Path:
    """Write the map; the file appears whole or not at all.

    Photos themselves are not in it.

    Args:
        guesses: answers, at least one.
        cells: the geocells that their regions name.
        path: the HTML file.

    Raises:
        OSError: it cannot be written.
    """
    row_of = {cell_id: row for row, cell_id in enumerate(cells.cell_id.tolist())}
    page = {
        "world": _path(shapely.get_parts(_project(outline()))),
        "size": WORLD_PX,
        "photos": [_photo(guess, cells, row_of) for guess in guesses],
    }
    # "<" would let a file name end the script element
    text = json.dumps(page, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    html = TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/null", text)
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    try:
        partial.write_text(html, encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def world_path(fine: float) -> str:
    """All countries as SVG path data in Web Mercator, the world WORLD_PX wide and high.

    Args:
        fine: what is smaller, in units of the drawing, is left out.
    """
    parts = shapely.get_parts(shapely.simplify(_project(outline()), fine))
    return _path(parts[shapely.area(parts) > fine**2], round(3 / fine))


def _photo(guess: Guess, cells: CellTable, row_of: dict[str, int]) -> dict[str, Any]:
    """What the page shows of one answer."""
    middle = float(_xy(np.array([[guess.lat, guess.lon]]))[0, 0])
    circle = _circle(guess, middle)
    window = _window(guess, circle)
    return {
        "name": Path(guess.photo).name,
        "sentence": sentence(guess),
        "note": exif_note(guess.exif, guess.exif_distance_km),
        "pins": [
            {
                "at": _pin(candidate.lat, candidate.lon, middle),
                "place": str(candidate.place),
                "where": f"{candidate.lat:.4f}, {candidate.lon:.4f}",
                "belief": percent(candidate.probability),
            }
            for candidate in guess.candidates
        ],
        "file": None
        if guess.exif.lat is None or guess.exif.lon is None
        else _pin(guess.exif.lat, guess.exif.lon, middle),
        "region": {
            str(level): _cells(
                cells.polygon[[row_of[c.cell_id] for c in guess.region if c.level == level]],
                window[2] * FINE_PART,
            )
            for level in CREDIBLE_LEVELS
        },
        "circle": _path(shapely.get_parts(circle)),
        "radius": km(guess.radius_km),
        "detail": _detail(window),
        "around": _around(window),
        "window": window,
    }


def _pin(lat: float, lon: float, middle: float) -> list[float]:
    """Where a coordinate is drawn: on the turn of the world that is nearest to the answer."""
    point: list[float] = _beside(_xy(np.array([[lat, lon]])), middle)[0].round(4).tolist()
    return point


def _beside(xy: FloatArray, middle: float) -> FloatArray:
    """Points (N, 2) with x at most half a world from `middle`; the page repeats the world."""
    turns = np.round((xy[:, :1] - middle) / WORLD_PX)
    return xy - turns * [WORLD_PX, 0.0]


def _circle(guess: Guess, middle: float) -> Any:  # noqa: ANN401
    """The 80 % circle in the drawing's units, as lines; cut where it goes around a pole."""
    bearing = np.linspace(0.0, 360.0, 241)
    ring = destination([guess.lat, guess.lon], bearing, min(guess.radius_km, 20000.0))
    points = _beside(_xy(ring), middle)
    jumps = np.flatnonzero(np.abs(np.diff(points[:, 0])) > WORLD_PX / 2) + 1
    return shapely.multilinestrings(
        [shapely.linestrings(part) for part in np.split(points, jumps) if len(part) > 1]
    )


def _window(guess: Guess, circle: Any) -> list[float]:  # noqa: ANN401
    """x, y, width and height to show first: the circle with some air, or the whole world."""
    left, top, right, bottom = shapely.bounds(circle)
    least = LEAST_WINDOW_KM / 40000.0 * WORLD_PX / np.cos(np.radians(min(abs(guess.lat), 80.0)))
    side = float(np.clip(1.2 * max(right - left, bottom - top), least, WORLD_PX))
    y = float(np.clip((top + bottom - side) / 2, 0.0, WORLD_PX - side))
    return [round(value, 4) for value in ((left + right - side) / 2, y, side, side)]


def _cells(polygons: GeometryArray, pixel: float) -> str:
    """Outlines of cells, as fine as a pixel; those smaller than one are left out."""
    parts = shapely.get_parts(shapely.simplify(_project(polygons), pixel))
    return _path(parts[shapely.area(parts) > pixel**2])


def _detail(window: list[float]) -> str:
    """Borders of districts inside a window, fine enough for it; "" for a large one."""
    side = window[2]
    if side > WORLD_PX / 20:
        return ""
    box = _around(window)
    west, north, east, south = _lonlat(np.array(box).reshape(2, 2)).ravel()
    units = load_boundaries().finest.polygons
    bounds = shapely.bounds(units)
    paths = ""
    for turn in (-1, 0, 1):  # the window may reach over the antimeridian
        near = (bounds[:, 0] + 360 * turn < east) & (bounds[:, 2] + 360 * turn > west)
        near &= (bounds[:, 1] < north) & (bounds[:, 3] > south)
        moved = shapely.transform(
            _project(units[near]), lambda xy, x=turn: xy + np.array([x * WORLD_PX, 0.0])
        )
        inside = shapely.clip_by_rect(moved, *box)
        parts = shapely.get_parts(shapely.simplify(inside, side * FINE_PART))
        paths += _path(parts[shapely.get_type_id(parts) == 3])
    return paths


def _around(window: list[float]) -> list[float]:
    """Left, top, right and bottom of a window with one of its widths to each side."""
    x, y, side, _ = window
    return [x - side, y - side, x + 2 * side, y + 2 * side]


def _project(shapes: GeometryArray) -> GeometryArray:
    """Polygons in lon/lat degrees to the drawing's units, without the poles."""
    clipped = shapely.clip_by_rect(shapes, -180.0, -NORTHERNMOST_DEG, 180.0, NORTHERNMOST_DEG)
    projected: GeometryArray = shapely.transform(clipped, lambda lonlat: _xy(lonlat[:, ::-1]))
    return projected


def _xy(latlon: FloatArray) -> FloatArray:
    """Web Mercator, x to the east and y to the south, 0..WORLD_PX."""
    lat = np.radians(np.clip(latlon[:, 0], -NORTHERNMOST_DEG, NORTHERNMOST_DEG))
    x = (latlon[:, 1] + 180.0) / 360.0
    y = 0.5 - np.log(np.tan(np.pi / 4 + lat / 2)) / (2 * np.pi)
    return np.stack([x, y], axis=1) * WORLD_PX


def _lonlat(xy: FloatArray) -> FloatArray:
    """The inverse of `_xy`, as (N, 2) longitudes and latitudes."""
    lon = xy[:, 0] / WORLD_PX * 360.0 - 180.0
    y = np.clip(xy[:, 1] / WORLD_PX, 0.0, 1.0)
    lat = np.degrees(2.0 * np.arctan(np.exp((0.5 - y) * 2.0 * np.pi)) - np.pi / 2)
    return np.stack([lon, lat], axis=1)


def _path(parts: GeometryArray, steps: int = _STEPS) -> str:
    """SVG path data of polygons or lines."""
    rings = [
        ring
        for part in parts
        for ring in ([part] if shapely.get_type_id(part) == 1 else shapely.get_rings(part))
    ]
    return "".join(_ring(shapely.get_coordinates(ring), steps) for ring in rings)


def _ring(points: FloatArray, steps: int) -> str:
    """One ring or line: a start and relative moves, which are short to write."""
    whole = np.rint(points * steps).astype(np.int64)
    moves = np.diff(whole, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    relative = "".join(f"l{x / steps:g},{y / steps:g}" for x, y in moves.tolist())
    return f"M{whole[0, 0] / steps:g},{whole[0, 1] / steps:g}{relative}"
