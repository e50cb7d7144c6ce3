"""Groups of photos that are reviewed together: photos of one stay, of one kind and one place."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.trips.trip import Kind, PlacedPhoto, Trip

SPREAD_KM = 1.0
"""Photos farther than this from the first one of a group begin another group, unless half the
radius of their places is larger."""


COMPARED = 20
"""Of the groups of a stay, a photo is compared with so many, the youngest ones."""


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

    Photos are grouped by stay, or by folder where they have no time, and by kind. A group is
    divided where its photos lie apart; see SPREAD_KM.
    """
    rows: list[list[int]] = []
    open_groups: dict[Hashable, list[list[int]]] = {}
    for row, photo in enumerate(trip.photos):
        folder = photo.photo.rpartition("/")[0] if photo.stay is None else None
        alike = open_groups.setdefault((photo.stay, folder, photo.kind), [])
        young = reversed(alike[-COMPARED:])
        group = next((each for each in young if _near(trip.photos[each[0]], photo)), None)
        if group is None:
            group = []
            alike.append(group)
            rows.append(group)
        group.append(row)
    return [_group(trip, each) for each in rows]


def _near(first: PlacedPhoto, photo: PlacedPhoto) -> bool:
    if first.lat is None or first.lon is None or photo.lat is None or photo.lon is None:
        return first.lat is photo.lat
    apart_km = float(haversine_km([first.lat, first.lon], [photo.lat, photo.lon]))
    return apart_km <= max(SPREAD_KM, (photo.radius_80_km or 0.0) / 2)


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
