"""The bridge between anchors: where photos are by the known positions before and after them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geocells.sphere import haversine_km, latlon_from_vectors, unit_vectors
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.pace import STEADY, Pace
from geoloc.types import BoolArray, Float64Array, IndexArray

KNOTS_MINUTES = (0.0, 30.0, 6 * 60.0, 14 * 24 * 60.0)
"""Between these times the radius is a power of the time to the nearest known position."""

NEIGHBOURS = 4
"""Anchors on either side whose own errors, each without itself, tell how rough a journey is."""

LEAST_KM, LEAST_S = 0.05, 60.0
"""Errors and times of anchors count for at least this in the roughness."""


@dataclass(frozen=True, eq=False)
class Bridge:
    """Where N photos are by the anchors before and after them alone."""

    latlon: Float64Array
    """(N, 2) degrees: on the way between two anchors, the nearest one beyond; NaN without."""
    before: IndexArray
    """(N,) rows of the anchors; -1 for none."""
    after: IndexArray
    gap_s: Float64Array
    """(N,) seconds to the nearest anchor; between two, half the harmonic mean: t (T - t) / T."""
    apart_km: Float64Array
    """(N,) between two anchors, their distance; beyond, how far the person moved in as long a time
    on the other side of the nearest one; NaN if only one is known."""
    rough_km: Float64Array
    """(N,) error to expect after the same time by the errors of the anchors near by, each placed
    between its neighbours; NaN for fewer than three anchors."""

    @property
    def between(self) -> BoolArray:
        """(N,) whether there is an anchor on either side."""
        return (self.before >= 0) & (self.after >= 0)

    def features(self) -> Float64Array:
        """Return (N, 3, RADIUS_FEATURES) input of the radii.

        They are 1; the growth of log(1 + minutes) between each two KNOTS_MINUTES; log(1 + km) of
        `apart_km` and of `rough_km`, each with 1 where it is not known; and the growth again, which
        is in the first columns where `apart_km` is known and in the last ones where it is not.
        """
        minutes = np.where(np.isnan(self.gap_s), 0.0, self.gap_s) / 60.0
        knots = np.log1p(KNOTS_MINUTES)
        pieces = [
            np.clip(np.log1p(minutes), low, high) - low for low, high in pairwise(knots.tolist())
        ]
        alone = np.isnan(self.apart_km)
        columns = [np.ones(len(minutes)), *(piece * ~alone for piece in pieces)]
        for km in (self.apart_km, self.rough_km):
            unknown = np.isnan(km)
            columns += [np.log1p(np.where(unknown, 0.0, km)), unknown.astype(float)]
        columns += [piece * alone for piece in pieces]
        return np.repeat(np.column_stack(columns)[:, None], 3, axis=1)


def bridge(anchors: Anchors, time_s: Float64Array, pace: Pace = STEADY) -> Bridge:
    """Return where somebody is at times (N,), NaN for photos without a time.

    A steady pace gives the mean of the Brownian bridge.
    """
    count = len(time_s)
    if not len(anchors):
        nothing = np.full(count, -1)
        nan = np.full(count, np.nan)
        return Bridge(np.full((count, 2), np.nan), nothing, nothing, nan, nan, nan)
    timed = ~np.isnan(time_s)
    at = np.where(timed, time_s, anchors.time_s[0])
    after = np.searchsorted(anchors.time_s, at, side="left")
    before = np.where(
        (after < len(anchors)) & (anchors.time_s[np.minimum(after, len(anchors) - 1)] == at),
        after,
        after - 1,
    )
    after = np.where(after == len(anchors), -1, after)
    first, last = np.where(before < 0, after, before), np.where(after < 0, before, after)
    start, end = anchors.time_s[first], anchors.time_s[last]
    whole = np.maximum(end - start, 1e-9)
    latlon = _on_the_way(anchors, first, last, at, pace)
    two = (before >= 0) & (after >= 0)
    gap = np.where(
        two, (at - start) * (end - at) / whole, np.abs(at - np.where(after < 0, start, end))
    )
    apart = np.where(
        two,
        haversine_km(anchors.latlon[first], anchors.latlon[last]),
        _moved_km(anchors, np.where(after < 0, last, first), gap, after < 0),
    )
    none = ~timed
    return Bridge(
        np.where(none[:, None], np.nan, latlon),
        np.where(none, -1, before),
        np.where(none, -1, after),
        np.where(none, np.nan, np.maximum(gap, 0.0)),
        np.where(none, np.nan, apart),
        np.where(none, np.nan, _rough_km(anchors, first, np.maximum(gap, 0.0), pace)),
    )


def _on_the_way(
    anchors: Anchors, first: IndexArray, last: IndexArray, at_s: Float64Array, pace: Pace
) -> Float64Array:
    """Return the points (N, 2) between two anchors (N,) each, at some times."""
    start, end = anchors.latlon[first], anchors.latlon[last]
    share = pace.share(at_s, anchors.time_s[first], anchors.time_s[last], start[:, 1])
    return latlon_from_vectors(slerp(unit_vectors(start), unit_vectors(end), share))


def _rough_km(anchors: Anchors, near: IndexArray, gap_s: Float64Array, pace: Pace) -> Float64Array:
    """Return the errors (N,) to expect after gaps, by those of the anchors near some anchors.

    An anchor's error without itself grows like that of a random walk, with the root of its gap.
    """
    time, count = anchors.time_s, len(anchors) - 2
    if count < 1:
        return np.full(len(near), np.nan)
    inner = np.arange(1, count + 1)
    placed = _on_the_way(anchors, inner - 1, inner + 1, time[inner], pace)
    error = np.maximum(haversine_km(placed, anchors.latlon[inner]), LEAST_KM)
    before, after = time[inner] - time[inner - 1], time[inner + 1] - time[inner]
    gap = np.maximum(before * after / np.maximum(before + after, LEAST_S), LEAST_S)
    total = np.concatenate([[0.0], np.cumsum(error**2 / gap)])
    low = np.clip(near - 1 - NEIGHBOURS, 0, count - 1)
    high = np.clip(near + NEIGHBOURS, low + 1, count)
    return np.asarray(np.sqrt((total[high] - total[low]) / (high - low) * gap_s))


def _moved_km(
    anchors: Anchors, near: IndexArray, gap_s: Float64Array, later: BoolArray
) -> Float64Array:
    """Return how far (N,) the person moved in times as long as gaps, up to the nearest anchors.

    Where the anchors cover less time, the distance is that of a random walk: it grows with the
    root of the time.

    Args:
        anchors: A known positions.
        near: (N,) the nearest anchors, which are the last or the first ones.
        gap_s: (N,) seconds from them.
        later: (N,) whether the photo is after the anchor.
    """
    time, whole = anchors.time_s, anchors.time_s[-1] - anchors.time_s[0]
    if not whole:
        return np.full(len(near), np.nan)
    covered = np.clip(gap_s, 1.0, max(whole, 1.0))
    at = time[near] - np.where(later, covered, -covered)
    vectors = unit_vectors(anchors.latlon)
    then = np.column_stack([np.interp(at, time, each) for each in vectors.T])
    km = haversine_km(latlon_from_vectors(then), anchors.latlon[near])
    return km * np.sqrt(np.maximum(gap_s / covered, 1.0))


def slerp(a: Float64Array, b: Float64Array, share: Float64Array) -> Float64Array:
    """Return the points (N, 3) on the great circles from a to b (N, 3) at shares (N,) of them."""
    angle = np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1))
    sine = np.sin(angle)
    flat = sine < 1e-9
    scale = np.where(flat, 1.0, sine)
    one = np.where(flat, 1.0 - share, np.sin((1.0 - share) * angle) / scale)
    two = np.where(flat, share, np.sin(share * angle) / scale)
    return np.asarray(one[:, None] * a + two[:, None] * b)
