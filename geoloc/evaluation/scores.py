"""Scores of a system: the values of each photo, and their means with bootstrap intervals.

A refusal counts as an answer at the antipode, the largest possible error, so that refusing never
improves a score. Leaving refusals out of the mean would make scores too good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocells.sphere import EARTH_RADIUS_KM, haversine_km
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.statistics import RESAMPLES, Resampled, bootstrap, interval
from geoloc.metrics import WORLD_MAX_ERROR_KM, country_and_region, geoguessr_points, geoscore
from geoloc.types import BoolArray, Float32Array, Float64Array, Int32Array

THRESHOLDS_KM = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country and continent are 1, 25, 200, 750 and 2500 km."""

REFUSED_KM = np.pi * EARTH_RADIUS_KM
"""Error of a refusal: the distance to the antipode."""

MIN_KM = 0.001
"""Smallest error in the geometric mean, whose logarithm needs a positive number."""

WITHIN = tuple(f"within_{km:g}_km" for km in THRESHOLDS_KM)
POINTS = ("geoscore", "geoscore_rounded", "geoguessr")
MEANS = (*WITHIN, *POINTS, "mean_km", "geometric_mean_km", "country", "region")
MEASURES = (*MEANS, "median_km")
"""All measures: shares 0..1, points 0..5000, kilometres."""


@dataclass(frozen=True, eq=False)
class PhotoScores:
    """The scores of each of N answers."""

    distance_km: Float64Array
    """(N,) distance from answer to truth; REFUSED_KM for a refusal, NaN if the true coordinates
    are unknown."""
    values: Float32Array
    """(N, MEANS) values whose means are the scores: for the geometric mean the logarithm of the
    distance; NaN where the photo's own coordinates are not precise enough for the threshold."""
    answered: BoolArray
    """(N,) whether the photo was not refused."""
    country: Int32Array
    """(N,) index of the answer's country in `embedded_boundaries().country`, -1 for a refusal."""

    def take(self, rows: npt.ArrayLike) -> PhotoScores:
        """Return the scores of some photos."""
        index = np.asarray(rows)
        return PhotoScores(*(part[index] for part in vars(self).values()))


@dataclass(frozen=True)
class SystemScore:
    """The scores of a system: one row of a results table."""

    photos: int
    answered: int
    value: dict[str, float]
    """By measure; NaN without a photo that counts."""
    low: dict[str, float]
    """Lower ends of the 95 % intervals, by measure."""
    high: dict[str, float]
    """Upper ends."""


def true_areas(benchmark: Benchmark) -> Int32Array:
    """Return (N, 2) indices of country and region of the photos; see `country_and_region`.

    The region is -1 where only countries are known.
    """
    if benchmark.country is not None:
        return np.stack([benchmark.country, np.full_like(benchmark.country, -1)], axis=1)
    return country_and_region(benchmark.latlon)


def score_photos(
    benchmark: Benchmark,
    answers: Predictions,
    truth: Int32Array,
    max_error_km: float = WORLD_MAX_ERROR_KM,
) -> PhotoScores:
    """Score N answers.

    Args:
        benchmark: N photos.
        answers: of one system.
        truth: (N, 2) from `true_areas`.
        max_error_km: `maxErrorDistance` of the GeoGuessr map.
    """
    answered = ~answers.refused
    units = np.full((len(answers), 2), -1, np.int32)
    units[answered] = country_and_region(answers.latlon[answered])
    if benchmark.country_only:
        values = np.full((len(answers), len(MEANS)), np.nan, np.float32)
        values[:, MEANS.index("country")] = units[:, 0] == truth[:, 0]
        return PhotoScores(np.full(len(answers), np.nan), values, answered, units[:, 0])
    distance = np.full(len(answers), REFUSED_KM)
    distance[answered] = haversine_km(answers.latlon[answered], benchmark.latlon[answered])
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
            np.log(np.maximum(distance, MIN_KM)),
            *(units == truth).T,
        ],
        axis=1,
    )
    return PhotoScores(distance, values, answered, units[:, 0])


def score_systems(
    scores: list[PhotoScores],
    unit: npt.NDArray[np.integer],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[list[SystemScore], list[Float64Array]]:
    """Return the means of all measures with bootstrap intervals, on the same resamples.

    Args:
        scores: of S systems, N answers each.
        unit: (N,) resampling unit of each photo, 0..U-1; see `statistics.resampling_units`.
        resamples: their number R.
        seed: of the resamples.

    Returns:
        S scores, and S arrays (R, MEASURES) of the estimates of each resample.
    """
    if not len(unit):
        nothing = dict.fromkeys(MEASURES, float("nan"))
        empty = SystemScore(0, 0, nothing, nothing, nothing)
        return [empty] * len(scores), [np.full((1, len(MEASURES)), np.nan)] * len(scores)
    drawn = bootstrap(
        np.concatenate([each.values for each in scores], axis=1),
        np.stack([each.distance_km for each in scores], axis=1),
        unit,
        resamples,
        seed,
    )
    estimates = [_estimates(drawn, system) for system in range(len(scores))]
    return [_score(*pair) for pair in zip(scores, estimates, strict=True)], estimates


def _estimates(drawn: Resampled, system: int) -> Float64Array:
    means = drawn.means[:, system * len(MEANS) :][:, : len(MEANS)].copy()
    means[:, MEANS.index("geometric_mean_km")] = np.exp(means[:, MEANS.index("geometric_mean_km")])
    return np.column_stack([means, drawn.medians[:, system]])


def _score(scores: PhotoScores, estimates: Float64Array) -> SystemScore:
    low, high = interval(estimates)
    return SystemScore(
        len(scores.distance_km),
        int(scores.answered.sum()),
        summary(scores),
        dict(zip(MEASURES, low.tolist(), strict=True)),
        dict(zip(MEASURES, high.tolist(), strict=True)),
    )


def summary(scores: PhotoScores) -> dict[str, float]:
    """Return every measure without intervals; NaN without a photo that counts."""
    counts = ~np.isnan(scores.values)
    total = np.where(counts, scores.values, 0.0).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        means = dict(zip(MEANS, (total / counts.sum(axis=0)).tolist(), strict=True))
    means["geometric_mean_km"] = float(np.exp(means["geometric_mean_km"]))
    median = float(np.median(scores.distance_km)) if len(scores.distance_km) else float("nan")
    return {**means, "median_km": median}
