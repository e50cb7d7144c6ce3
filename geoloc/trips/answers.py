"""Answers for people: kind, probability and the sentence that says how a place was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geoloc.answer.explain import describe
from geoloc.guess import Place
from geoloc.trips.clues.photos import LibraryPhoto
from geoloc.trips.clues.times import iso
from geoloc.trips.model.placing import Placement
from geoloc.trips.stays import Stays
from geoloc.trips.trip import Kind, PlacedPhoto, Stay
from geoloc.types import Float64Array

KINDS: dict[str, Kind] = {
    "measured": "measured",
    "between": "interpolated",
    "beyond": "interpolated",
    "recognised": "recognised",
    "guessed": "guessed",
    "lost": "guessed",
    "alone": "guessed",
    "nowhere": "not a place",
}

TOGETHER = "by sight, with the photos before and after it"

CITY_KM = 25.0
_LEVELS = (0.5, 0.8, 0.95)


def probability_within(radii_km: Float64Array, km: float = CITY_KM) -> Float64Array:
    """Return the probability (N,) that calibrated radii (N, 3) imply for a distance."""
    radii = np.maximum(radii_km, 1e-6)
    inner = 0.5 * np.minimum(km / radii[:, 0], 1.0)
    outer = 1.0 - 0.05 * np.minimum(radii[:, 2] / km, 1.0)
    log_km = np.log(radii)
    between = np.array([np.interp(np.log(km), row, _LEVELS) for row in log_km])
    return np.where(km < radii[:, 0], inner, np.where(km > radii[:, 2], outer, between))


def write(
    photos: Sequence[LibraryPhoto],
    placed: Placement,
    time_s: Float64Array,
    zone_s: Float64Array,
    stays: Stays,
) -> tuple[PlacedPhoto, ...]:
    """Return the placed photos in order of time, those without a time last, by name.

    Args:
        photos: N photos.
        placed: their places; NaN and the case "nowhere" for none.
        time_s: (N,) corrected seconds since 1970, NaN for none.
        zone_s: (N,) offsets from UTC.
        stays: their stays.
    """
    chance = probability_within(placed.radii_km)
    has = ~np.isnan(placed.latlon[:, 0])
    named: list[Place | None] = [None] * len(photos)
    for row, place in zip(np.flatnonzero(has), describe(placed.latlon[has]), strict=True):
        named[row] = place
    names = [photo.photo for photo in photos]
    order = sorted(
        range(len(photos)), key=lambda i: (np.isnan(time_s[i]), np.nan_to_num(time_s[i]), names[i])
    )
    return tuple(
        _photo(i, photos, placed, time_s, zone_s, stays, named[i], float(chance[i])) for i in order
    )


def _photo(
    i: int,
    photos: Sequence[LibraryPhoto],
    placed: Placement,
    time_s: Float64Array,
    zone_s: Float64Array,
    stays: Stays,
    place: Place | None,
    chance: float,
) -> PlacedPhoto:
    photo = photos[i]
    when = None if np.isnan(time_s[i]) else iso(float(time_s[i]), float(zone_s[i]))
    values: list[float | None] = [None] * 5
    if place is not None:
        values = [*placed.latlon[i].tolist(), *placed.radii_km[i].tolist()]
    lat, lon, r50, r80, r95 = values
    stay = int(stays.number[i])
    return PlacedPhoto(
        photo=photo.photo,
        sha256=photo.sha256,
        camera=photo.camera,
        taken_at=when,
        kind=KINDS[str(placed.case[i])],
        lat=lat,
        lon=lon,
        radius_50_km=r50,
        radius_80_km=r80,
        radius_95_km=r95,
        probability=chance if place is not None else 0.0,
        how=how(i, photos, placed),
        place=place,
        stay=stay if stay >= 0 else None,
    )


def how(i: int, photos: Sequence[LibraryPhoto], placed: Placement) -> str:
    """Return how the place of photo i was found, for people."""
    case, gap = str(placed.case[i]), placed.bridge.gap_s[i]
    if case == "recognised":
        return f"same scene as {photos[int(placed.scene[i])].photo}"
    if case in ("between", "beyond"):
        where = "between two known positions" if case == "between" else "beyond a known position"
        return f"{where}, {duration(float(gap))} away"
    return {
        "measured": "GPS position in the file",
        "guessed": TOGETHER,
        "lost": TOGETHER,
        "alone": "by sight alone",
    }.get(case, "a picture of a screen or a document")


def duration(seconds: float) -> str:
    """Return a length of time for people: "11 minutes"."""
    for name, length in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        number = round(seconds / length)
        if seconds >= 0.95 * length:
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    return "less than a minute"


def write_stays(stays: Stays, time_s: Float64Array, zone_s: Float64Array) -> tuple[Stay, ...]:
    """Return the stays, with their times by the photos (N,)."""
    out = []
    for number in range(len(stays.journey)):
        rows = np.flatnonzero(stays.number == number)
        first, last = rows[np.argmin(time_s[rows])], rows[np.argmax(time_s[rows])]
        start, end = (iso(float(time_s[row]), float(zone_s[row])) for row in (first, last))
        lat, lon = stays.latlon[number].tolist()
        out.append(
            Stay(
                int(stays.journey[number]), lat, lon, float(stays.radius_80_km[number]), start, end,
                len(rows), bool(stays.frequent[number]),
            )
        )  # fmt: skip
    return tuple(out)
