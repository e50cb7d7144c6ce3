"""Anchors: known positions at known times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.types import BoolArray, Float64Array, IndexArray

FASTEST_KM_S = 0.34
SLACK_KM = 1.0


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
