"""Charts as inline SVG: lines, a reliability diagram, dots on a map of the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

import numpy as np
import shapely

from geocells.borders.hierarchy import outline

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 46, 26, 12, 40
MAP_WIDTH, MAP_HEIGHT = 960, 430
NORTH, SOUTH = 84.0, -60.0
"""Degrees that the map shows: nobody is photographed beyond."""

LARGEST_DOT = 11.0
ERROR_KM = (25.0, 200.0, 750.0, 2500.0)
"""Ends of the colours of dots."""

COARSE_DEG = 0.25
MOST_DOTS = 4000


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    name: str
    points: Sequence[Sequence[float]]
    """[x, y] each."""
    style: str
    """A class of the page: "a", "b", "c", "d", with "dash" behind."""


def lines(
    curves: Sequence[Line],
    x: tuple[float, float],
    y: tuple[float, float],
    *,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_title: str,
    y_title: str,
    log_x: bool = False,
    dots: bool = False,
) -> str:
    """A line chart.

    Args:
        curves: drawn in their order.
        x: left and right end of the axis.
        y: lower and upper end.
        x_ticks: where grid lines stand, and what is written there.
        y_ticks: likewise.
        x_title: what the axis shows.
        y_title: likewise.
        log_x: a logarithmic axis.
        dots: mark the points.
    """
    across = _scale(x, (LEFT, WIDTH - RIGHT), np.log if log_x else np.asarray)
    up = _scale(y, (HEIGHT - BOTTOM, TOP), np.asarray)
    parts = _grid(across, x_ticks, up, y_ticks)
    parts.append(
        f'<text class="title" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}"'
        f' text-anchor="middle">{escape(x_title)}</text>'
    )
    for curve in curves:
        places = [(across(a), up(b)) for a, b in curve.points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline class="line {curve.style}" points="{path}"/>')
        if dots:
            parts += [f'<circle class="dot {curve.style}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>'
                      for a, b in places]  # fmt: skip
    label = f"{y_title} by {x_title}: " + ", ".join(curve.name for curve in curves)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>{legend(curves)}"
    )


def _grid(
    across: Callable[[float], float],
    x_ticks: Sequence[tuple[float, str]],
    up: Callable[[float], float],
    y_ticks: Sequence[tuple[float, str]],
) -> list[str]:
    parts = [
        f'<line class="grid" x1="{across(at):.1f}" x2="{across(at):.1f}" y1="{TOP}"'
        f' y2="{HEIGHT - BOTTOM}"/><text x="{across(at):.1f}" y="{HEIGHT - BOTTOM + 16}"'
        f' text-anchor="middle">{escape(label)}</text>'
        for at, label in x_ticks
    ]
    parts += [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(at):.1f}" y2="{up(at):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{up(at) + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        for at, label in y_ticks
    ]
    return parts


def legend(curves: Sequence[Line]) -> str:
    """Names of the curves beside their colours; nothing for a single one without a name."""
    items = "".join(
        f'<span><i class="key {curve.style}"></i>{escape(curve.name)}</span>'
        for curve in curves
        if curve.name
    )
    return f'<p class="legend">{items}</p>' if items else ""


def world(dots: Sequence[Sequence[float]], title: str) -> str:
    """Dots on a map, coloured by how far off the answers are.

    Args:
        dots: [lat, lon, photos, median km] each, the largest first; at most MOST_DOTS are drawn.
        title: what the map shows, for those who do not see it.
    """
    shown = [dot for dot in dots[:MOST_DOTS] if SOUTH < dot[0] < NORTH]
    largest = max((dot[2] for dot in shown), default=1.0)
    circles = []
    for lat, lon, photos, km in shown:
        x, y = _on_map(lon, lat)
        radius = max(2.4, LARGEST_DOT * (photos / max(largest, 30.0)) ** 0.5)
        level = int(np.searchsorted(ERROR_KM, km, "right"))
        count = f"{photos:,.0f} photo{'s' if photos > 1 else ''}"
        circles.append(
            f'<circle class="e{level}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
            f"<title>{count}, median {km:,.0f} km off</title></circle>"
        )
    return (
        f'<svg class="map" viewBox="0 0 {MAP_WIDTH} {MAP_HEIGHT}" role="img"'
        f' aria-label="{escape(title)}"><rect class="sea" width="{MAP_WIDTH}"'
        f' height="{MAP_HEIGHT}"/><path class="land" d="{_land()}"/>{"".join(circles)}</svg>'
    )


def error_key() -> str:
    """What the colours of the dots mean."""
    names = ["under 25 km", "under 200 km", "under 750 km", "under 2,500 km", "farther off"]
    items = "".join(f'<span><i class="spot e{i}"></i>{name}</span>' for i, name in enumerate(names))
    return f'<p class="legend">{items}</p>'


def _scale(
    values: tuple[float, float],
    pixels: tuple[float, float],
    transform: Callable[[float], np.ndarray],
) -> Callable[[float], float]:
    low, high = (float(transform(value)) for value in values)
    start, end = pixels

    def place(value: float) -> float:
        share = (float(transform(max(value, values[0]))) - low) / (high - low)
        return start + (end - start) * share

    return place


def _on_map(lon: float, lat: float) -> tuple[float, float]:
    return (lon + 180.0) / 360.0 * MAP_WIDTH, (NORTH - lat) / (NORTH - SOUTH) * MAP_HEIGHT


@cache
def _land() -> str:
    """Countries as SVG path data, as fine as the map."""
    clipped = shapely.clip_by_rect(outline(), -180.0, SOUTH, 180.0, NORTH)
    parts = shapely.get_parts(shapely.simplify(clipped, COARSE_DEG))
    parts = parts[shapely.area(parts) > COARSE_DEG**2]
    path = []
    for ring in shapely.get_rings(parts):
        xy = [_on_map(*lonlat) for lonlat in shapely.get_coordinates(ring)[:-1]]
        path.append("M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in xy) + "Z")
    return "".join(path)
