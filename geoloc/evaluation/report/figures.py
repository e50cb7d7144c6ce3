"""The line charts of a report."""

from __future__ import annotations

from typing import Any

from geoloc.evaluation.report.charts import Axis, Curve, LineChart, line_chart
from geoloc.evaluation.results import Report

SHARES = [(0.0, "0"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")]
DISTANCES = [(0.1, "100 m"), (1.0, "1 km"), (25.0, "25"), (200.0, "200"), (750.0, "750"),
             (2500.0, "2,500"), (20000.0, "20,000")]  # fmt: skip
AREAS = [(1.0, "1"), (1e2, "100"), (1e4, "10 thousand"), (1e6, "1 million"), (1e8, "100 million")]

STYLES = ("a", "b", "c", "d")
"""Of the systems in one chart; more are not drawn."""


def _shares(title: str) -> Axis:
    return Axis(title, 0.0, 1.0, SHARES)


def error_chart(report: Report) -> LineChart:
    """Return the error distributions of all systems, and of the first one on disjoint photos."""
    curves, names = report["curves"], [system["name"] for system in report["systems"]]
    drawn = [
        Curve(name, list(zip(curves["km"], shares, strict=True)), style)
        for name, shares, style in zip(names, curves["standard"], STYLES, strict=False)
    ]
    if "disjoint" in curves:
        points = list(zip(curves["km"], curves["disjoint"], strict=True))
        drawn.append(Curve(f"{names[0]}, disjoint photos", points, "a dash"))
    x = Axis("distance from the true place", 0.1, 20000.0, DISTANCES, log=True)
    return line_chart(drawn, x, _shares("share of photos"))


def reliability_chart(chances: dict[str, Any]) -> LineChart:
    """Return the reliability diagram: measured shares by claimed probability."""
    measured = [(claimed, right) for _, claimed, right in chances["bins"]]
    drawn = [
        Curve("perfectly calibrated", [(0, 0), (1, 1)], "ideal"),
        Curve("measured", measured, "a"),
    ]
    return line_chart(drawn, _shares("claimed probability"), _shares("share right"), dots=True)


def risk_chart(chances: dict[str, Any]) -> LineChart:
    """Return the risk–coverage curve."""
    curve = Curve("", chances["selective_risk"]["curve"], "a")
    x = _shares("share of photos answered, most confident first")
    return line_chart([curve], x, _shares("share wrong"))


def area_chart(claims: dict[str, Any]) -> LineChart:
    """Return recall by area, of predicted cells and of circles around the answer."""
    names = {"region": ("most probable cells", "a"), "point": ("circle around the answer", "b")}
    drawn = [
        Curve(names[kind][0], curve, names[kind][1])
        for kind, curve in sorted(claims["area"].items(), reverse=True)
    ]
    x = Axis("area, km²", 1.0, 510e6, AREAS, log=True)
    return line_chart(drawn, x, _shares("share of photos"))
