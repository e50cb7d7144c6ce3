"""Groups of photos that are reviewed together: of one kind, one place, and about one time."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from geocells.sphere import haversine_km
from geoloc.trips.trip import Kind, PlacedPhoto, Trip

SPREAD_KM = 1.0
"""Photos farther than this from the first one of a group begin another group, unless the circles of
their 80 % radii overlap."""

MOST_SPREAD_KM = 50.0
"""Farther apart, photos are not of one group, however unsure they are."""

MOST_UNLIKE = 2.0
"""Largest ratio of the 80 % radii of two photos of a group, if one is larger than SPREAD_KM."""

GAP = timedelta(hours=24)
"""A place to which the library returns after a longer time is another group."""

COMPARED = 20
"""Of the groups of a journey, a photo is compared with so many, the youngest ones."""


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that one decision accepts or corrects."""

    kind: Kind
    photos: tuple[int, ...]
    """Rows of `Trip.photos`, ascending."""
    lat: float | None
    """Of the photo in the middle; None for photos without a place."""
    lon: float | None
    radius_80_km: float | None
    """Of the least certain photo."""
    radius_95_km: float | None
    """Likewise."""


def review_groups(trip: Trip) -> list[Group]:
    """Return the groups of a trip, in the order of their first photos.

    Photos are grouped by journey, or by folder where they have no time, and by kind. A group ends
    where its photos lie apart, see SPREAD_KM, or are apart in time, see GAP: so places that are
    known to 25 km are decided once for a way of 50 km, and sure ones for each kilometre. To accept
    a group leaves each photo at its own place.
    """
    rows: list[list[int]] = []
    open_groups: dict[Hashable, list[list[int]]] = {}
    for row, photo in enumerate(trip.photos):
        folder = photo.photo.rpartition("/")[0] if photo.stay is None else None
        journey = None if photo.stay is None else trip.stays[photo.stay].journey
        alike = open_groups.setdefault((journey, folder, photo.kind), [])
        young = reversed(alike[-COMPARED:])
        group = next((each for each in young if _joins(trip, each, photo)), None)
        if group is None:
            group = []
            alike.append(group)
            rows.append(group)
        group.append(row)
    return [_group(trip, each) for each in rows]


def _joins(trip: Trip, group: list[int], photo: PlacedPhoto) -> bool:
    first, last = trip.photos[group[0]], trip.photos[group[-1]]
    if last.taken_at is not None and photo.taken_at is not None:
        gap = datetime.fromisoformat(photo.taken_at) - datetime.fromisoformat(last.taken_at)
        if gap > GAP:
            return False
    return _near(first, photo) and _as_sure(first, photo)


def _near(first: PlacedPhoto, photo: PlacedPhoto) -> bool:
    if first.lat is None or first.lon is None or photo.lat is None or photo.lon is None:
        return first.lat is photo.lat
    apart_km = float(haversine_km([first.lat, first.lon], [photo.lat, photo.lon]))
    reach_km = (first.radius_80_km or 0.0) + (photo.radius_80_km or 0.0)
    return apart_km <= max(SPREAD_KM, min(reach_km, MOST_SPREAD_KM))


def _as_sure(first: PlacedPhoto, photo: PlacedPhoto) -> bool:
    """Whether the radii are alike, so that a sure photo is not held up by an unsure one."""
    radii = sorted(max(SPREAD_KM, each.radius_80_km or 0.0) for each in (first, photo))
    return radii[1] <= MOST_UNLIKE * radii[0]


def _group(trip: Trip, rows: list[int]) -> Group:
    photos = [trip.photos[row] for row in rows]
    at = np.array([(p.lat, p.lon) for p in photos if p.lat is not None], np.float64)
    lat = lon = None
    if len(at):
        to_others = haversine_km(at[:, None], at[np.linspace(0, len(at) - 1, 25).astype(int)])
        lat, lon = at[int(np.argmin(to_others.sum(axis=1)))].tolist()
    return Group(
        photos[0].kind,
        tuple(rows),
        lat,
        lon,
        max((p.radius_80_km for p in photos if p.radius_80_km is not None), default=None),
        max((p.radius_95_km for p in photos if p.radius_95_km is not None), default=None),
    )
