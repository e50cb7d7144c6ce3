"""Anchors: known positions at known times, and the bridge between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km, latlon_from_vectors, unit_vectors
from geoloc.types import BoolArray, Float64Array, IndexArray

FASTEST_KM_S = 0.34
SLACK_KM = 1.0
SHORT_MINUTES = 30.0


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
    """(N,) distance between the two anchors, 0 beyond."""

    @property
    def between(self) -> BoolArray:
        """(N,) whether there is an anchor on either side."""
        return (self.before >= 0) & (self.after >= 0)

    def features(self) -> Float64Array:
        """Return (N, 3, 3) input of the radii: 1, log minutes to the anchors, log km apart.

        Beyond the last anchor the third is the log of the minutes up to SHORT_MINUTES, because the
        distance rises faster at first.
        """
        minutes = np.log1p(np.where(np.isnan(self.gap_s), 0.0, self.gap_s) / 60.0)
        short = np.minimum(minutes, np.log1p(SHORT_MINUTES))
        third = np.where(self.between, np.log1p(self.apart_km), short)
        one = np.column_stack([np.ones(len(minutes)), minutes, third])
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
        return Bridge(np.full((count, 2), np.nan), nothing, nothing, nan, np.zeros(count))
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
    apart = np.where(two, haversine_km(anchors.latlon[first], anchors.latlon[last]), 0.0)
    none = ~timed
    return Bridge(
        np.where(none[:, None], np.nan, latlon),
        np.where(none, -1, before),
        np.where(none, -1, after),
        np.where(none, np.nan, np.maximum(gap, 0.0)),
        np.where(none, 0.0, apart),
    )


def slerp(a: Float64Array, b: Float64Array, share: Float64Array) -> Float64Array:
    """Return the points (N, 3) on the great circles from a to b (N, 3) at shares (N,) of them."""
    angle = np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1))
    sine = np.sin(angle)
    flat = sine < 1e-9
    scale = np.where(flat, 1.0, sine)
    one = np.where(flat, 1.0 - share, np.sin((1.0 - share) * angle) / scale)
    two = np.where(flat, share, np.sin(share * angle) / scale)
    return np.asarray(one[:, None] * a + two[:, None] * b)
