"""Answers on a map in one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geocells.sphere import destination
from geocells.table import CellTable
from geoloc.belief.fusion import CREDIBLE_LEVELS
from geoloc.guess import Guess
from geoloc.io.atomic import WholeFile
from geoloc.output.svg_map import WORLD_PX, detail, mercator, page, project, svg_path, world
from geoloc.output.text import exif_note, km, percent, sentence
from geoloc.types import Float64Array, GeometryArray

FINE_PART = 1 / 1500
"""Cells and borders near an answer are drawn to this part of the window, about a pixel."""

LEAST_WINDOW_KM = 40.0


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
    photos = [_photo(guess, cells, row_of) for guess in guesses]
    with WholeFile(path) as out:
        out.write_text(page("map.html", world=world(), photos=photos))
        out.finish()
    return out.path


def _photo(guess: Guess, cells: CellTable, row_of: dict[str, int]) -> dict[str, Any]:
    """What the page shows of one answer."""
    middle = float(mercator(np.array([[guess.lat, guess.lon]]))[0, 0])
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
        "circle": svg_path(shapely.get_parts(circle)),
        "radius": km(guess.radius_km),
        "detail": _detail(window),
        "around": _around(window),
        "window": window,
    }


def _pin(lat: float, lon: float, middle: float) -> list[float]:
    """Where a coordinate is drawn: on the turn of the world that is nearest to the answer."""
    point: list[float] = _beside(mercator(np.array([[lat, lon]])), middle)[0].round(4).tolist()
    return point


def _beside(xy: Float64Array, middle: float) -> Float64Array:
    """Points (N, 2) with x at most half a world from `middle`; the page repeats the world."""
    turns = np.round((xy[:, :1] - middle) / WORLD_PX)
    return xy - turns * [WORLD_PX, 0.0]


def _circle(guess: Guess, middle: float) -> Any:  # noqa: ANN401
    """The 80 % circle in the drawing's units, as lines; cut where it goes around a pole."""
    bearing = np.linspace(0.0, 360.0, 241)
    ring = destination([guess.lat, guess.lon], bearing, min(guess.radius_km, 20000.0))
    points = _beside(mercator(ring), middle)
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


def _detail(window: list[float]) -> str:
    """Borders of districts around a window, fine enough for it; "" for a large one."""
    side = window[2]
    return "" if side > WORLD_PX / 20 else detail(_around(window), side * FINE_PART)


def _around(window: list[float]) -> list[float]:
    """Left, top, right and bottom of a window with one of its widths to each side."""
    x, y, side, _ = window
    return [x - side, y - side, x + 2 * side, y + 2 * side]


def _cells(polygons: GeometryArray, pixel: float) -> str:
    """Outlines of cells, as fine as a pixel; those smaller than one are left out."""
    parts = shapely.get_parts(shapely.simplify(project(polygons), pixel))
    return svg_path(parts[shapely.area(parts) > pixel**2])
