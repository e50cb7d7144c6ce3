"""`Journey`: the times of a library by clocks that were set, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from geoloc.trips import clocks
from geoloc.trips.clues.photos import LibraryPhoto
from geoloc.trips.clues.times import EARLIEST, FUTURE_S
from geoloc.trips.clues.tracks import Track
from geoloc.trips.moves import Sights
from geoloc.trips.trip import Clock
from geoloc.types import BoolArray, Float64Array, StrArray

ONE_SECOND = 10
"""So many photos of one camera with one time, and most of them: no time was recorded."""

LARGEST_SHIFT_S = 3.5 * 3600.0
"""Official time differs from that of the sun by at most so much: western China."""

ORDER_STEP_S = 60.0
"""Seconds between two photos whose order is their only time."""


@dataclass(frozen=True, eq=False)
class Times:
    """When N photos were taken."""

    utc_s: Float64Array
    """(N,) seconds since 1970 after the correction of clocks; NaN without a time."""
    zone_s: Float64Array
    """(N,) offset from UTC for display."""
    clocks: list[Clock]
    problems: list[str]
    by_order: bool = False
    """Whether the order of the files stands for times, which are not shown."""


def set_clocks(
    photos: list[LibraryPhoto],
    sights: Sights,
    tracks: Sequence[Track] = (),
    given: Mapping[str, float] | None = None,
    *,
    assume_order: bool = False,
) -> Times:
    """Return the times of N photos.

    Args:
        photos: in the order of their names.
        sights: where they were taken, as far as it is known.
        tracks: of the user.
        given: seconds to add, by camera.
        assume_order: take the order of the files as their time if no photo has one.
    """
    local = _column([photo.time.local_s for photo in photos])
    stated = _column([photo.time.zone_s for photo in photos])
    stamp = _column([photo.time.utc_s for photo in photos])
    camera = np.array([photo.camera for photo in photos], dtype=object)
    problems = _without_one_second(camera, local)
    zone = np.where(np.isnan(stated), _zones(photos, local, stamp, stated), stated)
    readings = clocks.Readings(
        camera, local - zone, stamp, sights.evidence.features, sights, tracks, np.isnan(stated)
    )
    utc, found = clocks.estimate(readings, sights.parameters.same_scene, given)
    for clock in found:
        zone[camera == clock.camera] -= clock.zone_shift_s
    utc = np.where(np.isnan(utc), stamp, utc)
    now = datetime.now(UTC).timestamp()
    wrong = (utc < EARLIEST) | (utc > now + FUTURE_S)
    if wrong.any():
        name = photos[int(np.argmax(wrong))].photo
        problems.append(
            f"{name}: time before 1990 or in the future, not used ({int(wrong.sum()):,} photos);"
            " give the camera's correction with --clock"
        )
    utc = np.where(wrong, np.nan, utc)
    if not np.isnan(utc).all():
        return Times(utc, zone, found, problems)
    if assume_order:
        problems.append("no photo has a time: the order of the file names stands for it")
        return Times(
            ORDER_STEP_S * np.arange(len(photos), dtype=np.float64),
            zone,
            found,
            problems,
            by_order=True,
        )
    problems.append(
        "no photo has a time, so each is placed by itself; --assume-order takes the order of names"
    )
    return Times(utc, zone, found, problems)


def _column(values: list[float | None]) -> Float64Array:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _without_one_second(camera: StrArray, local: Float64Array) -> list[str]:
    """Remove the times of cameras that have one for most of their photos; return the problems."""
    problems = []
    for name in np.unique(camera.astype(str)):
        rows = np.flatnonzero((camera == name) & ~np.isnan(local))
        times, count = np.unique(np.floor(local[rows]), return_counts=True)
        if len(rows) and count.max() >= ONE_SECOND and count.max() > 0.5 * len(rows):
            same: BoolArray = np.floor(local[rows]) == times[count.argmax()]
            local[rows[same]] = np.nan
            who = name or "unknown camera"
            problems.append(
                f"{who}: {int(count.max()):,} photos have one and the same second, which is no time"
            )
    return problems


def _zones(
    photos: list[LibraryPhoto], local: Float64Array, stamp: Float64Array, stated: Float64Array
) -> Float64Array:
    """Return a likely offset from UTC (N,), for photos that state none.

    With a time stamp the offset is the nearest quarter of an hour; with a position it is the one
    that the file states beside it, as phones do, else that of the longitude; other photos have that
    of the nearest one in time.
    """
    difference = local - stamp
    quarter = np.round(difference / clocks.QUARTER_S) * clocks.QUARTER_S
    sensible = np.abs(difference) <= 14.5 * 3600.0
    by_stamp = np.where(sensible, quarter, np.nan)
    lon = _column([photo.lon for photo in photos])
    by_lon = np.round(lon / 15.0) * 3600.0
    as_stated = np.abs(stated - by_lon) <= LARGEST_SHIFT_S  # else the clock of another country
    by_place = np.where(as_stated, stated, by_lon)
    known = np.where(np.isnan(by_stamp), by_place, by_stamp)
    rows = np.flatnonzero(~np.isnan(known) & ~np.isnan(local))
    if not len(rows):
        return np.zeros(len(photos))
    order = rows[np.argsort(local[rows], kind="stable")]
    at = np.clip(np.searchsorted(local[order], local), 0, len(order) - 1)
    left = np.maximum(at - 1, 0)
    closer = np.abs(local[order[left]] - local) < np.abs(local[order[at]] - local)
    return np.where(np.isnan(known), known[order[np.where(closer, left, at)]], known)
