"""Stays and journeys: consecutive photos of one place, and places that a library returns to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km, latlon_from_vectors, unit_vectors
from geoloc.types import BoolArray, Float64Array, Int64Array

STAY_KM = 1.0
STAY_GAP_S = 8 * 3600.0
JOURNEY_GAP_S = 2 * 86400.0
FREQUENT_KM = 1.0
FREQUENT_DAYS = 5
FREQUENT_SPAN_S = 21 * 86400.0


@dataclass(frozen=True, eq=False)
class Stays:
    """The stays of N photos."""

    number: Int64Array
    """(N,) number of each photo's stay; -1 for photos without a time or a place."""
    journey: Int64Array
    """(S,) number of each stay's journey."""
    latlon: Float64Array
    """(S, 2) degrees."""
    radius_80_km: Float64Array
    """(S,)"""
    frequent: BoolArray
    """(S,)"""


def find(time_s: Float64Array, latlon: Float64Array, radius_80_km: Float64Array) -> Stays:
    """Divide N photos into stays and journeys.

    Args:
        time_s: (N,) seconds since 1970; NaN for none.
        latlon: (N, 2) degrees; NaN for none.
        radius_80_km: (N,) of the photos.
    """
    number = np.full(len(time_s), -1)
    rows = np.flatnonzero(~np.isnan(time_s) & ~np.isnan(latlon[:, 0]))
    rows = rows[np.argsort(time_s[rows], kind="stable")]
    if not len(rows):
        empty = np.zeros(0)
        return Stays(number, empty.astype(int), np.zeros((0, 2)), empty, empty.astype(bool))
    number[rows] = _numbers(time_s[rows], latlon[rows], radius_80_km[rows])
    of_row = number[rows]
    start = np.flatnonzero(np.r_[True, np.diff(of_row) > 0])
    count = np.diff(np.r_[start, len(rows)])
    weight = 1.0 / np.maximum(radius_80_km[rows], 0.02) ** 2
    vectors = np.add.reduceat(unit_vectors(latlon[rows]) * weight[:, None], start)
    centre = latlon_from_vectors(vectors)
    spread = haversine_km(centre[of_row], latlon[rows]) + np.where(
        np.isfinite(radius_80_km[rows]), radius_80_km[rows], 0.0
    )
    radius = np.add.reduceat(spread, start) / count
    first, last = time_s[rows][start], time_s[rows][np.r_[start[1:] - 1, len(rows) - 1]]
    journey = np.r_[0, np.cumsum(first[1:] - last[:-1] > JOURNEY_GAP_S)]
    return Stays(number, journey, centre, radius, _frequent(centre, first, radius))


def _numbers(time_s: Float64Array, latlon: Float64Array, radius_km: Float64Array) -> Int64Array:
    """Return the stay (N,) of each photo in order of time: a new one after a gap or a distance."""
    step = np.r_[0.0, haversine_km(latlon[:-1], latlon[1:])]
    gap = np.r_[0.0, np.diff(time_s)]
    reach = np.minimum(np.maximum(STAY_KM, radius_km), 25.0)
    shift = np.column_stack([latlon[:, 0], latlon[:, 1] * np.cos(np.radians(latlon[:, 0]))]) * 111.2
    number = np.zeros(len(time_s), np.int64)
    current, began = 0, shift[0]
    for row in range(1, len(time_s)):
        far = float(np.abs(shift[row] - began).max()) > reach[row] and step[row] > 0.0
        if gap[row] > STAY_GAP_S or far:
            current, began = current + 1, shift[row]
        number[row] = current
    return number


def _frequent(latlon: Float64Array, start_s: Float64Array, radius_km: Float64Array) -> BoolArray:
    """Return (S,) whether there are stays at this place on many days over some weeks."""
    square = np.round(latlon * 111.2 / FREQUENT_KM).astype(np.int64)
    _, place = np.unique(square, axis=0, return_inverse=True)
    place = place.reshape(-1)  # NumPy 2.0 returns a column
    day = np.floor(start_s / 86400.0)
    visits = np.unique(np.column_stack([place, day]), axis=0)
    days = np.bincount(visits[:, 0].astype(int), minlength=place.max() + 1)
    first = np.full(len(days), np.inf)
    last = np.full(len(days), -np.inf)
    np.minimum.at(first, place, start_s)
    np.maximum.at(last, place, start_s)
    often = (days >= FREQUENT_DAYS) & (last - first >= FREQUENT_SPAN_S)
    return np.asarray(often[place] & (radius_km <= 5.0 * FREQUENT_KM))
