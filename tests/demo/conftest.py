"""A geolocator that always answers the same, with real cells and real photos."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from PIL import Image

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc import photo as photos
from geoloc.guess import Candidate, Exif, Guess, Place, RegionCell

SYDNEY = Place("AU", "Australia", "New South Wales", "Sydney", 1.2)
HOBART = Place("AU", "Australia", "Tasmania", "Hobart", 0.4)


@pytest.fixture
def cells():
    return CellTable(
        cell_id=np.array(["AU-1", "AU-2"]),
        country=np.array(["AU", "AU"]),
        region=np.array(["New South Wales", "Tasmania"]),
        centroids=np.array([[-33.9, 151.2], [-42.9, 147.3]]),
        polygon=np.array([shapely.box(150, -35, 152, -33), shapely.box(145, -44, 149, -41)]),
        count=np.array([5000, 40]),
    )


def make_guess(
    lat=-33.87, lon=151.21, radius_km=12.0, confidence="city", exif=None, photo="photo.jpg"
):
    exif = exif or Exif()
    known = exif.lat is not None
    return Guess(
        photo=photo,
        lat=lat,
        lon=lon,
        radius_km=radius_km,
        radii_km={"50": radius_km / 2, "80": radius_km, "95": radius_km * 3},
        confidence=confidence,
        place=SYDNEY,
        candidates=(
            Candidate(lat, lon, 0.62, "AU-1", SYDNEY),
            Candidate(-42.88, 147.33, 0.21, "AU-2", HOBART),
        ),
        region=(RegionCell("AU-1", 0.62, 0.5), RegionCell("AU-2", 0.21, 0.95)),
        neighbours=(),
        exif=exif,
        exif_distance_km=float(haversine_km([lat, lon], [exif.lat, exif.lon])) if known else None,
        bundle="fake",
    )


class FakeGeolocator:
    """Reads photos as the real one does, and always says Sydney."""

    def __init__(self, cells):
        self.cells = cells
        self.bundle = SimpleNamespace(name="fake")

    def locate(self, source):
        loaded = photos.load(source)
        return make_guess(exif=loaded.exif, photo=loaded.name)


@pytest.fixture
def geolocator(cells):
    return FakeGeolocator(cells)


@pytest.fixture
def photo(tmp_path):
    """A JPEG that says it was taken in Hobart."""
    path = tmp_path / "holiday.jpg"
    image = Image.linear_gradient("L").convert("RGB")
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (42.0, 52.0, 48.0), 3: "E", 4: (147.0, 19.0, 48.0)}
    exif[0x0132] = "2024:07:14 09:30:00"
    image.save(path, exif=exif)
    return path
