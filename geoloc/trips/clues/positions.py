"""Known positions from beside the photos: a table of the user, and tracks that fit the library."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from geocells.sphere import haversine_km
from geoloc.photos.columns import file_names, require, to_texts
from geoloc.photos.matching import match_names
from geoloc.photos.position import is_position
from geoloc.photos.swapped import read_true_degrees
from geoloc.photos.tables import read_table
from geoloc.trips.clues.tracks import Track
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.types import Float64Array

NEEDS = "the columns file,lat,lon"

CONTRADICTION_KM = 10.0
"""A track is of another journey if the photos during it have their positions farther away."""

FASTEST_KM_S = 0.3
"""An airliner."""

MARGIN_S = 6 * 3600.0
"""A track counts for photos at most this long before or after it."""


def read_fixed(
    table: str | os.PathLike[str], names: Sequence[str]
) -> tuple[Float64Array, list[str]]:
    """Return the positions (N, 2) of a table for N photos, NaN for none, and its problems.

    Args:
        table: with file names and coordinates in degrees.
        names: (N,) paths of the photos in the library.

    Raises:
        TableError: it cannot be read, or a column is missing.
    """
    problems: list[str] = []
    rows = read_table(table, NEEDS, problem=problems.append)
    files = file_names(rows)
    require(table, NEEDS, file=files)
    latlon = read_true_degrees(rows, table, NEEDS)
    given = to_texts(files, len(rows))
    usable = is_position(latlon)
    if not usable.all():
        line = f"row {int(np.argmin(usable)) + 1} has no position"
        problems.append(f"{table}: {line}; {int((~usable).sum()):,} such rows are left out")
    found = match_names(pa.array(given.tolist()), pa.array(list(names))).row
    missing = np.flatnonzero(found < 0)
    if len(missing):
        first = given[missing[0]]
        problems.append(
            f"{table}: {first} is not in the library; {len(missing):,} rows have no photo"
        )
    positions = np.full((len(names), 2), np.nan)
    use = usable & (found >= 0)
    positions[found[use]] = latlon[use]
    return positions, problems


def fitting(
    tracks: Sequence[Track], time_s: Float64Array, known: Float64Array
) -> tuple[list[Track], list[str]]:
    """Return the tracks of this journey, and a line for each that is not.

    Args:
        tracks: any number.
        time_s: (N,) times of the photos, NaN for none.
        known: (N, 2) their positions, NaN for none.
    """
    kept, problems = [], []
    for track in tracks:
        first, last = track.utc_s[0] - MARGIN_S, track.utc_s[-1] + MARGIN_S
        during = (time_s >= first) & (time_s <= last)
        if not during.any():
            problems.append(
                f"{track.name}: no photo was taken during this track; check the clock of the camera"
            )
            continue
        both = (time_s >= track.utc_s[0]) & (time_s <= track.utc_s[-1]) & ~np.isnan(known[:, 0])
        around = during & ~np.isnan(known[:, 0])
        if both.any():
            there = bridge(anchors([track]), time_s[both]).latlon
            off = haversine_km(there, known[both])
            if np.median(off) > CONTRADICTION_KM:
                problems.append(
                    f"{track.name}: left out, because photos during it were taken"
                    f" {np.median(off):,.0f} km away; give the track of this journey"
                )
                continue
        elif _out_of_reach(track, time_s[around], known[around]):
            problems.append(
                f"{track.name}: left out, because nobody gets from it to the photos before and"
                " after it in time; give the track of this journey"
            )
            continue
        kept.append(track)
    return kept, problems


def _out_of_reach(track: Track, time_s: Float64Array, known: Float64Array) -> bool:
    """Whether none of the M photos just before or after a track can be reached from its ends.

    Args:
        track: no photo with a position was taken during it.
        time_s: (M,) times of the photos.
        known: (M, 2) their positions.
    """
    end = np.where(time_s < track.utc_s[0], 0, -1)
    away_km = haversine_km(track.latlon[end], known)
    out = away_km > FASTEST_KM_S * np.abs(track.utc_s[end] - time_s)
    return bool(len(out)) and bool(out.all())


def anchors(tracks: Sequence[Track]) -> Anchors:
    """Return the points of tracks as anchors, in order of time."""
    time_s = np.concatenate([np.zeros(0), *(track.utc_s for track in tracks)])
    latlon = np.concatenate([np.zeros((0, 2)), *(track.latlon for track in tracks)])
    order = np.argsort(time_s, kind="stable")
    return Anchors(time_s[order], latlon[order], np.full(len(order), -1))
