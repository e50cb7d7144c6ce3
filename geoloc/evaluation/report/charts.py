"""Geometry of the reports' SVG charts: line charts, and dots on a map of the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import shapely

from geoloc.output.svg_map import world_path
from geoloc.types import Float64Array, GeometryArray

Tick = tuple[float, str]
"""A value on an axis and its label."""

NORTH_DEG, SOUTH_DEG = 84.0, -60.0
"""Latitudes of the map's edges; hardly any photos are taken beyond them."""

MAX_DOT_PX = 11.0
MIN_DOT_PX = 2.4
MAX_DOTS = 4000
ERROR_KM = (25.0, 200.0, 750.0, 2500.0)
"""Limits of the colours of dots."""

ERROR_LEVELS = ("under 25 km", "under 200 km", "under 750 km", "under 2,500 km", "2,500 km or more")

_LAND_TOLERANCE_PX = 0.6
_LAND_STEPS = 10
"""Coordinates of the land are written to a tenth of a pixel."""


@dataclass(frozen=True)
class Curve:
    """One curve, as data or as positions on the chart."""

    name: str
    """For the legend; "" for none."""
    points: Sequence[tuple[float, float]]
    style: str
    """CSS classes: "a", "b", "c" or "d", with "dash" after it; or "ideal"."""


@dataclass(frozen=True)
class LineChart:
    """The contents of the macro `line_chart`; positions are pixels."""

    label: str
    x_title: str
    x_grid: list[Tick]
    y_grid: list[Tick]
    curves: list[Curve]
    dots: bool
    width: ClassVar[int] = 560
    height: ClassVar[int] = 320
    left: ClassVar[int] = 46
    right: ClassVar[int] = 534
    top: ClassVar[int] = 12
    bottom: ClassVar[int] = 280


@dataclass(frozen=True)
class Axis:
    """One axis of a line chart."""

    title: str
    low: float
    high: float
    ticks: Sequence[Tick]
    log: bool = False

    def scale(self, start: float, end: float) -> Callable[[float], float]:
        """Return the map from values to pixels; values below `low` are moved to it."""
        transform = np.log if self.log else np.asarray
        low, high = (float(transform(value)) for value in (self.low, self.high))

        def position(value: float) -> float:
            share = (float(transform(max(value, self.low))) - low) / (high - low)
            return round(start + (end - start) * share, 1)

        return position


def line_chart(curves: Sequence[Curve], x: Axis, y: Axis, *, dots: bool = False) -> LineChart:
    """Return a line chart.

    Args:
        curves: drawn in their order, the last one on top.
        x: the horizontal axis.
        y: the vertical axis.
        dots: mark the points.
    """
    across = x.scale(LineChart.left, LineChart.right)
    up = y.scale(LineChart.bottom, LineChart.top)
    return LineChart(
        label=f"{y.title} by {x.title}: " + ", ".join(curve.name for curve in curves),
        x_title=x.title,
        x_grid=[(across(value), label) for value, label in x.ticks],
        y_grid=[(up(value), label) for value, label in y.ticks],
        curves=[
            Curve(curve.name, [(across(a), up(b)) for a, b in curve.points], curve.style)
            for curve in curves
        ],
        dots=dots,
    )


@dataclass(frozen=True)
class Dot:
    """A dot on the map of the world; positions are pixels."""

    x: float
    y: float
    radius: float
    level: int
    """Index into ERROR_LEVELS."""
    title: str


@dataclass(frozen=True)
class WorldMap:
    """The contents of the macro `world_map`."""

    label: str
    land: str
    """SVG path data."""
    dots: list[Dot]
    width: ClassVar[int] = 960
    height: ClassVar[int] = 430


def world_map(dots: Sequence[Sequence[float]], label: str) -> WorldMap:
    """Return a map with dots coloured by the error of answers.

    Args:
        dots: [lat, lon, photos, median error in km] each, the largest first; at most MAX_DOTS are
            drawn.
        label: what the map shows, for screen readers.
    """
    visible = [dot for dot in dots[:MAX_DOTS] if SOUTH_DEG < dot[0] < NORTH_DEG]
    largest = max((dot[2] for dot in visible), default=1.0)
    drawn = []
    for lat, lon, photos, km in visible:
        x, y = _equirectangular(np.array([[lon, lat]]))[0].round(1).tolist()
        radius = max(MIN_DOT_PX, MAX_DOT_PX * (photos / max(largest, 30.0)) ** 0.5)
        count = f"{photos:,.0f} photo{'s' if photos > 1 else ''}"
        level = int(np.searchsorted(ERROR_KM, km, "right"))
        drawn.append(Dot(x, y, round(radius, 1), level, f"{count}, median error {km:,.0f} km"))
    return WorldMap(label, _land(), drawn)


@cache
def _land() -> str:
    return world_path(_project, _LAND_TOLERANCE_PX, _LAND_STEPS)


def _project(shapes: GeometryArray) -> GeometryArray:
    clipped = shapely.clip_by_rect(shapes, -180.0, SOUTH_DEG, 180.0, NORTH_DEG)
    projected: GeometryArray = shapely.transform(clipped, _equirectangular)
    return projected


def _equirectangular(lonlat: Float64Array) -> Float64Array:
    """Return pixels (N, 2) of lon/lat degrees (N, 2)."""
    x = (lonlat[:, 0] + 180.0) / 360.0 * WorldMap.width
    y = (NORTH_DEG - lonlat[:, 1]) / (NORTH_DEG - SOUTH_DEG) * WorldMap.height
    return np.stack([x, y], axis=1)
