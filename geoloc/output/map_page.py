"""Answers on a map in one HTML file that loads nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geocells.sphere import destination
from geocells.table import CellTable
from geoloc.guess import Guess
from geoloc.io.atomic import atomic_write_text
from geoloc.output.html import render
from geoloc.output.regions import regions_of
from geoloc.output.svg_map import WORLD_PX, detail, mercator, svg_path, world
from geoloc.output.text import best_guess, exif_note, percent, sentence
from geoloc.photos.exif import gps_position
from geoloc.types import Float64Array, GeometryArray

PIXEL_SHARE = 1 / 1500
"""Tolerance of cells and borders as a share of the window, about one pixel."""

MIN_WINDOW_KM = 40.0
MAX_DETAIL = WORLD_PX / 20
"""Largest window, in map units, whose surroundings are drawn with the borders of districts."""


def write_map(guesses: Sequence[Guess], cells: CellTable, path: str | os.PathLike[str]) -> Path:
    """Write the map page atomically and return its path. It contains no photos.

    Args:
        guesses: answers, at least one.
        cells: the geocells that the answers refer to.
        path: the HTML file.

    Raises:
        OSError: the file cannot be written.
    """
    photos = [_photo(guess, cells) for guess in guesses]
    page = render("answers.html", data={"world": world(), "photos": photos, "size": WORLD_PX})
    return atomic_write_text(path, page)


def _photo(guess: Guess, cells: CellTable) -> dict[str, Any]:
    """Return the data of one answer that answers.js reads."""
    middle = float(mercator(np.array([[guess.lat, guess.lon]]))[0, 0])
    circle = _circle(guess, middle)
    window = _window(guess, circle, middle)
    regions = regions_of(guess, cells)
    exif = guess.exif
    position = gps_position(exif)
    return {
        "name": Path(guess.photo).name,
        "sentence": sentence(guess),
        "best": best_guess(guess),
        "note": exif_note(exif, guess.exif_distance_km),
        "answer": _pin(guess.lat, guess.lon, middle),
        "pins": [
            {
                "at": _pin(candidate.lat, candidate.lon, middle),
                "place": str(candidate.place),
                "where": f"{candidate.lat:.4f}, {candidate.lon:.4f}",
                "probability": percent(candidate.probability),
            }
            for candidate in guess.candidates
        ],
        "file": _pin(*position, middle) if position else None,
        "region": {
            str(level): _region(outlines)
            for level, outlines in sorted(regions.outlines.items(), reverse=True)
        },
        "circle": svg_path(shapely.get_parts(circle)) if _is_ring(circle) else "",
        "detail": _detail(window),
        "around": _surroundings(window),
        "window": window,
    }


def _pin(lat: float | None, lon: float | None, middle: float) -> list[float]:
    """Return map coordinates, on the copy of the world nearest to the answer."""
    at = mercator(np.array([[lat, lon]], np.float64))
    point: list[float] = _nearest_copy(at, middle)[0].round(4).tolist()
    return point


def _nearest_copy(xy: Float64Array, middle: float) -> Float64Array:
    """Move points (N, 2) by whole worlds until x is within half a world of `middle`."""
    worlds = np.round((xy[:, :1] - middle) / WORLD_PX)
    return xy - worlds * [WORLD_PX, 0.0]


def _circle(guess: Guess, middle: float) -> Any:  # noqa: ANN401
    """Return the 80 % circle in map units, as one line.

    Around a pole it is a wave as long as the world is wide, which is not drawn.
    """
    bearing = np.linspace(0.0, 360.0, 241)
    ring = destination([guess.lat, guess.lon], bearing, min(guess.radius_80_km, 20000.0))
    points = mercator(ring)
    points[:, 0] = np.unwrap(points[:, 0], period=WORLD_PX)
    points[:, 0] -= np.round((points[:, 0].mean() - middle) / WORLD_PX) * WORLD_PX
    return shapely.linestrings(points)


def _is_ring(circle: Any) -> bool:  # noqa: ANN401
    """Whether a circle is a closed ring on the map, with no pole in it."""
    x = shapely.get_coordinates(circle)[:, 0]
    return bool(abs(x[-1] - x[0]) < WORLD_PX / 2)


def _window(guess: Guess, circle: Any, middle: float) -> list[float]:  # noqa: ANN401
    """Return x, y, width and height of the first view, with the answer in its middle column.

    That is the circle with a margin, or the world.
    """
    left, top, right, bottom = shapely.bounds(circle)
    width = 2.0 * max(right - middle, middle - left)
    parallel = np.cos(np.radians(min(abs(guess.lat), 80.0)))
    smallest = MIN_WINDOW_KM / 40000.0 * WORLD_PX / parallel
    side = float(np.clip(1.2 * max(width, bottom - top), smallest, WORLD_PX))
    y = float(np.clip((top + bottom - side) / 2, 0.0, WORLD_PX - side))
    return [round(value, 4) for value in (middle - side / 2, y, side, side)]


def _detail(window: list[float]) -> str:
    """Return path data of the districts around a window, "" for a large window."""
    side = window[2]
    return "" if side > MAX_DETAIL else detail(_surroundings(window), side * PIXEL_SHARE)


def _surroundings(window: list[float]) -> list[float]:
    """Return left, top, right and bottom of a window extended by its width on each side."""
    x, y, side, _ = window
    return [x - side, y - side, x + 2 * side, y + 2 * side]


def _region(outlines: GeometryArray) -> str:
    """Return path data of a region, whose longitudes are those around the answer."""
    return svg_path(shapely.transform(outlines, lambda lonlat: mercator(lonlat[:, ::-1])))
