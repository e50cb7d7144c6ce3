"""Geometry of the reports' charts: lines, and dots on a map of the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

Tick = tuple[float, str]
"""A value on an axis and its label."""

MAX_DOT_PX = 11.0
MIN_DOT_PX = 2.4
MAX_DOTS = 4000
ERROR_KM = (25.0, 200.0, 750.0, 2500.0)
"""Limits of the colours of dots."""

ERROR_LEVELS = ("under 25 km", "under 200 km", "under 750 km", "under 2,500 km", "2,500 km or more")


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
class WorldMap:
    """The contents of the macro `world_map`."""

    label: str
    dots: list[list[float | str]]
    """Latitude, longitude, radius in pixels, index into ERROR_LEVELS, and title of each dot."""


def world_map(dots: Sequence[Sequence[float]], label: str) -> WorldMap:
    """Return a map with dots coloured by the error of answers.

    Args:
        dots: [lat, lon, photos, median error in km] each, the largest first; at most MAX_DOTS are
            drawn.
        label: what the map shows, for screen readers.
    """
    largest = max((dot[2] for dot in dots), default=1.0)
    drawn: list[list[float | str]] = []
    for lat, lon, photos, km in dots[:MAX_DOTS]:
        radius = max(MIN_DOT_PX, MAX_DOT_PX * (photos / max(largest, 30.0)) ** 0.5)
        count = f"{photos:,.0f} photo{'s' if photos > 1 else ''}"
        level = int(np.searchsorted(ERROR_KM, km, "right"))
        title = f"{count}, median error {km:,.0f} km"
        drawn.append([round(lat, 3), round(lon, 3), round(radius, 1), level, title])
    return WorldMap(label, drawn)
