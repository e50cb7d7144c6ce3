"""The ablation as a Markdown table and a list of findings, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import t as student

from geoloc.types import Float64Array
from training.experiments.paired import Effect, effect

COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], float], str], ...] = (
    ("25 km %", lambda r: 100 * r["within"]["25"], ".1f"),
    ("200 km %", lambda r: 100 * r["within"]["200"], ".1f"),
    ("750 km %", lambda r: 100 * r["within"]["750"], ".1f"),
    ("2500 km %", lambda r: 100 * r["within"]["2500"], ".1f"),
    ("country %", lambda r: 100 * r["country"], ".1f"),
    ("median km", lambda r: r["median_km"], ",.0f"),
    ("score", lambda r: r["geoscore"], ",.0f"),
)


def markdown(results: dict[str, list[dict[str, Any]]]) -> str:
    """Format means over the seeds, each ± half of its 95 % interval, and the effect of each step.

    The effect has the interval of paired answers to the same places; see `paired.effect`.

    Args:
        results: metrics by row and seed; see `training.experiments.ablation.run`.
    """
    head = ["configuration", *(name for name, _, _ in COLUMNS), "effect of the step, score"]
    lines = [_row(head), _row(["---"] + ["---:"] * (len(head) - 1))]
    previous: list[dict[str, Any]] | None = None
    for name, seeds in results.items():
        cells = [
            _cell(np.array([value(seed) for seed in seeds]), form) for _, value, form in COLUMNS
        ]
        cells.append("" if previous is None else _interval(_effect(previous, seeds)))
        lines.append(_row([name, *cells]))
        previous = seeds
    return "\n".join(lines)


def findings(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Write a line for each step: whether its effect on the score is certain (95 %).

    The effect is that over the row below, of paired answers to the same places.
    """
    lines = []
    rows = list(results.items())
    for (_, previous), (name, current) in pairwise(rows):
        found = _effect(previous, current)
        step = name.removeprefix("- ")
        lines.append(f"{step}: {_interval(found)} points: {found.verdict}")
    return lines


def _effect(more: list[dict[str, Any]], less: list[dict[str, Any]]) -> Effect:
    """Return the effect of a step from the answers with and without it, of all seeds."""
    both = [
        [value for seed in seeds for value in seed[column]]
        for seeds, column in ((more, "points"), (less, "points"), (more, "unit"))
    ]
    return effect(*both)


def _interval(found: Effect) -> str:
    if np.isinf(found.low):
        return f"{found.mean:+.0f}"
    return f"{found.mean:+.0f} ({found.low:+.0f} to {found.high:+.0f})"


def _half(values: Float64Array) -> float:
    """Return half the width of Student's 95 % interval of the mean; infinite for one value."""
    if len(values) < 2:
        return float("inf")
    quantile = student.ppf(0.975, len(values) - 1)
    return float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


def _cell(values: Float64Array, form: str) -> str:
    mean = format(values.mean(), form)
    half = _half(values)
    return mean if np.isinf(half) else f"{mean} ± {format(half, form.replace('+', ''))}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
