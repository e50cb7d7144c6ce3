"""Offsets of clocks by where photos were taken: along a track, or along another camera's photos.

Each photo says how well every step of the route fits it, by its position or its picture, against
the average step. That is a step function of the clock's offset, so the sum over all photos changes
only where a photo enters or leaves a step: sorting these changes yields the likelihood of every
offset from seconds to decades exactly, without a grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.neighbours import NearestPoints
from geocells.sphere import haversine_km
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.trip import RIGHT_S
from geoloc.types import BoolArray, Float64Array, IndexArray

LEAST_PHOTOS = 6
MOST_PHOTOS = 300
"""Photos of a camera that are compared with a route: at least, and at most of either kind."""

STEP_KM, MOST_PARTS, MOST_STEPS = 0.1, 50, 200_000
"""Steps of a route are this long, but a pair of its points, and all, have no more of them."""

GAP_S, GAP_KM = 3600.0, 0.2
"""Between points farther apart in time and place, the route is unknown."""

FIT_KM, MISS = 0.15, 0.1
"""Standard deviation of a photo's position from the route, and probability that it is elsewhere."""

SIGHT = 0.25
"""Exponent of the evidence of pictures about a clock: with more, the 95 % intervals of offsets held
too few of the true ones on held-out walks and journeys."""

MOST_GAIN = 4.0
"""Logarithm of the likelihood that the position of one photo adds at most."""

BURST_S = 600.0
"""Photos of one place within this time are one observation."""

LONGEST_S = 80 * 365.25 * 86400.0
"""Half of all clocks are right to RIGHT_S; other offsets are log-uniform up to LONGEST_S."""

WITHIN_S, SURE = 300.0, 0.995
"""An offset is sure if so much of the posterior lies within this time of it."""

ZONES_S = 14.5 * 3600.0
AGAIN_S = 60 * 86400.0
CONTRADICTED = 5.0
"""People go the same way again, at other hours and on other days, and trains do to the minute. An
offset of more than all time zones and less than AGAIN_S is therefore sure only if the photos, by
their own clock, contradict the route: its logarithm of the likelihood is below -CONTRADICTED."""

TOLD_S = 86400.0
"""An offset that is not sure is told if its interval is shorter than this and excludes 0."""


@dataclass(frozen=True, eq=False)
class Sights:
    """What is known about the places of N photos."""

    known: Float64Array
    """(N, 2) degrees, NaN for photos without a position."""
    evidence: Evidence
    parameters: TripParameters


@dataclass(frozen=True, slots=True)
class Alignment:
    """The offset at which the photos of a camera fit a route."""

    offset_s: float
    low_s: float
    high_s: float
    sure: bool
    """Whether it may be applied."""

    @property
    def told(self) -> bool:
        """Whether it says anything about the clock."""
        return self.sure or (
            self.high_s - self.low_s <= TOLD_S and not self.low_s <= 0.0 <= self.high_s
        )


@dataclass(frozen=True, eq=False)
class _Steps:
    """S steps of a route, one after the other."""

    edge_s: Float64Array
    """(S + 1,) ascending."""
    latlon: Float64Array
    """(S, 2) degrees, in the middle."""
    covered: BoolArray
    """(S,) whether the place is known."""


def align(shown_s: Float64Array, sights: Sights, rows: IndexArray, route: Anchors) -> Alignment:
    """Return the offset at which photos fit a route.

    Args:
        shown_s: (N,) times by the camera's clock; not NaN in `rows`.
        sights: of N photos.
        rows: (P,) photos of the camera.
        route: A known positions at right times.
    """
    nothing = Alignment(0.0, -LONGEST_S, LONGEST_S, False)
    if len(rows) < LEAST_PHOTOS or len(route) < 2:
        return nothing
    steps = _steps(route)
    if not np.diff(steps.edge_s)[steps.covered].any():
        return nothing
    placed = ~np.isnan(sights.known[rows, 0])
    seen = _spread(rows[~placed], shown_s)
    known = _spread(_without_bursts(rows[placed], shown_s, sights.known), shown_s)
    if len(seen) + len(known) < LEAST_PHOTOS:
        return nothing
    changes = _by_picture(shown_s[seen], sights.evidence.take(seen), sights.parameters, steps)
    changes += [_by_position(shown_s[row], sights.known[row], steps) for row in known.tolist()]
    at = np.concatenate([each[0] for each in changes])
    change = np.concatenate([each[1] for each in changes])
    return _posterior(at, change)


def _steps(route: Anchors) -> _Steps:
    """Cut the way between each two points into steps of equal time."""
    most = min(len(route), MOST_STEPS)
    chosen = np.linspace(0, len(route) - 1, most).astype(int)
    time, latlon = route.time_s[chosen], route.latlon[chosen]
    apart = haversine_km(latlon[:-1], latlon[1:])
    covered = (np.diff(time) <= GAP_S) | (apart <= GAP_KM)
    most_parts = min(MOST_PARTS, MOST_STEPS // most)
    parts = np.where(covered, np.clip(np.ceil(apart / STEP_KM), 1, most_parts), 1).astype(int)
    segment = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(segment)) - np.repeat(np.cumsum(parts) - parts, parts)
    edge = time[:-1][segment] + number / parts[segment] * np.diff(time)[segment]
    edge = np.append(edge, time[-1])
    middle = bridge(route, (edge[:-1] + edge[1:]) / 2.0).latlon
    return _Steps(edge, middle, covered[segment])


def _spread(rows: IndexArray, shown_s: Float64Array) -> IndexArray:
    """Return at most MOST_PHOTOS rows, spread over the photos in order of time."""
    order = rows[np.argsort(shown_s[rows], kind="stable")]
    number = min(len(order), MOST_PHOTOS)
    return np.asarray(order[np.linspace(0, len(order) - 1, number).astype(int)])


def _without_bursts(rows: IndexArray, shown_s: Float64Array, known: Float64Array) -> IndexArray:
    """Return one of the photos that a place has within BURST_S."""
    place = np.floor(known[rows] / 0.002)
    when = np.floor(shown_s[rows] / BURST_S)
    return rows[np.unique(np.column_stack([place, when]), axis=0, return_index=True)[1]]


def _by_position(
    shown_s: float, latlon: Float64Array, steps: _Steps
) -> tuple[Float64Array, Float64Array]:
    """Return the changes (E,), (E,) of the evidence of one photo with a position."""
    away = haversine_km(steps.latlon, latlon[None, :]) / FIT_KM
    return _changes(shown_s, np.log(MISS + np.exp(-0.5 * away**2) * 100.0), steps)


def _by_picture(
    shown_s: Float64Array, evidence: Evidence, parameters: TripParameters, steps: _Steps
) -> list[tuple[Float64Array, Float64Array]]:
    """Return the changes of the evidence of each photo without a position."""
    if not len(shown_s):
        return []
    nearest = NearestPoints(evidence.centroids).query(steps.latlon)[1][:, 0]
    cells, of_step = np.unique(nearest, return_inverse=True)
    fit = evidence.log_likelihood(cells, SIGHT, parameters.nowhere)
    return [_changes(time, each[of_step], steps) for time, each in zip(shown_s, fit, strict=True)]


def _changes(shown_s: float, fit: Float64Array, steps: _Steps) -> tuple[Float64Array, Float64Array]:
    """Return the offsets at which the evidence of one photo changes, and by how much.

    The evidence is against a photo of the region of the route that was not taken along it: a
    camera is not wrong because it was in the same town on another day.
    """
    seconds = np.diff(steps.edge_s) * steps.covered
    average = np.log((np.exp(fit) * seconds).sum() / seconds.sum())
    gain = np.where(steps.covered, np.minimum(fit - average, MOST_GAIN), 0.0)
    change = np.diff(gain, prepend=0.0, append=0.0)
    kept = change != 0.0
    return steps.edge_s[kept] - shown_s, change[kept]


def _posterior(at: Float64Array, change: Float64Array) -> Alignment:
    """Return the median of the posterior of the offset, with its 95 % interval."""
    order = np.argsort(at)
    edge = np.concatenate([[-LONGEST_S], np.clip(at[order], -LONGEST_S, LONGEST_S), [LONGEST_S]])
    score = np.concatenate([[0.0], np.cumsum(change[order])])
    mass = np.exp(score - score.max()) * np.diff(_prior(edge))
    below = np.concatenate([[0.0], np.cumsum(mass)]) / mass.sum()
    low, middle, high = np.interp([0.025, 0.5, 0.975], below, edge)
    near = np.diff(np.interp([middle - WITHIN_S, middle + WITHIN_S], edge, below))[0]
    as_shown = float(score[np.searchsorted(edge, 0.0, side="right") - 1])
    again = ZONES_S < abs(middle) < AGAIN_S and as_shown > -CONTRADICTED
    sure = near >= SURE and high - low <= 2 * WITHIN_S and not again
    return Alignment(float(middle), float(low), float(high), bool(sure))


def _prior(offset_s: Float64Array) -> Float64Array:
    """Return the prior probability that the offset is less."""
    size = np.abs(offset_s)
    right = np.minimum(size / RIGHT_S, 1.0)
    wrong = np.log(np.maximum(size, RIGHT_S) / RIGHT_S) / np.log(LONGEST_S / RIGHT_S)
    return np.asarray(0.5 + np.sign(offset_s) * 0.25 * (right + wrong))
