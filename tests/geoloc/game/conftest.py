"""Fixtures of game tests: places, and a photo with an EXIF position."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from geoloc.game.places import Places
from tests.geoloc.game.skilled import places_at


@pytest.fixture
def earth() -> Places:
    rng = np.random.default_rng(0)
    towns = np.array([(48.9, 2.4), (-33.9, 151.2), (40.4, -3.7), (-1.3, 36.8), (35.7, 139.7)])
    return places_at(np.repeat(towns, 30, axis=0) + rng.normal(0, 0.5, (150, 2)))


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photo with an EXIF position, and a file name that names the place."""
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitudeRef: "N",
        ExifTags.GPS.GPSLatitude: (48.0, 51.0, 0.0),
        ExifTags.GPS.GPSLongitudeRef: "E",
        ExifTags.GPS.GPSLongitude: (2.0, 21.0, 0.0),
    }
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    path = tmp_path / "eiffel-tower.jpg"
    Image.fromarray(pixels).save(path, exif=exif)
    return path
