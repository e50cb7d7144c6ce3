"""Paired differences of two configurations over the same places, with bootstrap intervals.

Places differ far more than configurations do. The difference at each place is free of that, so that
an interval of paired differences is several times narrower than one of two means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.evaluation.statistics import bootstrap, interval
from geoloc.metrics import GEOGUESSR_SCALE_KM
from geoloc.types import Float64Array

RESAMPLED = 2000
"""Bootstrap samples of an interval."""

FEWEST_UNITS = 8
"""With fewer places or collections no interval is given."""


def points(distance_km: Float64Array) -> Float64Array:
    """Return the GeoGuessr points (N,) of answers at these distances (N,)."""
    return np.asarray(5000.0 * np.exp(-distance_km / GEOGUESSR_SCALE_KM), np.float64)


def by_place(worth: Float64Array, latlon: Float64Array) -> tuple[list[float], list[str]]:
    """Return the mean points of each place (P,) and its name (P,).

    Views of a place count as one answer, so that they pair with the answer of a panorama.

    Args:
        worth: (N,) points of the answers.
        latlon: (N, 2) degrees of their places.
    """
    places, number = np.unique(latlon.round(5), axis=0, return_inverse=True)
    number = number.reshape(-1)  # NumPy 2.0 returns a column
    mean = np.bincount(number, worth) / np.bincount(number)
    return mean.round().tolist(), [f"{lat:.5f},{lon:.5f}" for lat, lon in places.tolist()]


@dataclass(frozen=True)
class Effect:
    """What a step changes, in points a photo."""

    mean: float
    low: float
    high: float
    """Bounds of the 95 % interval; infinite if there are too few units."""
    units: int
    """Places or collections that were drawn again."""
    needed: float
    """Units that an effect of this size needs for an interval that leaves out zero."""

    @property
    def verdict(self) -> str:
        """Say whether the step helps, harms, or how much it would take to know."""
        if np.isinf(self.low):
            return f"no interval with {self.units} units"
        if self.low > 0.0:
            return "it helps"
        if self.high < 0.0:
            return "it harms"
        if self.needed > 1e7:
            return "no difference"
        return f"unsure; an effect of this size needs about {_rounded(self.needed):,} units"


def effect(
    more: npt.ArrayLike, less: npt.ArrayLike, unit: Sequence[object] | npt.NDArray[np.generic]
) -> Effect:
    """Return the mean difference of two configurations.

    Args:
        more: (N,) points with the step.
        less: (N,) points of the same answers without it.
        unit: (N,) names of what is drawn again as a whole: the place of each answer, which repeats
            over seeds, or its collection.
    """
    difference = np.asarray(more, np.float64) - np.asarray(less, np.float64)
    group = np.unique(np.asarray(unit), return_inverse=True)[1]
    mean, units = float(difference.mean()), int(group.max()) + 1
    if units < FEWEST_UNITS:
        return Effect(mean, -np.inf, np.inf, units, np.inf)
    unused = np.zeros((len(difference), 1))  # no medians are asked for
    drawn = bootstrap(difference[:, None], unused, group, RESAMPLED).means[:, 0]
    low, high = interval(drawn)
    half = 1.96 * float(drawn.std())
    needed = units * (half / abs(mean)) ** 2 if mean else np.inf
    return Effect(mean, float(low), float(high), units, needed)


def _rounded(count: float) -> int:
    """Return a count with two significant digits."""
    return int(float(f"{count:.1e}"))
