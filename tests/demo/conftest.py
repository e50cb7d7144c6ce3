"""Fixtures of the demo's tests: photos, a fake geolocator and servers."""

from contextlib import ExitStack

import pytest
from PIL import Image

from tests.demo.fakes import FakeGeolocator, make_cells
from tests.demo.services import mounted


@pytest.fixture
def cells():
    return make_cells()


@pytest.fixture
def geolocator():
    return FakeGeolocator()


@pytest.fixture
def photo(tmp_path):
    """A JPEG with the GPS position of Hobart."""
    path = tmp_path / "holiday.jpg"
    image = Image.linear_gradient("L").convert("RGB")
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (42.0, 52.0, 48.0), 3: "E", 4: (147.0, 19.0, 48.0)}
    exif[0x0132] = "2024:07:14 09:30:00"
    image.save(path, exif=exif)
    return path


@pytest.fixture
def plain(tmp_path):
    """A PNG without metadata."""
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
    """Start real servers on free ports; check at the end that all uploads were deleted."""
    with ExitStack() as serving, pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("uploads")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))

        def start(*geolocators, **options):
            by_name = {geolocator.bundle.name: geolocator for geolocator in geolocators}
            return serving.enter_context(mounted(by_name, **options))

        yield start
        serving.close()
        assert [path for path in folder.rglob("*") if path.is_file()] == []
