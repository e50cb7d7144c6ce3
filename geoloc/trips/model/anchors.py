"""Anchors: known positions at known times, and the bridge between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geocells.sphere import haversine_km, latlon_from_vectors, unit_vectors
from geoloc.types import BoolArray, Float64Array, IndexArray

FASTEST_KM_S = 0.34
SLACK_KM = 1.0
KNOTS_MINUTES = (0.0, 30.0, 6 * 60.0, 14 * 24 * 60.0)
"""Between these times the radius is a power of the time to the nearest known position."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """A known positions of one person, in order of time."""

    time_s: Float64Array
    """(A,) ascending."""
    latlon: Float64Array
    """(A, 2) degrees."""
    photo: IndexArray
    """(A,) rows of the photos whose position it is; -1 for points of tracks."""

    @classmethod
    def of(cls, time_s: Float64Array, latlon: Float64Array, photo: IndexArray) -> Anchors:
        """Sort positions (A, 2) by time, and leave out those nobody could have reached."""
        order = np.argsort(time_s, kind="stable")
        time_s, latlon, photo = time_s[order], latlon[order], photo[order]
        kept = reachable(time_s, latlon)
        return cls(time_s[kept], latlon[kept], photo[kept])

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True, eq=False)
class Bridge:
    """Where N photos are by the anchors before and after them alone."""

    latlon: Float64Array
    """(N, 2) degrees: linear in time between two anchors, the nearest one beyond; NaN without."""
    before: IndexArray
    """(N,) rows of the anchors; -1 for none."""
    after: IndexArray
    gap_s: Float64Array
    """(N,) seconds to the nearest anchor; between two, half the harmonic mean: t (T - t) / T."""
    apart_km: Float64Array
    """(N,) between two anchors, their distance; beyond, how far the person moved in as long a time
    on the other side of the nearest one; NaN if only one is known."""

    @property
    def between(self) -> BoolArray:
        """(N,) whether there is an anchor on either side."""
        return (self.before >= 0) & (self.after >= 0)

    def features(self) -> Float64Array:
        """Return (N, 3, RADIUS_FEATURES) input of the radii.

        They are 1, the growth of log(1 + minutes) between each two KNOTS_MINUTES, log(1 + km) of
        `apart_km`, and 1 where that is not known.
        """
        minutes = np.where(np.isnan(self.gap_s), 0.0, self.gap_s) / 60.0
        knots = np.log1p(KNOTS_MINUTES)
        pieces = [
            np.clip(np.log1p(minutes), low, high) - low for low, high in pairwise(knots.tolist())
        ]
        unknown = np.isnan(self.apart_km)
        apart = np.log1p(np.where(unknown, 0.0, self.apart_km))
        one = np.column_stack([np.ones(len(minutes)), *pieces, apart, unknown])
        return np.repeat(one[:, None], 3, axis=1)


def reachable(time_s: Float64Array, latlon: Float64Array) -> BoolArray:
    """Return (A,) False for positions out of reach from both neighbours: errors of receivers."""
    kept = np.ones(len(time_s), bool)
    if len(time_s) < 3:
        return kept
    km = haversine_km(latlon[:-1], latlon[1:])
    fast = km > FASTEST_KM_S * np.diff(time_s) + SLACK_KM
    skipping = haversine_km(latlon[:-2], latlon[2:]) > (
        FASTEST_KM_S * (time_s[2:] - time_s[:-2]) + SLACK_KM
    )
    kept[1:-1] = ~(fast[:-1] & fast[1:] & ~skipping)
    return kept


def bridge(anchors: Anchors, time_s: Float64Array) -> Bridge:
    """Return the mean of the Brownian bridge at times (N,), NaN for photos without a time."""
    count = len(time_s)
    if not len(anchors):
        nothing = np.full(count, -1)
        nan = np.full(count, np.nan)
        return Bridge(np.full((count, 2), np.nan), nothing, nothing, nan, nan)
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
    share = np.clip((at - start) / whole, 0.0, 1.0)
    a, b = unit_vectors(anchors.latlon[first]), unit_vectors(anchors.latlon[last])
    latlon = latlon_from_vectors(slerp(a, b, share))
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
    )


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
    km = haversine_km(
        np.column_stack([np.interp(at, time, each) for each in anchors.latlon.T]),
        anchors.latlon[near],
    )
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
