"""Example photos: the smallest errors, the largest, and the most confident wrong answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from geocells import places
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.calibration import RIGHT_KM
from geoloc.evaluation.predictions import Predictions
from geoloc.types import Float64Array, IndexArray

EXAMPLES = 8
"""Photos in each list."""


def examples(
    benchmark: Benchmark, answers: Predictions, distance_km: Float64Array
) -> dict[str, list[dict[str, Any]]]:
    """Return example photos with the names of true and answered place, for JSON.

    A list contains at most one photo of each group, such as a walk or a landmark.

    Returns:
        "best" and "farthest" by distance, and "sure", the most confident wrong answers, if the
        system claims probabilities.
    """
    answered = np.flatnonzero(~answers.refused)
    nearest_first = answered[np.argsort(distance_km[answered], kind="stable")]
    chosen = {"best": nearest_first, "farthest": nearest_first[::-1]}
    wrong = answered[(distance_km[answered] > RIGHT_KM) & ~np.isnan(answers.chance[answered])]
    if len(wrong):
        chosen["sure"] = wrong[np.argsort(-answers.chance[wrong], kind="stable")]
    picked = {name: _one_per_group(benchmark, rows) for name, rows in chosen.items()}
    return {
        name: _described(benchmark, answers, distance_km, rows) for name, rows in picked.items()
    }


def _one_per_group(benchmark: Benchmark, rows: IndexArray) -> IndexArray:
    """Return the first EXAMPLES rows of different groups."""
    seen: set[str] = set()
    kept = []
    for row in rows.tolist():
        group = str(benchmark.group[row]) or str(benchmark.photo_id[row])
        if group not in seen:
            seen.add(group)
            kept.append(row)
        if len(kept) == EXAMPLES:
            break
    return np.array(kept, np.intp)


def _described(
    benchmark: Benchmark,
    answers: Predictions,
    distance_km: Float64Array,
    rows: IndexArray,
) -> list[dict[str, Any]]:
    truth, answer = _names(benchmark.latlon[rows]), _names(answers.latlon[rows])
    return [
        {
            "photo": str(benchmark.photo_id[row]),
            "file": str(benchmark.file[row]),
            "distance_km": distance_km[row],
            "chance": answers.chance[row],
            "truth": truth[number],
            "answer": answer[number],
        }
        for number, row in enumerate(rows.tolist())
    ]


def _names(latlon: Float64Array) -> list[str]:
    """Return town and country of each place, or "at sea"."""
    table = places.describe(latlon)
    towns, countries = table["town"].to_pylist(), table["country"].to_pylist()
    return [
        ", ".join(part for part in pair if part) or "at sea"
        for pair in zip(towns, countries, strict=True)
    ]
