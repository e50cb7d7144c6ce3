"""Chains: two photographers whose files look alike, divided by positions too far apart for one.

Positions are divided exactly. The other photos are given to the chain whose pictures and places are
more like theirs, which is right for three of four, so their radii hold the place of both.
"""

from __future__ import annotations

import numpy as np

from geocells.neighbours import NearestPoints
from geocells.sphere import haversine_km
from geoloc.trips.model.anchors import SLACK_KM, Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.placing import Placement
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray

USUAL_KM_S = 60.0 / 3600.0
"""Faster moves have a cost. The moves of one person rarely have one, those between two often."""

LEAP = 1.0
"""A move of larger cost is a leap."""

LEAST_LEAPS, LEAST_SHARE = 4, 0.2
"""Fewest leaps, in number and as a share of all moves, that suggest two photographers. Commuters
and people with a weekend house leap less often."""

LEAST_GAIN = 5.0
"""Two chains are believed if they cost so much less than one."""

WINDOW = 64
"""The last position of the other chain is one of so many before."""

ALIKE, ALIKE_S = 0.05, 7200.0
"""Scales of the similarity, and of the time, over which pictures of one photographer are alike."""

SOURCES, BLOCK = 32, 256
"""Photos with positions, on either side, that a photo is compared with; photos at once."""


def second_photographer(
    time_s: Float64Array, known: Float64Array, evidence: Evidence, parameters: TripParameters
) -> BoolArray:
    """Return which photos (N,) are of a second photographer; none if there seems to be one.

    Args:
        time_s: (N,) seconds since 1970, NaN for none.
        known: (N, 2) degrees, NaN for none.
        evidence: of the pictures.
        parameters: of the model.
    """
    found = np.zeros(len(time_s), bool)
    timed = np.flatnonzero(~np.isnan(time_s))
    timed = timed[np.argsort(time_s[timed], kind="stable")]
    placed = timed[~np.isnan(known[timed, 0])]
    second = second_chain(time_s[placed], known[placed])
    if not second.any():
        return found
    found[placed] = second
    chains = [Anchors.of(time_s[e], known[e], e) for e in (placed[~second], placed[second])]
    unknown = timed[np.isnan(known[timed, 0])]
    for start in range(0, len(unknown), BLOCK):
        rows = unknown[start : start + BLOCK]
        one, other = (_alike(rows, time_s, evidence.features, chain) for chain in chains)
        found[rows] = other - one + _nearer(rows, time_s, evidence, chains, parameters) > 0.0
    return found


def hold_both(
    placed: Placement,
    time_s: Float64Array,
    other_s: Float64Array,
    other_known: Float64Array,
    parameters: TripParameters,
) -> None:
    """Widen the 80 and 95 % radii of N photos without a position to where the other one was.

    Args:
        placed: N photos.
        time_s: (N,) of these photos.
        other_s: (M,) of the photos of the other photographer.
        other_known: (M, 2) their positions, NaN for none.
        parameters: of the model.
    """
    rows = np.flatnonzero(~np.isnan(other_s) & ~np.isnan(other_known[:, 0]))
    anchors = Anchors.of(other_s[rows], other_known[rows], rows)
    apart_km = haversine_km(bridge(anchors, time_s, parameters.pace).latlon, placed.latlon)
    unsure = np.flatnonzero((placed.case != "measured") & ~np.isnan(apart_km))
    placed.radii_km[unsure, 1:] = np.maximum(placed.radii_km[unsure, 1:], apart_km[unsure, None])


def _alike(
    rows: IndexArray, time_s: Float64Array, features: Float32Array, chain: Anchors
) -> Float64Array:
    """Return how alike (R,) photos are to those of a chain about their time: a logarithm."""
    at = np.searchsorted(chain.time_s, time_s[rows])[:, None] + np.arange(-SOURCES, SOURCES)
    inside = (at >= 0) & (at < len(chain))
    at = np.clip(at, 0, len(chain) - 1)
    cosine = np.einsum("rf,raf->ra", features[rows], features[chain.photo[at]])
    gap_s = np.abs(time_s[rows, None] - chain.time_s[at])
    score = np.where(inside, (cosine - 1.0) / ALIKE - gap_s / ALIKE_S, -np.inf)
    return np.asarray(np.logaddexp.reduce(score, axis=1), np.float64)


def _nearer(
    rows: IndexArray,
    time_s: Float64Array,
    evidence: Evidence,
    chains: list[Anchors],
    parameters: TripParameters,
) -> Float64Array:
    """Return the evidence (R,) of the pictures for the place of the second chain, a logarithm."""
    centroids = NearestPoints(evidence.centroids)
    places = [bridge(chain, time_s[rows], parameters.pace).latlon for chain in chains]
    cells = np.array([centroids.query(each)[1][:, 0] for each in places])
    used, column = np.unique(cells, return_inverse=True)
    fit = evidence.take(rows).log_likelihood(used, parameters.alpha, parameters.nowhere)
    one, other = column.reshape(cells.shape)
    row = np.arange(len(rows))
    return np.asarray(fit[row, other] - fit[row, one])


def second_chain(time_s: Float64Array, latlon: Float64Array) -> BoolArray:
    """Return which positions (A,) are of a second photographer; none if one was at all of them.

    The cost of a move is log(1 + (km / usual km)²). The two chains of least total cost are found
    exactly, but for WINDOW.

    Args:
        time_s: (A,) ascending.
        latlon: (A, 2) degrees.
    """
    none = np.zeros(len(time_s), bool)
    steps = _cost(time_s[:-1], latlon[:-1], time_s[1:], latlon[1:])
    enough = max(LEAST_LEAPS, LEAST_SHARE * len(steps))
    if (steps > LEAP).sum() < enough:
        return none
    least, second = _two_chains(time_s, latlon, steps)
    leaps = steps[second[:-1] != second[1:]] > LEAP
    found = leaps.sum() >= enough and float(steps.sum()) - least >= LEAST_GAIN
    return second if found else none


def _cost(
    from_s: Float64Array, from_latlon: Float64Array, to_s: Float64Array, to_latlon: Float64Array
) -> Float64Array:
    usual_km = SLACK_KM + USUAL_KM_S * np.abs(to_s - from_s)
    return np.asarray(np.log1p((haversine_km(from_latlon, to_latlon) / usual_km) ** 2))


def _two_chains(
    time_s: Float64Array, latlon: Float64Array, steps: Float64Array
) -> tuple[float, BoolArray]:
    """Return the least cost of two chains, and which positions (A,) are of the other one.

    `best[k]` is the least cost so far if the other chain ended at position k - 1, 0 for nowhere.
    """
    count = len(time_s)
    best = np.full(count + 1, np.inf)
    best[0] = 0.0
    came_from = np.zeros(count, np.int64)
    for here in range(1, count):
        first = max(0, here - WINDOW)
        others = np.arange(first, here)
        switch = best[first + 1 : here + 1] + _cost(
            time_s[others], latlon[others], time_s[here], latlon[here]
        )
        chosen = int(np.argmin(switch))
        begin = best[0] < switch[chosen]
        came_from[here] = 0 if begin else first + chosen + 1
        cost = best[0] if begin else switch[chosen]
        best += steps[here - 1]
        best[here] = cost
    other = int(np.argmin(best))
    switched = np.zeros(count, bool)
    for here in range(count - 1, 0, -1):
        if other == here:  # the other chain ended just before: `here` is on the chain that waited
            switched[here] = True
            other = int(came_from[here])
    return float(best.min()), np.asarray(np.cumsum(switched) % 2 == 1)
