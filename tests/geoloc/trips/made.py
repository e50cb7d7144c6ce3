"""Trips made by hand, with the photos they speak of."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from geoloc.guess import Place
from geoloc.trips.trip import Clock, PlacedPhoto, Stay, Trip
from tests.scenes import draw_photo

PARIS, LYON, NICE = (48.8566, 2.3522), (45.7640, 4.8357), (43.7102, 7.2620)
NAMES = {PARIS: "Paris", LYON: "Lyon", NICE: "Nice"}
START = datetime.fromisoformat("2024-05-06T09:00:00+02:00")

STAYS = (
    # place, kinds of photos, hours after the start
    (PARIS, ("measured", "measured"), 0.0),
    (PARIS, ("interpolated", "interpolated", "interpolated"), 1.0),
    (LYON, ("guessed", "guessed", "guessed"), 24.0),
    (NICE, ("recognised", "not a place"), 48.0),
)
RADII_KM = {"measured": 0.02, "interpolated": 1.2, "recognised": 0.3, "guessed": 60.0}
HOW = {
    "measured": "GPS position in the file",
    "interpolated": "between two geotagged photos 11 minutes apart",
    "recognised": "same scene as IMG_1234.jpg",
    "guessed": "by sight",
    "not a place": "shows a document",
}


def write_photos(library: Path, number: int = 10) -> None:
    """Draw small photos `day/NN.jpg`, without metadata."""
    rng = np.random.default_rng(0)
    (library / "day").mkdir(parents=True, exist_ok=True)
    for i in range(number):
        path = library / "day" / f"{i:02}.jpg"
        draw_photo(i % 3, rng).resize((80, 60), Image.Resampling.BILINEAR).save(path)


def make_trip(library: Path | None = None, **changes) -> Trip:
    """A journey from Paris over Lyon to Nice: 10 photos in 5 groups, of which 3 can be decided.

    Args:
        library: folder with the files of `write_photos`, whose digests the trip gets.
        changes: of fields of the trip.
    """
    photos, stays = [], []
    for number, (at, kinds, hours) in enumerate(STAYS):
        begin = START + timedelta(hours=hours)
        for i, kind in enumerate(kinds):
            name = f"day/{len(photos):02}.jpg"
            content = (library / name).read_bytes() if library else name.encode()
            where = kind != "not a place"
            km = RADII_KM.get(kind)
            photos.append(
                PlacedPhoto(
                    name, hashlib.sha256(content).hexdigest(), "Canon EOS",
                    (begin + timedelta(minutes=i)).isoformat(), kind,
                    at[0] if where else None, at[1] if where else None,
                    km and km / 2, km, km and 3 * km, 0.9 if where else 0.0, HOW[kind],
                    Place("FR", "France", "", NAMES[at], 0.5) if where else None, number,
                )
            )  # fmt: skip
        last = begin + timedelta(minutes=len(kinds) - 1)
        stays.append(
            Stay(0, *at, 1.0, begin.isoformat(), last.isoformat(), len(kinds), number == 0)
        )
    values = {
        "library": str(library or "library"), "bundle": "starter", "photos": tuple(photos),
        "stays": tuple(stays),
        "clocks": (Clock("Canon EOS", 3720.0, 3600.0, 3840.0, 0.0, True, "14 shared scenes"),),
        "tracks": ((PARIS, (47.3, 3.5), LYON),),
        "problems": ("day/bad.jpg: not a picture; leave it out",),
    }  # fmt: skip
    return Trip(**values | changes)
