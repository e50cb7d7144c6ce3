"""Fit when people move between two known positions, on routes whose positions are all known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geocells.sphere import haversine_km, latlon_from_vectors, unit_vectors
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge, slerp
from geoloc.trips.model.pace import GAPS_S, STEADY, Pace
from geoloc.types import Float64Array, IndexArray
from training.calibrate.journeys.walks import Route, known_rows

NIGHTS = (1.0, 0.5, 0.3, 0.1)
PARTS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
WORSE = 1.05
"""Errors of every source may be this many times those of moving all the time, by LEVELS."""

LEVELS = (0.5, 0.95)

SHARES = (0.02, 0.05, 0.1, 0.2)
DRAWN = 4_000
"""Photos of each source that the pace rests on: all sources weigh the same."""

LEAST = 300
"""Photos between positions so far apart in time from which on their part is fitted."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """N photos between two known positions."""

    time_s: Float64Array
    start_s: Float64Array
    end_s: Float64Array
    start: Float64Array
    """(N, 2) degrees."""
    end: Float64Array
    true: Float64Array

    @property
    def knot(self) -> IndexArray:
        """(N,) number of the knot of GAPS_S nearest to the time between the two positions."""
        gap = np.log(np.maximum(self.end_s - self.start_s, 1.0))
        return np.asarray(np.abs(gap[:, None] - np.log(GAPS_S)).argmin(axis=1))

    def take(self, rows: IndexArray) -> Hidden:
        """Return some of the photos."""
        return Hidden(*(values[rows] for values in vars(self).values()))

    def error_km(self, pace: Pace) -> Float64Array:
        """Return the error (N,) of the places on the way."""
        share = pace.share(self.time_s, self.start_s, self.end_s, self.start[:, 1])
        vectors = slerp(unit_vectors(self.start), unit_vectors(self.end), share)
        return haversine_km(latlon_from_vectors(vectors), self.true)


def fit_pace(sources: Sequence[Sequence[Route]], seed: int = 0) -> Pace:
    """Return the pace with the least errors of photos between two positions.

    By time between the positions, the part under way is the smallest that makes neither the median
    nor the 95th percentile of any source more than WORSE times that of moving all the time: the
    mean is better the smaller it is, as people stay at places. The night is then chosen by the
    mean logarithm of the error.

    Args:
        sources: routes by source; all sources weigh the same.
        seed: of the positions that are known.
    """
    rng = np.random.default_rng(seed)
    drawn = [_hidden(routes, rng) for routes in sources if routes]

    def of(night: float) -> Pace:
        steady = replace(STEADY, night=night)
        parts = [1.0]
        for number in range(1, len(GAPS_S)):  # within a minute there is no difference
            apart = [each.take(np.flatnonzero(each.knot == number)) for each in drawn]
            enough = [each for each in apart if len(each.time_s) >= LEAST]
            parts.append(_part(enough, steady) if enough else parts[-1])
        return replace(steady, under_way=tuple(parts))

    def loss(pace: Pace) -> float:
        return float(np.mean([np.log1p(each.error_km(pace)).mean() for each in drawn]))

    return min(map(of, NIGHTS), key=loss)


def _part(hidden: Sequence[Hidden], steady: Pace) -> float:
    """Return the smallest part under way that is not worse than all the time for any source."""

    def errors(pace: Pace) -> Float64Array:
        return np.array([np.quantile(each.error_km(pace), LEVELS) for each in hidden])

    most = WORSE * errors(steady)
    for part in PARTS:
        if (errors(replace(steady, under_way=(part,) * len(GAPS_S))) <= most).all():
            return part
    return PARTS[-1]


def _hidden(routes: Sequence[Route], rng: np.random.Generator) -> Hidden:
    """Return the photos between two positions after some are kept of each route."""
    repeats = -(-DRAWN // sum(len(time_s) for time_s, _ in routes))
    columns: list[tuple[Float64Array, ...]] = []
    for time_s, latlon in routes:
        for share in SHARES * repeats:
            known = known_rows(len(time_s), share, rng)
            rows = np.flatnonzero(known)
            anchors = Anchors.of(time_s[rows], latlon[rows], rows)
            bridged = bridge(anchors, time_s[~known])
            two = bridged.between
            first, last = bridged.before[two], bridged.after[two]
            columns.append(
                (time_s[~known][two], anchors.time_s[first], anchors.time_s[last],
                 anchors.latlon[first], anchors.latlon[last], latlon[~known][two])
            )  # fmt: skip
    return Hidden(*(np.concatenate(column) for column in zip(*columns, strict=True)))
