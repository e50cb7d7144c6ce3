"""The review of a trip as one HTML page that loads nothing: map, timeline, groups, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from geoloc.io.atomic import AtomicFile
from geoloc.output.html import stream
from geoloc.output.map.base import Tile, base_map, most_used, tiles_of
from geoloc.output.thumbnails import thumbnail
from geoloc.trips.review.groups import Group, review_groups
from geoloc.trips.review.towns import town_rows
from geoloc.trips.trip import RIGHT_S, SCHEMA_VERSION, Clock, Kind, PlacedPhoto, Trip
from geoloc.types import Float64Array

PACKAGE = "geoloc.trips"

PICTURES_OF_GROUP = 6
"""First, last and evenly between, so that a group can be recognised."""

MAX_PICTURES = 2_000
MAX_PICTURE_BYTES = 16_000_000
"""Groups beyond either limit have no pictures: the page stays usable with 100,000 photos."""

PICTURE_PX = 112
QUALITY = 65

KINDS: tuple[Kind, ...] = get_args(Kind)


def write_page(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    """Write the page into an open file; see `page_parts`.

    Raises:
        OSError: the file cannot be written.
    """
    for part in page_parts(trip, library):
        out.write_text(part)


def page_parts(trip: Trip, library: Path | None) -> Iterable[str]:
    """Yield the page in pieces.

    Args:
        trip: the trip.
        library: the folder of its photos, which are read for small pictures; None for no pictures.
    """
    groups = review_groups(trip)
    pictures = {} if library is None else _pictures(trip, groups, library)
    group_of = {row: number for number, group in enumerate(groups) for row in group.photos}
    data = {
        "schema_version": SCHEMA_VERSION,
        "library": trip.library,
        "bundle": trip.bundle,
        "kinds": KINDS,
        "base": base_map(_tiles(groups, trip.tracks)),
        "towns": town_rows(_places(groups)),
        "tracks": [np.round(track, 5).tolist() for track in trip.tracks if len(track) > 1],
        "photos": [
            [*_values(trip, photo), group_of[row], pictures.get(row, "")]
            for row, photo in enumerate(trip.photos)
        ],
        "groups": [_group_values(group) for group in groups],
        "notes": [*map(clock_line, trip.clocks), *trip.problems],
    }
    return stream("review.html", PACKAGE, data=data)


def clock_line(clock: Clock) -> str:
    """Return what is known of a clock, in one line."""
    half = (clock.high_s - clock.low_s) / 2
    width = _duration(half).lstrip("+")
    offset = f"{_duration(clock.offset_s)} ± {width}"
    wrong = abs(clock.offset_s) >= RIGHT_S
    if clock.doubtful:
        state = f"not corrected, because this is not sure; it may be off by {offset}"
    elif clock.applied and (wrong or not clock.zone_shift_s):
        state = f"corrected by {offset}"
    else:
        state = f"right, to {width}"
    if clock.zone_shift_s:
        local = f"local time, {_duration(-clock.zone_shift_s)} from what was assumed"
        state = local if state.startswith("right") else f"{local}; {state}"
    drift = f", {clock.drift_s_per_day:+.1f} s a day" if clock.drift_s_per_day else ""
    return f"clock of {clock.camera or 'an unknown camera'}: {state}{drift} ({clock.evidence})"


def _duration(seconds: float) -> str:
    """Return a signed duration in its largest sensible unit."""
    size = abs(seconds)
    for unit, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if size >= 2 * unit:
            return f"{seconds / unit:+,.1f} {name}"
    return f"{seconds:+,.0f} s"


def _values(trip: Trip, photo: PlacedPhoto) -> list[Any]:
    """Return the values of a photo, in the order of `FIELDS` in review_state.js."""
    return [
        photo.photo,
        photo.sha256,
        photo.taken_at,
        KINDS.index(photo.kind),
        *(None if value is None else round(value, 6) for value in (photo.lat, photo.lon)),
        photo.radius_80_km,
        photo.how,
        "" if photo.place is None else str(photo.place),
        None if photo.stay is None else trip.stays[photo.stay].journey,
    ]


def _group_values(group: Group) -> list[Any]:
    """Return the values of a group, in the order of `GROUP_FIELDS` in review_state.js."""
    return [group.lat, group.lon, group.radius_80_km, group.radius_95_km]


def _tiles(groups: Sequence[Group], tracks: Sequence[Sequence[tuple[float, float]]]) -> list[Tile]:
    """Return the tiles of the map that hold most groups, and the ends of tracks."""
    ends = [each for track in tracks for each in (*track[:1], *track[-1:])]
    return most_used(tiles_of(np.concatenate([_places(groups), np.reshape(ends, (-1, 2))])))


def _places(groups: Sequence[Group]) -> Float64Array:
    """Return (N, 2) degrees of the groups that have a place."""
    points = [(group.lat, group.lon) for group in groups if group.lat is not None]
    return np.array(points, np.float64).reshape(-1, 2)


def _pictures(trip: Trip, groups: Sequence[Group], library: Path) -> dict[int, str]:
    """Return data URIs of the pictures of each group by row, within the limits.

    Every group gets its first picture before any gets a second one.
    """
    chosen = [
        np.unique(np.linspace(0, len(group.photos) - 1, PICTURES_OF_GROUP).round().astype(int))
        for group in groups
    ]
    found: dict[int, str] = {}
    size = 0
    for place in range(PICTURES_OF_GROUP):
        for group, rows in zip(groups, chosen, strict=True):
            if place >= len(rows) or len(found) >= MAX_PICTURES or size >= MAX_PICTURE_BYTES:
                continue
            row = group.photos[rows[place]]
            file = str(library / trip.photos[row].photo)
            uri = thumbnail(file, PICTURE_PX, QUALITY, Image.Resampling.BILINEAR)
            size += len(uri)
            if uri:
                found[row] = uri
    return found
