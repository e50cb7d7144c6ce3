"""`locate_library`: place all photos of a library together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.explain import describe
from geoloc.geolocator import Geolocator
from geoloc.io.progress import NullReporter, Reporter
from geoloc.trips.clues import photos as reading
from geoloc.trips.clues.times import iso
from geoloc.trips.trip import Kind, PlacedPhoto, Stay, Trip
from geoloc.types import Float64Array

PathLike = str | os.PathLike[str]

BATCH = 512


def locate_library(
    photos: PathLike | Iterable[PathLike],
    tracks: Sequence[PathLike] = (),
    *,
    bundle: PathLike | Geolocator | None = None,
    fixed: PathLike | None = None,
    clocks: Mapping[str, float] | None = None,
    assume_order: bool = False,
    cache: PathLike | None = None,
    report: Reporter | None = None,
) -> Trip:
    """Place all photos of a library by their geotags, times and pictures, and by tracks.

    GPS positions in the files are taken as true, as the caller asks for a trip.

    Args:
        photos: a folder, or paths of photos and folders.
        tracks: files of GPS tracks: GPX, KML, KMZ, FIT, or Google Timeline.
        bundle: name or path of a bundle, or a `Geolocator`; None for the default bundle.
        fixed: a table of photos with known places; columns as in every table of photos.
        clocks: seconds to add to the times of a camera, by its name.
        assume_order: take the order of the files as their time where no photo has one.
        cache: folder of cached embeddings; None for no cache.
        report: receives progress and problems.

    Raises:
        GeolocError: there are no readable photos, or a track, table or bundle cannot be used.
    """
    report = report or NullReporter()
    locator = bundle if isinstance(bundle, Geolocator) else Geolocator.from_bundle(bundle)
    library = reading.read(photos, locator, Path(cache) if cache else None, report)
    out = _placed(library, locator)
    return Trip(
        library.name, locator.bundle.name, out, _one_stay(out), problems=tuple(library.problems)
    )


def _placed(library: reading.Library, locator: Geolocator) -> tuple[PlacedPhoto, ...]:
    times = np.array([p.time.local_s if p.time.plausible else np.nan for p in library.photos])
    known = np.array([[p.lat, p.lon] for p in library.photos], np.float64)
    rows = [
        locator.rank(library.embeddings[start : start + BATCH])
        for start in range(0, len(library.photos), BATCH)
    ]
    point = np.concatenate([each.answer for each in rows])
    radii = np.concatenate([each.radii_km for each in rows])
    chance = np.concatenate([each.answer_probability for each in rows])
    order = np.argsort(np.where(np.isnan(times), np.inf, times), kind="stable")
    placed = _between(times, known)
    latlon = np.where(np.isnan(known), np.where(np.isnan(placed), point, placed), known)
    places = describe(latlon)
    out = []
    for i in order:
        photo = library.photos[i]
        kind: Kind = "guessed"
        how, r, p = "by sight", radii[i], float(chance[i])
        if not np.isnan(known[i, 0]):
            kind, how, r, p = (
                "measured",
                "GPS position in the file",
                np.array([0.01, 0.02, 0.05]),
                1.0,
            )
        elif not np.isnan(placed[i, 0]):
            kind, how, r, p = (
                "interpolated",
                "between geotagged photos",
                np.array([1.0, 3.0, 10.0]),
                0.9,
            )
        when = None if np.isnan(times[i]) else iso(times[i], photo.time.zone_s or 0.0)
        (lat, lon), (r50, r80, r95) = latlon[i].tolist(), r.tolist()
        stay = None if when is None else 0
        out.append(
            PlacedPhoto(
                photo.photo, photo.sha256, photo.camera, when, kind, lat, lon, r50, r80, r95, p,
                how, places[i], stay,
            )
        )  # fmt: skip
    return tuple(out)


def _one_stay(out: Sequence[PlacedPhoto]) -> tuple[Stay, ...]:
    timed = [p for p in out if p.taken_at]
    if not timed:
        return ()
    points = np.array([[p.lat, p.lon] for p in timed], np.float64)
    lat, lon = np.median(points, axis=0).tolist()
    r80 = float(np.quantile(haversine_km([lat, lon], points), 0.8))
    start, end = timed[0].taken_at or "", timed[-1].taken_at or ""
    return (Stay(0, lat, lon, r80, start, end, len(timed), False),)


def _between(times: Float64Array, known: Float64Array) -> Float64Array:
    placed = np.full(known.shape, np.nan)
    have = ~np.isnan(known[:, 0]) & ~np.isnan(times)
    if have.any():
        order = np.flatnonzero(have)[np.argsort(times[have])]
        some = ~np.isnan(times)
        for column in (0, 1):
            placed[some, column] = np.interp(times[some], times[order], known[order, column])
    return placed
