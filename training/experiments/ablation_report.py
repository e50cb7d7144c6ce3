"""The ablation as a table, with intervals and without hopes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import t as student

from geoloc.types import Float64Array

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
    """Means over the seeds, each ± half of its 95 % interval, and what the removed step was worth.

    Args:
        results: by row a list of metrics, seed by seed; see `training.experiments.ablation.run`.
    """
    head = ["configuration", *(name for name, _, _ in COLUMNS), "step worth, score"]
    lines = [_row(head), _row(["---"] + ["---:"] * (len(head) - 1))]
    above: Float64Array | None = None
    for name, seeds in results.items():
        cells = [
            _cell(np.array([value(seed) for seed in seeds]), form) for _, value, form in COLUMNS
        ]
        score = np.array([seed["geoscore"] for seed in seeds])
        cells.append("" if above is None else _cell(above - score, "+,.0f"))
        lines.append(_row([name, *cells]))
        above = score
    return "\n".join(lines)


def findings(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """One line for each step: whether removing it made the answers worse, for sure."""
    lines = []
    rows = list(results.items())
    for (_, above), (name, below) in pairwise(rows):
        worth = np.array([a["geoscore"] - b["geoscore"] for a, b in zip(above, below, strict=True)])
        low, high = _interval(worth)
        step = name.removeprefix("- ")
        if len(worth) < 2:
            verdict = "one seed says nothing for certain"
        elif low > 0:
            verdict = "it helps"
        elif high < 0:
            verdict = "it harms"
        else:
            verdict = f"no effect that {len(worth)} seeds could show"
        lines.append(f"{step}: {worth.mean():+.0f} points ({low:+.0f} to {high:+.0f}): {verdict}")
    return lines


def _interval(values: Float64Array) -> tuple[float, float]:
    half = _half(values)
    return float(values.mean() - half), float(values.mean() + half)


def _half(values: Float64Array) -> float:
    """Half of Student's 95 % interval of the mean; infinite for one value."""
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
