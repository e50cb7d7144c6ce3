"""Geolocators that look at real photos with real code, and always answer the same."""

from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from PIL import Image

from geocells.table import CellTable
from geoloc.belief.constraints import parse, require
from geoloc.encoders.base import Preprocessing
from geoloc.photos.decode import load
from tests.demo.answers import HOBART, make_guess
from tests.demo.services import mounted


def make_cells():
    return CellTable(
        cell_id=np.array(["AU-1", "AU-2"]),
        country=np.array(["AU", "AU"]),
        region=np.array(["New South Wales", "Tasmania"]),
        region_id=np.array(["AU/NSW", "AU/TAS"]),
        centroids=np.array([[-33.9, 151.2], [-42.9, 147.3]]),
        polygon=np.array([shapely.box(150, -35, 152, -33), shapely.box(145, -44, 149, -41)]),
        count=np.array([5000, 40]),
    )


class FakeEncoder:
    """Counts what it looks at."""

    def __init__(self):
        pixels = Preprocessing(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self.spec = SimpleNamespace(preprocessing=pixels, dim=4)
        self.looked = 0

    def embed(self, pixels):
        self.looked += len(pixels)
        return np.ones((len(pixels), 4), np.float32)


class FakeGeolocator:
    """Reads photos and constraints as the real one does, and says Sydney, or Hobart if it must."""

    def __init__(self, name="fake", patches=None):
        self.cells, self.encoder = make_cells(), FakeEncoder()
        self.bundle = SimpleNamespace(name=name)
        self.patches = patches
        self.load = load

    def locate(self, source):
        loaded = load(source)
        return make_guess(exif=loaded.exif, photo=loaded.name)

    def restrict(self, within):
        if within is None:
            return None
        constraint = parse(within)
        require(constraint, self.cells)
        sydney, hobart = constraint.cells(self.cells)
        return SimpleNamespace(name=constraint.name, hobart=hobart > sydney)

    def guess(self, embeddings, photos, top=5, constraint=None):
        assert len(embeddings) == len(photos)
        return [self._one(photo, constraint) for photo in photos]

    def guess_together(self, embeddings, groups, top=5, constraint=None):
        assert len(embeddings) == sum(map(len, groups))
        return [replace(self._one(photos[0], constraint), photos=len(photos)) for photos in groups]

    def attribution(self, source):
        load(source)
        return self.patches

    def _one(self, photo, constraint):
        there = {"lat": -42.88, "lon": 147.33} if constraint and constraint.hobart else {}
        guess = make_guess(exif=photo.exif, photo=photo.name, **there)
        if there:
            guess = replace(guess, place=HOBART)
            guess = replace(guess, candidates=(replace(guess.candidates[0], place=HOBART),))
        return replace(guess, within=constraint.name if constraint else "", bundle=self.bundle.name)


@pytest.fixture
def cells():
    return make_cells()


@pytest.fixture
def geolocator():
    return FakeGeolocator()


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


@pytest.fixture
def plain(tmp_path):
    """A PNG that says nothing."""
    path = tmp_path / "plain.png"
    Image.linear_gradient("L").rotate(90).convert("RGB").save(path)
    return path


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_text("not a picture")
    return path


@pytest.fixture
def heic(tmp_path):
    import pillow_heif

    path = tmp_path / "phone.heic"
    pillow_heif.register_heif_opener()
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Starts real servers on free ports, whose uploads go to a folder that is looked at."""
    with ExitStack() as serving, pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("uploads")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))

        def start(*geolocators, **options):
            by_name = {geolocator.bundle.name: geolocator for geolocator in geolocators}
            return serving.enter_context(mounted(by_name, **options))

        yield start
        serving.close()
        assert [path for path in folder.rglob("*") if path.is_file()] == []
