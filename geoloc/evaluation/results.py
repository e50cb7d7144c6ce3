"""All that is measured of systems on one benchmark, as plain values: what reports are made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from geoloc import __version__
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.breakdown import breakdown
from geoloc.evaluation.examples import examples
from geoloc.evaluation.honesty import honesty
from geoloc.evaluation.leaks import Known, Leaks, leaks
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.scores import MEANS, MEASURES, REFUSED_KM, WITHIN, Marks, mark, places, score
from geoloc.evaluation.statistics import RESAMPLES, interval, mcnemar, sign_test, units
from geoloc.metrics import WORLD_MAX_ERROR_KM
from geoloc.types import IndexArray

SCHEMA_VERSION = 1

CDF_KM = np.geomspace(0.1, REFUSED_KM, 140)

MAP_DEG = 2.0
"""Photos within squares of so many degrees are one dot of the maps."""

FAR_KM = 750.0
"""Answers farther off are on the map of errors."""

Report = dict[str, Any]


def assess(
    benchmark: Benchmark,
    systems: Sequence[Predictions],
    known: Known | None = None,
    *,
    max_error_km: float = WORLD_MAX_ERROR_KM,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Report:
    """Measure systems on one benchmark.

    Args:
        benchmark: N photos.
        systems: answers; the first system is the one the report is about.
        known: what that system learned from; without it nothing is said about leaks.
        max_error_km: `maxErrorDistance` of the GeoGuessr map.
        resamples: for the intervals.
        seed: of the resamples.

    Returns:
        Plain values, ready for JSON; numbers that do not exist are None.
    """
    truth = places(benchmark)
    marks = [mark(benchmark, each, truth, max_error_km) for each in systems]
    found = _leaks(benchmark, systems[0], known) if known else None
    unit = units(benchmark.group, benchmark.author)
    scores, paired = _scores(systems, marks, unit, found, resamples, seed)
    claims = [honesty(*pair) for pair in zip(systems, marks, strict=True)]
    nearest_km = found.nearest_km if found else None
    report: Report = _plain(
        {
            "schema_version": SCHEMA_VERSION,
            "made_with": f"planet-geoloc {__version__}",
            "benchmark": _benchmark(benchmark, unit),
            "systems": list(map(_system, systems, marks, claims)),
            "scores": scores,
            "audit": _audit(found),
            "paired": paired,
            "honesty": claims[0],
            "breakdown": breakdown(marks[0], truth, benchmark.latlon, nearest_km),
            "curves": _curves(marks, found),
            "maps": _maps(benchmark, systems[0], marks[0]),
            "examples": examples(benchmark, systems[0], marks[0].distance_km),
            "settings": {"max_error_km": max_error_km, "resamples": resamples, "seed": seed},
            "problems": [
                *benchmark.problems,
                *(line for each in systems for line in (*each.problems, *each.refusals)),
            ],
        }
    )
    return report


def _leaks(benchmark: Benchmark, answers: Predictions, known: Known) -> Leaks:
    looked = not np.isnan(answers.similarity).all()
    similarity = answers.similarity if looked else None
    return leaks(known, benchmark.latlon, benchmark.author, similarity)


def _scores(
    systems: Sequence[Predictions],
    marks: list[Marks],
    unit: IndexArray,
    found: Leaks | None,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Scores of all systems on all and on the disjoint photos; the first against each other."""
    rows, estimates = score(marks, unit, resamples, seed)
    scores = {"standard": [asdict(row) for row in rows]}
    paired = [
        {"against": other.system, "rows": _paired(marks[0], theirs, estimates[0] - estimate)}
        for other, theirs, estimate in zip(systems[1:], marks[1:], estimates[1:], strict=True)
    ]
    if found:
        disjoint = np.flatnonzero(found.disjoint)
        apart = np.unique(unit[disjoint], return_inverse=True)[1]
        taken = [each.take(disjoint) for each in marks]
        scores["disjoint"] = [asdict(row) for row in score(taken, apart, resamples, seed)[0]]
    return scores, paired


def _benchmark(benchmark: Benchmark, unit: IndexArray) -> dict[str, Any]:
    known = benchmark.published
    told = [
        name for name in ("group", "author") if (getattr(benchmark, name) != "").any()
    ]  # fmt: skip
    return {
        "title": benchmark.title,
        "key": known.key if known else "",
        "photos": len(benchmark),
        "published_photos": list(known.photos) if known else [],
        "cite": known.cite if known else "",
        "note": known.note if known else "",
        "sha256": benchmark.sha256,
        "resampled_by": told[0] if told else "photo",
        "units": int(unit.max()) + 1,
    }


def _system(answers: Predictions, marks: Marks, claims: dict[str, Any]) -> dict[str, Any]:
    """What benchmarks of language models report beside the score."""
    chances = claims["chances"]
    return {
        "name": answers.system,
        "refused": int((~marks.answered).sum()),
        "ece": chances["ece"] if chances else None,
        "latency_s": _mean(answers.latency_s),
        "cost_usd_per_1000": 1000.0 * _mean(answers.cost_usd),
    }


def _mean(values: np.ndarray[Any, Any]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan


def _audit(found: Leaks | None) -> dict[str, Any] | None:
    if found is None:
        return None
    shares = {"author": found.author, "duplicate": found.duplicate, "place": found.place}
    return {
        **{name: None if rows is None else int(rows.sum()) for name, rows in shares.items()},
        "disjoint": int(found.disjoint.sum()),
        "nearest_km": dict(
            zip(("5", "50", "95"), np.percentile(found.nearest_km, (5, 50, 95)), strict=True)
        ),
    }


def _paired(ours: Marks, theirs: Marks, differences: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Differences with 95 % intervals, and tests on the photos that the systems differ on."""
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


def _curves(marks: list[Marks], found: Leaks | None) -> dict[str, Any]:
    """Share of photos nearer than CDF_KM, by system, and of the disjoint ones."""

    def share(distance: np.ndarray[Any, Any]) -> list[float]:
        nearer: list[float] = (
            np.searchsorted(np.sort(distance), CDF_KM, "left") / max(len(distance), 1)
        ).tolist()
        return nearer

    curves = {"km": CDF_KM, "standard": [share(each.distance_km) for each in marks]}
    if found and found.disjoint.any():
        curves["disjoint"] = share(marks[0].distance_km[found.disjoint])
    return curves


def _maps(benchmark: Benchmark, answers: Predictions, marks: Marks) -> dict[str, Any]:
    """Dots [lat, lon, photos, median km]: where photos are, and where far-off answers point."""
    far = np.flatnonzero(marks.answered & (marks.distance_km > FAR_KM))
    return {
        "truth": _dots(benchmark.latlon, marks.distance_km),
        "far": _dots(answers.latlon[far], marks.distance_km[far]),
        "far_km": FAR_KM,
    }


def _dots(latlon: np.ndarray[Any, Any], distance: np.ndarray[Any, Any]) -> list[list[float]]:
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


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Numbers and texts that JSON knows; what is no number becomes None."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
