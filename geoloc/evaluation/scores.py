"""Scores of a system: what each photo counts for every measure, and their means with intervals.

A refusal counts as an answer at the antipode of the truth, the worst there is, so that refusing
never helps: leaving refusals out of the mean is how published scores come to be too good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocells.borders.hierarchy import embedded_boundaries
from geocells.places import OPEN_SEA_KM
from geocells.sphere import EARTH_RADIUS_KM, haversine_km
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.statistics import RESAMPLES, Resampled, bootstrap, interval
from geoloc.metrics import WORLD_MAX_ERROR_KM, geoguessr_points, geoscore
from geoloc.types import BoolArray, Float32Array, Float64Array, Int32Array

THRESHOLDS_KM = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country and continent are 1, 25, 200, 750 and 2500 km."""

REFUSED_KM = np.pi * EARTH_RADIUS_KM
"""How far off a refusal counts: the antipode."""

LEAST_KM = 0.001
"""A metre: nearer answers count so in the geometric mean, which knows no zero."""

WITHIN = tuple(f"within_{km:g}_km" for km in THRESHOLDS_KM)
POINTS = ("geoscore", "geoscore_rounded", "geoguessr")
MEANS = (*WITHIN, *POINTS, "mean_km", "geometric_mean_km", "country", "region")
MEASURES = (*MEANS, "median_km")
"""All that is scored: shares 0..1, points 0..5000, kilometres."""


@dataclass(frozen=True, eq=False)
class Marks:
    """What each of N answers counts."""

    distance_km: Float64Array
    """(N,) from answer to truth; REFUSED_KM for a refusal."""
    values: Float32Array
    """(N, MEANS); the logarithm of the distance for the geometric mean; NaN where the photo's own
    coordinates are not precise enough for the threshold."""
    answered: BoolArray
    """(N,) not refused."""
    country: Int32Array
    """(N,) row of the country of the answer in `embedded_boundaries().country`, -1 for none."""

    def take(self, rows: npt.ArrayLike) -> Marks:
        """Some rows, in their order."""
        index = np.asarray(rows)
        return Marks(*(part[index] for part in vars(self).values()))


@dataclass(frozen=True)
class Score:
    """One row of a results table."""

    photos: int
    answered: int
    value: dict[str, float]
    """By measure; NaN where no photo counts."""
    low: dict[str, float]
    """Lower ends of the 95 % intervals."""
    high: dict[str, float]


def places(benchmark: Benchmark) -> Int32Array:
    """Country and region of each truth, (N, 2) rows of the embedded borders; the nearest at sea."""
    return embedded_boundaries().locate(benchmark.latlon)[:, :2]


def mark(
    benchmark: Benchmark,
    answers: Predictions,
    truth: Int32Array,
    max_error_km: float = WORLD_MAX_ERROR_KM,
) -> Marks:
    """Mark N answers.

    Args:
        benchmark: N photos.
        answers: to them.
        truth: (N, 2) from `places`.
        max_error_km: of the GeoGuessr map.
    """
    given = ~answers.refused
    distance = np.full(len(answers), REFUSED_KM)
    distance[given] = haversine_km(answers.latlon[given], benchmark.latlon[given])
    units = np.full((len(answers), 2), -1, np.int32)
    units[given] = embedded_boundaries().locate(answers.latlon[given], OPEN_SEA_KM)[:, :2]
    points = geoscore(distance)
    values = np.empty((len(answers), len(MEANS)), np.float32)
    for column, km in enumerate(THRESHOLDS_KM):
        values[:, column] = np.where(benchmark.precision_km <= km, distance < km, np.nan)
    values[:, len(WITHIN) :] = np.stack(
        [
            points,
            np.round(points),
            geoguessr_points(distance, max_error_km),
            distance,
            np.log(np.maximum(distance, LEAST_KM)),
            *(units == truth).T,
        ],
        axis=1,
    )
    return Marks(distance, values, given, units[:, 0])


def score(
    marks: list[Marks], unit: npt.NDArray[np.integer], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[list[Score], list[Float64Array]]:
    """Score systems on the same photos.

    Args:
        marks: of S systems, N answers each.
        unit: (N,) what is resampled together, 0..U-1; see `statistics.units`.
        resamples: R.
        seed: of the resamples.

    Returns:
        S scores, and the estimates of the resamples, S times (R, MEASURES).
    """
    if not len(unit):
        nothing = dict.fromkeys(MEASURES, float("nan"))
        empty = Score(0, 0, nothing, nothing, nothing)
        return [empty] * len(marks), [np.full((1, len(MEASURES)), np.nan)] * len(marks)
    drawn = bootstrap(
        np.concatenate([each.values for each in marks], axis=1),
        np.stack([each.distance_km for each in marks], axis=1),
        unit,
        resamples,
        seed,
    )
    estimates = [_estimates(drawn, system) for system in range(len(marks))]
    return [_score(*pair) for pair in zip(marks, estimates, strict=True)], estimates


def _estimates(drawn: Resampled, system: int) -> Float64Array:
    means = drawn.means[:, system * len(MEANS) :][:, : len(MEANS)].copy()
    means[:, MEANS.index("geometric_mean_km")] = np.exp(means[:, MEANS.index("geometric_mean_km")])
    return np.column_stack([means, drawn.medians[:, system]])


def _score(marks: Marks, estimates: Float64Array) -> Score:
    low, high = interval(estimates)
    return Score(
        len(marks.distance_km),
        int(marks.answered.sum()),
        summary(marks),
        dict(zip(MEASURES, low.tolist(), strict=True)),
        dict(zip(MEASURES, high.tolist(), strict=True)),
    )


def summary(marks: Marks) -> dict[str, float]:
    """Every measure of some answers, without intervals."""
    counts = ~np.isnan(marks.values)
    total = np.where(counts, marks.values, 0.0).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        means = dict(zip(MEANS, (total / counts.sum(axis=0)).tolist(), strict=True))
    means["geometric_mean_km"] = float(np.exp(means["geometric_mean_km"]))
    median = float(np.median(marks.distance_km)) if len(marks.distance_km) else float("nan")
    return {**means, "median_km": median}
