"""The charts of a report."""

from __future__ import annotations

from typing import Any

from geoloc.evaluation.report.charts import Line, lines

SHARES = [(0.0, "0"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")]
DISTANCES = [(0.1, "100 m"), (1.0, "1 km"), (25.0, "25"), (200.0, "200"), (750.0, "750"),
             (2500.0, "2,500"), (20000.0, "20,000")]  # fmt: skip
AREAS = [(1.0, "1"), (1e2, "100"), (1e4, "10 thousand"), (1e6, "1 million"), (1e8, "100 million")]

STYLES = ("a", "b", "c", "d")

MOST = len(STYLES)
"""Systems in one chart."""


def error_chart(report: dict[str, Any]) -> str:
    """Distribution of errors: all systems, and the disjoint photos of the first."""
    curves, names = report["curves"], [system["name"] for system in report["systems"]]
    drawn = [
        Line(name, list(zip(curves["km"], shares, strict=True)), style)
        for name, shares, style in zip(names, curves["standard"], STYLES, strict=False)
    ]
    if "disjoint" in curves:
        points = list(zip(curves["km"], curves["disjoint"], strict=True))
        drawn.append(Line(f"{names[0]}, disjoint photos", points, "a dash"))
    return lines(
        drawn, (0.1, 20000.0), (0.0, 1.0), x_ticks=DISTANCES, y_ticks=SHARES,
        x_title="distance from the truth", y_title="share of photos", log_x=True,
    )  # fmt: skip


def reliability(chances: dict[str, Any]) -> str:
    """Claimed chances against what happened."""
    told = [(claimed, held) for _, claimed, held in chances["bins"]]
    drawn = [Line("as good as it says", [(0, 0), (1, 1)], "ideal"), Line("measured", told, "a")]
    return lines(drawn, (0.0, 1.0), (0.0, 1.0), x_ticks=SHARES, y_ticks=SHARES,
                 x_title="claimed chance", y_title="share right", dots=True)  # fmt: skip


def risk_chart(chances: dict[str, Any]) -> str:
    """Risk by the share of photos that is answered."""
    curve = Line("", chances["selective_risk"]["curve"], "a")
    return lines(
        [curve], (0.0, 1.0), (0.0, 1.0), x_ticks=SHARES, y_ticks=SHARES,
        x_title="share of photos answered, surest first", y_title="share wrong",
    )  # fmt: skip


def area_chart(claims: dict[str, Any]) -> str:
    """Recall by area."""
    names = {"region": ("what it believes", "a"), "point": ("circle around its answer", "b")}
    drawn = [
        Line(names[kind][0], curve, names[kind][1])
        for kind, curve in sorted(claims["area"].items(), reverse=True)
    ]
    return lines(drawn, (1.0, 510e6), (0.0, 1.0), x_ticks=AREAS, y_ticks=SHARES,
                 x_title="area, km²", y_title="share of photos", log_x=True)  # fmt: skip
