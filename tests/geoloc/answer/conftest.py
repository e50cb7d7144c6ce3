"""The starter, whose calibration covers all kinds of questions."""

import pytest

from geoloc.geolocator import Geolocator


@pytest.fixture(scope="package")
def starter() -> Geolocator:
    return Geolocator.from_bundle("starter")
