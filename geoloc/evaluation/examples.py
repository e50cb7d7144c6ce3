"""Photos worth looking at: the best answers, the farthest ones, the surest wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from geocells import places
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.honesty import RIGHT_KM
from geoloc.evaluation.predictions import Predictions
from geoloc.types import Float64Array, IndexArray

SHOWN = 8


def examples(
    benchmark: Benchmark, answers: Predictions, distance_km: Float64Array
) -> dict[str, list[dict[str, Any]]]:
    """Photos with the places of truth and answer, ready for JSON.

    Of each group of photos (a walk, a landmark) at most one is in a list.

    Returns:
        "best" and "farthest", and "sure" (claimed to be right, and wrong) where chances are
        claimed.
    """
    given = np.flatnonzero(~answers.refused)
    near_first = given[np.argsort(distance_km[given], kind="stable")]
    chosen = {"best": near_first, "farthest": near_first[::-1]}
    wrong = given[(distance_km[given] > RIGHT_KM) & ~np.isnan(answers.chance[given])]
    if len(wrong):
        chosen["sure"] = wrong[np.argsort(-answers.chance[wrong], kind="stable")]
    picked = {name: _apart(benchmark, rows) for name, rows in chosen.items()}
    return {
        name: _described(benchmark, answers, distance_km, rows) for name, rows in picked.items()
    }


def _apart(benchmark: Benchmark, rows: IndexArray) -> IndexArray:
    """The first SHOWN rows of different groups."""
    seen: set[str] = set()
    kept = []
    for row in rows.tolist():
        group = str(benchmark.group[row]) or str(benchmark.photo_id[row])
        if group not in seen:
            seen.add(group)
            kept.append(row)
        if len(kept) == SHOWN:
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
    """Town and country, or "at sea"."""
    table = places.describe(latlon)
    towns, countries = table["town"].to_pylist(), table["country"].to_pylist()
    return [
        ", ".join(part for part in pair if part) or "at sea"
        for pair in zip(towns, countries, strict=True)
    ]
