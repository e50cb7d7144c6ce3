"""The ablation as a Markdown table and a list of findings, with confidence intervals."""

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
    """Format means over the seeds, each ± half of its 95 % interval, and the effect of each step.

    Args:
        results: metrics by row and seed; see `training.experiments.ablation.run`.
    """
    head = ["configuration", *(name for name, _, _ in COLUMNS), "effect of the step, score"]
    lines = [_row(head), _row(["---"] + ["---:"] * (len(head) - 1))]
    previous: Float64Array | None = None
    for name, seeds in results.items():
        cells = [
            _cell(np.array([value(seed) for seed in seeds]), form) for _, value, form in COLUMNS
        ]
        score = np.array([seed["geoscore"] for seed in seeds])
        cells.append("" if previous is None else _cell(previous - score, "+,.0f"))
        lines.append(_row([name, *cells]))
        previous = score
    return "\n".join(lines)


def findings(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Write a line for each step: whether its effect on the score is significant (95 %)."""
    lines = []
    rows = list(results.items())
    for (_, previous), (name, current) in pairwise(rows):
        effect = np.array(
            [a["geoscore"] - b["geoscore"] for a, b in zip(previous, current, strict=True)]
        )
        low, high = _interval(effect)
        step = name.removeprefix("- ")
        if len(effect) < 2:
            verdict = "one seed has no confidence interval"
        elif low > 0:
            verdict = "it helps"
        elif high < 0:
            verdict = "it harms"
        else:
            verdict = f"not significant with {len(effect)} seeds"
        lines.append(f"{step}: {effect.mean():+.0f} points ({low:+.0f} to {high:+.0f}): {verdict}")
    return lines


def _interval(values: Float64Array) -> tuple[float, float]:
    half = _half(values)
    return float(values.mean() - half), float(values.mean() + half)


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
