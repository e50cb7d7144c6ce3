"""A small photo library on disk: a phone with GPS, a camera without, and the track of a walk."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from geoloc.io.digests import sha256
from tests.geoloc.photos.samples import gps_exif
from tests.scenes import draw_photo

START = datetime.fromisoformat("2024-05-06T09:00:00")
WALK = [(43.9476 + 0.001 * i, 4.5374 + 0.001 * i) for i in range(12)]
"""A point every ten minutes from START, UTC+2."""


def photo_exif(model: str, at: datetime, latlon: tuple[float, float] | None) -> Image.Exif:
    taken = at.strftime("%Y:%m:%d %H:%M:%S")
    exif = Image.Exif() if latlon is None else gps_exif(*latlon, taken)
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = model.split(" ", 1)
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: taken,
        ExifTags.Base.OffsetTimeOriginal: "+02:00",
    }
    return exif


def write_library(folder: Path) -> Path:
    """Write 12 photos: every third one of a phone with GPS, the others of a camera without."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i, latlon in enumerate(WALK):
        phone = i % 3 == 0
        exif = photo_exif(
            "Google Pixel 8" if phone else "Canon EOS 90D",
            START + timedelta(minutes=10 * i),
            latlon if phone else None,
        )
        small = draw_photo(0, rng).resize((160, 120), Image.Resampling.BILINEAR)
        small.save(folder / f"{'phone' if phone else 'camera'}-{i:02}.jpg", exif=exif)
    return folder


def write_gpx(path: Path) -> Path:
    """Write the walk as a track."""
    points = "".join(
        f'<trkpt lat="{lat:.6f}" lon="{lon:.6f}"><time>{_utc(i)}</time></trkpt>'
        for i, (lat, lon) in enumerate(WALK)
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>\n"
    )
    return path


def write_decisions(path: Path, library: str, beside: Path) -> Path:
    """Write decisions that place the photos of the camera on the walk, as the page saves them."""
    photos = [
        {"photo": file.name, "sha256": sha256(file), "lat": WALK[int(file.stem[-2:])][0],
         "lon": WALK[int(file.stem[-2:])][1], "radius_80_km": 0.5, "kind": "interpolated",
         "decision": "accepted", "how": "on the track"}
        for file in sorted((beside / library).glob("camera-*.jpg"))
    ]  # fmt: skip
    values = {"schema_version": 1, "library": library, "bundle": "starter", "photos": photos}
    path.write_text(json.dumps(values))
    return path


def _utc(i: int) -> str:
    return (START + timedelta(minutes=10 * i) - timedelta(hours=2)).isoformat() + "Z"
