"""A geolocator that always answers the same, with real cells and real photos."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from answers import make_guess
from PIL import Image

from geocells.table import CellTable
from geoloc import photo as photos


@pytest.fixture
def cells():
    return CellTable(
        cell_id=np.array(["AU-1", "AU-2"]),
        country=np.array(["AU", "AU"]),
        region=np.array(["New South Wales", "Tasmania"]),
        region_id=np.array(["AU/NSW", "AU/TAS"]),
        centroids=np.array([[-33.9, 151.2], [-42.9, 147.3]]),
        polygon=np.array([shapely.box(150, -35, 152, -33), shapely.box(145, -44, 149, -41)]),
        count=np.array([5000, 40]),
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
