"""`Pace`: when somebody moves between two known positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.types import Float64Array

GAPS_S = (60.0, 600.0, 3600.0, 21600.0, 86400.0, 604800.0)
"""Knots of the time between two photos, over which motion is interpolated."""

DAY_S = 86400.0
WAKING_H = (8.0, 20.0)
"""Hours of local solar time in which people move."""

SOLAR_S_PER_DEG = 240.0
"""Seconds by which the sun is earlier for each degree of longitude to the east."""


@dataclass(frozen=True)
class Pace:
    """When somebody moves: less at night, and not in all of the time between two positions.

    The default moves at one speed all the time, which is the mean of a Brownian bridge.
    """

    night: float = 1.0
    """Part of the speed of the day at which people move outside WAKING_H."""
    under_way: tuple[float, ...] = (1.0,) * len(GAPS_S)
    """By time between the positions, at GAPS_S: part of it in which the person moves from one to
    the other. The rest is spent in equal parts at both."""

    def share(
        self, time_s: Float64Array, start_s: Float64Array, end_s: Float64Array, lon: Float64Array
    ) -> Float64Array:
        """Return the share (N,) of the way that is behind the person at some times.

        Args:
            time_s: (N,) UTC, between start and end.
            start_s: (N,) time of the position before.
            end_s: (N,) time of the position after.
            lon: (N,) degrees, for the hours of the night.
        """
        begun, now, ended = (
            self._moving_s(each + SOLAR_S_PER_DEG * lon) for each in (start_s, time_s, end_s)
        )
        share = np.clip((now - begun) / np.maximum(ended - begun, 1e-9), 0.0, 1.0)
        gap = np.log(np.maximum(end_s - start_s, 1.0))
        part = np.interp(gap, np.log(GAPS_S), self.under_way)
        return np.asarray(np.clip((share - 0.5) / part + 0.5, 0.0, 1.0))

    def _moving_s(self, local_s: Float64Array) -> Float64Array:
        """Return the time since 1970 with that of the nights counted in part."""
        first, last = (3600.0 * hour for hour in WAKING_H)
        day = np.floor(local_s / DAY_S)
        hour_s = local_s - day * DAY_S
        waking = (last - first) * day + np.clip(hour_s - first, 0.0, last - first)
        return np.asarray(self.night * local_s + (1.0 - self.night) * waking)


STEADY = Pace()
