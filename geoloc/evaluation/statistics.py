"""Bootstrap intervals of scores, and paired tests between two systems."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.io import machine
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray

RESAMPLES = 1000
LEVEL = 0.95
"""Of the intervals."""

_BLOCK = 1024
"""Weights per block: the median is searched for in one block, not among all weights."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Estimates of R resamples of the same N photos."""

    means: Float64Array
    """(R, M) means of the measures."""
    medians: Float64Array
    """(R, S) medians of the distances of S systems."""


def bootstrap(
    measures: npt.NDArray[np.floating],
    distances_km: Float64Array,
    unit: npt.NDArray[np.integer],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Resample units of photos with replacement (Efron 1979).

    Photos of one photographer resemble each other. Where photographers are known, they are the
    units: an interval over single photos would be too narrow. All columns use the same resamples,
    so that differences between them are paired.

    Args:
        measures: (N, M) values of each photo; NaN where it does not count.
        distances_km: (N, S) errors of S systems.
        unit: (N,) unit of each photo, 0..U-1; each unit has a photo.
        resamples: their number R.
        seed: the same seed gives the same resamples with any number of threads.
    """
    by_distance = np.argsort(distances_km[:, 0], kind="stable")
    distances, unit = distances_km[by_distance], unit[by_distance]
    order = np.argsort(distances, axis=0, kind="stable")
    ascending = np.take_along_axis(distances, order, axis=0)
    values = np.ascontiguousarray(measures[by_distance].T, np.float32)
    counts = ~np.isnan(values)
    incomplete = np.flatnonzero(~counts.all(axis=1))
    values[~counts] = 0.0
    partial = counts[incomplete].astype(np.float32)
    size = int(unit.max()) + 1
    single = size == len(unit)  # then draws need not be assigned to their units

    def one(source: np.random.SeedSequence) -> tuple[Float64Array, Float64Array]:
        rng = np.random.Generator(np.random.SFC64(source))
        draws = np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float32)
        weight = draws if single else draws[unit]
        total = np.full(len(values), weight.sum(dtype=np.float64))
        total[incomplete] = partial @ weight
        with np.errstate(invalid="ignore"):
            means = (values @ weight) / total
        medians = [_weighted_median(weight, ascending[:, 0])]  # already in this order
        for column in range(1, order.shape[1]):
            medians.append(_weighted_median(weight[order[:, column]], ascending[:, column]))
        return means, np.array(medians)

    with ThreadPoolExecutor(machine.cores()) as pool:
        parts = list(pool.map(one, np.random.SeedSequence(seed).spawn(resamples)))
    means, medians = (np.stack(part) for part in zip(*parts, strict=True))
    return Resampled(means, medians)


def _weighted_median(weight: Float32Array, ascending: Float64Array) -> float:
    """Return the median of ascending values (N,) repeated by their weights.

    For an even total weight it is the mean of the two middle values.
    """
    starts = np.arange(0, len(weight), _BLOCK)
    sums = np.add.reduceat(weight, starts, dtype=np.float64)
    reached = np.cumsum(sums)
    half, middle = reached[-1] / 2.0, []
    for side in ("left", "right"):
        block = int(np.searchsorted(reached, half, side))
        inside = np.cumsum(weight[starts[block] :][:_BLOCK], dtype=np.float64)
        target = half - (reached[block] - sums[block])
        middle.append(starts[block] + np.searchsorted(inside, target, side))
    return float(ascending[middle].mean())


def interval(resampled: Float64Array, level: float = LEVEL) -> Float64Array:
    """Return percentile intervals (2, M) of estimates (R, M); NaN where a measure has no photo."""
    tail = 50.0 * (1.0 - level)
    return np.asarray(np.percentile(resampled, (tail, 100.0 - tail), axis=0), np.float64)


def resampling_units(*names: StrArray) -> IndexArray:
    """Return the resampling unit (N,) of each photo, 0..U-1.

    Photos with the same name in the first column that has any names are one unit. A photo without
    a name is a unit of its own.

    Args:
        names: columns (N,), "" where there is no name.
    """
    count = len(names[0])
    for column in names:
        named = column != ""
        if named.any():
            code = np.arange(count, dtype=np.int64)
            _, code[named] = np.unique(column[named].astype(str), return_inverse=True)
            code[~named] += count
            return np.asarray(np.unique(code, return_inverse=True)[1], np.intp)
    return np.arange(count)


@dataclass(frozen=True)
class PairedTest:
    """A test of the difference between two systems on the same photos."""

    better: int
    """Photos on which only the first system is right, or is nearer."""
    worse: int
    """Photos on which only the second one is."""
    p: float
    """Two-sided p-value."""


def mcnemar(first: BoolArray, second: BoolArray) -> PairedTest:
    """Return McNemar's exact test of right answers (N,): a binomial test where systems differ."""
    from scipy.stats import binomtest

    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return PairedTest(better, worse, p)


def sign_test(first_km: Float64Array, second_km: Float64Array) -> PairedTest:
    """Return the sign test of distances (N,): which system is nearer more often."""
    return mcnemar(first_km < second_km, second_km < first_km)
