"""What tests share: where the data of development lies, and a library of drawn photos."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import ExifTags, Image

from tests.browser import browser as browser
from tests.browser import chromium_driver as chromium_driver
from tests.browser import visit as visit
from tests.browser import webgl_browser as webgl_browser
from tests.scenes import PLACES, draw_photo

SHARED = Path(os.environ.get("SHARED", Path(__file__).parents[2] / "shared"))


# A run says the same on every machine, however busy it is.
# `pytest --hypothesis-profile=default` searches further.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def child_processes_hear_ctrl_c():
    """Processes of tests stop on Ctrl-C even if a background shell makes this one ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Development data, which is not part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the development data is not beside the repository")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def full_precision():
    """Tests get the same answers on every machine, whichever form of an encoder is faster there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOLOC_FORM", "fp32")
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_installed(tmp_path_factory):
    """Tests know the embedded bundle only, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory) -> Path:
    """60 geotagged photos of three places with their own looks, one without GPS, one damaged."""
    folder = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    for number in range(60):
        style = number % 3
        lat, lon = np.array(PLACES[style]) + rng.normal(0, 0.05, 2)
        exif = Image.Exif()
        exif[ExifTags.IFD.GPSInfo] = {
            ExifTags.GPS.GPSLatitudeRef: "S" if lat < 0 else "N",
            ExifTags.GPS.GPSLatitude: (abs(lat), 0.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (lon, 0.0, 0.0),
        }
        exif[ExifTags.Base.DateTime] = "2024:05:06 07:08:09"
        draw_photo(style, rng).save(folder / f"{number:02}.jpg", exif=exif)
    draw_photo(0, rng).save(folder / "without.jpg")
    (folder / "damaged.jpg").write_bytes((folder / "00.jpg").read_bytes()[:900])
    return folder
