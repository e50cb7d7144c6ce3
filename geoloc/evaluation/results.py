"""All results of systems on one benchmark, as the JSON values from which reports are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from geoloc import __version__
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.breakdown import breakdown
from geoloc.evaluation.calibration import NO_CALIBRATION, assess_calibration
from geoloc.evaluation.examples import examples
from geoloc.evaluation.leakage import Leakage, TrainingPhotos, find_leakage
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.scores import (
    MEANS,
    MEASURES,
    REFUSED_KM,
    WITHIN,
    PhotoScores,
    score_photos,
    score_systems,
    true_areas,
)
from geoloc.evaluation.statistics import RESAMPLES, interval, mcnemar, resampling_units, sign_test
from geoloc.metrics import WORLD_MAX_ERROR_KM
from geoloc.types import Float64Array, IndexArray

SCHEMA_VERSION = 1

CDF_KM = np.geomspace(0.1, REFUSED_KM, 140)
"""Distances of the cumulative error distribution."""

MAP_DEG = 2.0
"""Side of the squares in which photos are combined into one dot of the maps."""

FAR_KM = 750.0
"""Answers with a larger error are on the map of errors."""

Report = dict[str, Any]
"""Results in the schema SCHEMA_VERSION; see `assess`."""


def assess(
    benchmark: Benchmark,
    systems: Sequence[Predictions],
    training: TrainingPhotos | None = None,
    *,
    max_error_km: float = WORLD_MAX_ERROR_KM,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Report:
    """Evaluate systems on one benchmark.

    Args:
        benchmark: N photos.
        systems: answers; the report is about the first system, the others are compared with it.
        training: the training photos of the first system; without them leakage is not audited.
        max_error_km: `maxErrorDistance` of the GeoGuessr map.
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        Values for JSON; missing numbers are None. For a table of countries only the country
        accuracy is scored; curves and maps are None.
    """
    truth = true_areas(benchmark)
    photo_scores = [score_photos(benchmark, each, truth, max_error_km) for each in systems]
    located = not benchmark.country_only
    leakage = _leakage(benchmark, systems[0], training) if training and located else None
    unit = resampling_units(benchmark.group, benchmark.author)
    scores, paired = _scores(systems, photo_scores, unit, leakage, resamples, seed)
    claims = [
        assess_calibration(*pair) if located else NO_CALIBRATION
        for pair in zip(systems, photo_scores, strict=True)
    ]
    nearest_km = leakage.nearest_km if leakage else None
    report: Report = _json_values(
        {
            "schema_version": SCHEMA_VERSION,
            "made_with": f"planet-geoloc {__version__}",
            "benchmark": _benchmark(benchmark, unit),
            "systems": list(map(_system, systems, photo_scores, claims)),
            "scores": scores,
            "audit": _audit(leakage),
            "paired": paired,
            "honesty": claims[0],
            "breakdown": breakdown(photo_scores[0], truth, benchmark.latlon, nearest_km),
            "curves": _curves(photo_scores, leakage) if located else None,
            "maps": _maps(benchmark, systems[0], photo_scores[0]) if located else None,
            "examples": (
                examples(benchmark, systems[0], photo_scores[0].distance_km) if located else {}
            ),
            "settings": {"max_error_km": max_error_km, "resamples": resamples, "seed": seed},
            "problems": [
                *benchmark.notices,
                *(line for each in systems for line in each.notices),
                *benchmark.problems,
                *(line for each in systems for line in each.problems),
            ],
        }
    )
    return report


def _leakage(benchmark: Benchmark, answers: Predictions, training: TrainingPhotos) -> Leakage:
    known = not np.isnan(answers.similarity).all()
    similarity = answers.similarity if known else None
    return find_leakage(training, benchmark.latlon, benchmark.author, similarity)


def _scores(
    systems: Sequence[Predictions],
    photo_scores: list[PhotoScores],
    unit: IndexArray,
    leakage: Leakage | None,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return scores on all and on disjoint photos, and paired differences to the first system."""
    rows, estimates = score_systems(photo_scores, unit, resamples, seed)
    scores = {"standard": [asdict(row) for row in rows]}
    paired = [
        {"against": other.system, "rows": _paired(photo_scores[0], theirs, estimates[0] - estimate)}
        for other, theirs, estimate in zip(
            systems[1:], photo_scores[1:], estimates[1:], strict=True
        )
    ]
    if leakage:
        disjoint = np.flatnonzero(leakage.disjoint)
        remaining = np.unique(unit[disjoint], return_inverse=True)[1]
        taken = [each.take(disjoint) for each in photo_scores]
        rows, _ = score_systems(taken, remaining, resamples, seed)
        scores["disjoint"] = [asdict(row) for row in rows]
    return scores, paired


def _benchmark(benchmark: Benchmark, unit: IndexArray) -> dict[str, Any]:
    known = benchmark.published
    named = [name for name in ("group", "author") if (getattr(benchmark, name) != "").any()]
    return {
        "title": benchmark.title,
        "key": known.key if known else "",
        "photos": len(benchmark),
        "country_only": benchmark.country_only,
        "published_photos": list(known.photos) if known else [],
        "cite": known.cite if known else "",
        "note": known.note if known else "",
        "sha256": benchmark.sha256,
        "resampled_by": named[0] if named else "photo",
        "units": int(unit.max()) + 1,
    }


def _system(answers: Predictions, scores: PhotoScores, claims: dict[str, Any]) -> dict[str, Any]:
    """Return refusals, calibration error, latency and cost of a system."""
    chances = claims["chances"]
    return {
        "name": answers.system,
        "refused": int((~scores.answered).sum()),
        "ece": chances["ece"] if chances else None,
        "latency_s": _mean(answers.latency_s),
        "cost_usd_per_1000": 1000.0 * _mean(answers.cost_usd),
    }


def _mean(values: Float64Array) -> float:
    """Return the mean of the values that are not NaN, NaN if there is none."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan


def _audit(leakage: Leakage | None) -> dict[str, Any] | None:
    if leakage is None:
        return None
    overlaps = {
        "author": leakage.author,
        "duplicate": leakage.duplicate,
        "place": leakage.place,
    }
    return {
        **{name: None if rows is None else int(rows.sum()) for name, rows in overlaps.items()},
        "disjoint": int(leakage.disjoint.sum()),
        "nearest_km": dict(
            zip(("5", "50", "95"), np.percentile(leakage.nearest_km, (5, 50, 95)), strict=True)
        ),
    }


def _paired(
    ours: PhotoScores, theirs: PhotoScores, differences: Float64Array
) -> list[dict[str, Any]]:
    """Return for each measure the interval of the difference and, where there is one, the test."""
    low, high = interval(differences)
    tests = {
        name: mcnemar(*(each.values[:, MEANS.index(name)] == 1.0 for each in (ours, theirs)))
        for name in (*WITHIN, "country", "region")
    }
    tests["median_km"] = sign_test(ours.distance_km, theirs.distance_km)
    return [
        {
            "measure": name,
            "low": low[column],
            "high": high[column],
            **(asdict(tests[name]) if name in tests else {}),
        }
        for column, name in enumerate(MEASURES)
    ]


def _curves(scores: list[PhotoScores], leakage: Leakage | None) -> dict[str, Any]:
    """Return the shares of photos with errors below CDF_KM, by system and on disjoint photos."""

    def shares(distance: Float64Array) -> list[float]:
        nearer: list[float] = (
            np.searchsorted(np.sort(distance), CDF_KM, "left") / max(len(distance), 1)
        ).tolist()
        return nearer

    curves = {"km": CDF_KM, "standard": [shares(each.distance_km) for each in scores]}
    if leakage and leakage.disjoint.any():
        curves["disjoint"] = shares(scores[0].distance_km[leakage.disjoint])
    return curves


def _maps(benchmark: Benchmark, answers: Predictions, scores: PhotoScores) -> dict[str, Any]:
    """Return the dots of the photos, and of the answers with a large error; see `_dots`."""
    far = np.flatnonzero(scores.answered & (scores.distance_km > FAR_KM))
    return {
        "truth": _dots(benchmark.latlon, scores.distance_km),
        "far": _dots(answers.latlon[far], scores.distance_km[far]),
        "far_km": FAR_KM,
    }


def _dots(latlon: Float64Array, distance: Float64Array) -> list[list[float]]:
    """Return [lat, lon, photos, median km] of each square of MAP_DEG, most photos first."""
    row, column = np.floor(latlon.T / MAP_DEG).astype(np.int64)
    square = row * 1000 + column
    order = np.lexsort((distance, square))
    _, starts = np.unique(square[order], return_index=True)
    dots = [
        [*latlon[members].mean(axis=0), len(members), distance[members[len(members) // 2]]]
        for members in np.split(order, starts[1:])
        if len(members)
    ]
    return sorted(dots, key=lambda dot: -dot[2])


def _json_values(value: Any) -> Any:  # noqa: ANN401
    """Convert arrays and NumPy scalars for JSON; infinite numbers and NaN become None."""
    if isinstance(value, dict):
        return {str(name): _json_values(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(each) for each in value]
    if isinstance(value, np.ndarray):
        return _json_values(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
