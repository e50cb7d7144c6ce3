"""How far to trust a score: bootstrap intervals, and paired tests between two systems."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray

RESAMPLES = 1000
LEVEL = 0.95

_RUN = 1024
"""Weights that are summed before the middle one is looked for."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Estimates of R resamples of the same photos."""

    means: Float64Array
    """(R, M) of the measures."""
    medians: Float64Array
    """(R, S) of the distances."""


def bootstrap(
    measures: npt.NDArray[np.floating],
    distances_km: Float64Array,
    unit: npt.NDArray[np.integer],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Resample photos with replacement (Efron 1979), whole units at a time.

    Photos of one photographer resemble each other, so that what is drawn are photographers where
    they are known: an interval over single photos would be too narrow. All columns are of the same
    resamples, so that differences between them are paired.

    Args:
        measures: (N, M) of each photo; NaN where it does not count.
        distances_km: (N, S) whose medians are wanted.
        unit: (N,) what is drawn together, 0..U-1, each with a photo.
        resamples: R.
        seed: the same seed gives the same resamples, however many threads there are.
    """
    near_first = np.argsort(distances_km[:, 0], kind="stable")
    distances, unit = distances_km[near_first], unit[near_first]
    order = np.argsort(distances, axis=0, kind="stable")
    ascending = np.take_along_axis(distances, order, axis=0)
    values = np.ascontiguousarray(measures[near_first].T, np.float32)
    counts = ~np.isnan(values)
    some = np.flatnonzero(~counts.all(axis=1))
    values[~counts] = 0.0
    partial = counts[some].astype(np.float32)
    drawn = int(unit.max()) + 1
    alone = drawn == len(unit)  # then it does not matter which photo a draw is for

    def one(source: np.random.SeedSequence) -> tuple[Float64Array, Float64Array]:
        rng = np.random.Generator(np.random.SFC64(source))
        draws = np.bincount(rng.integers(0, drawn, drawn), minlength=drawn).astype(np.float32)
        weight = draws if alone else draws[unit]
        total = np.full(len(values), weight.sum(dtype=np.float64))
        total[some] = partial @ weight
        with np.errstate(invalid="ignore"):
            means = (values @ weight) / total
        medians = [_weighted_median(weight, ascending[:, 0])]  # they are in that order already
        for column in range(1, order.shape[1]):
            medians.append(_weighted_median(weight[order[:, column]], ascending[:, column]))
        return means, np.array(medians)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(one, np.random.SeedSequence(seed).spawn(resamples)))
    means, medians = (np.stack(part) for part in zip(*parts, strict=True))
    return Resampled(means, medians)


def _weighted_median(weight: Float32Array, ascending: Float64Array) -> float:
    """Median of ascending values (N,), each as often as its weight; even counts take the middle."""
    starts = np.arange(0, len(weight), _RUN)
    sums = np.add.reduceat(weight, starts, dtype=np.float64)
    reached = np.cumsum(sums)
    half, middle = reached[-1] / 2.0, []
    for side in ("left", "right"):
        run = int(np.searchsorted(reached, half, side))
        inside = np.cumsum(weight[starts[run] :][:_RUN], dtype=np.float64)
        target = half - (reached[run] - sums[run])
        middle.append(starts[run] + np.searchsorted(inside, target, side))
    return float(ascending[middle].mean())


def interval(resampled: Float64Array, level: float = LEVEL) -> Float64Array:
    """Percentile intervals (2, M) from estimates (R, M); NaN where a measure has no photo."""
    tail = 50.0 * (1.0 - level)
    return np.asarray(np.percentile(resampled, (tail, 100.0 - tail), axis=0), np.float64)


def units(*names: StrArray) -> IndexArray:
    """What is drawn together: photos of one name in the first column that has any, (N,) 0..U-1.

    A photo without a name is a unit of its own.
    """
    count = len(names[0])
    for column in names:
        told = column != ""
        if told.any():
            code = np.arange(count, dtype=np.int64)
            _, code[told] = np.unique(column[told].astype(str), return_inverse=True)
            code[~told] += count
            return np.asarray(np.unique(code, return_inverse=True)[1], np.intp)
    return np.arange(count)


@dataclass(frozen=True)
class Test:
    """Whether two systems differ, on the same photos."""

    better: int
    """Photos that only the first system has right, or is nearer at."""
    worse: int
    p: float
    """Chance of a difference at least so large if there is none, two-sided."""


def mcnemar(first: BoolArray, second: BoolArray) -> Test:
    """McNemar's exact test of two systems' right answers (N,): of the photos they differ on."""
    from scipy.stats import binomtest

    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return Test(better, worse, p)


def sign_test(first_km: Float64Array, second_km: Float64Array) -> Test:
    """The sign test of two systems' distances (N,): which is nearer more often."""
    return mcnemar(first_km < second_km, second_km < first_km)
