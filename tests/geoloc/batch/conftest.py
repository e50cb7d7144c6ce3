"""A fast geolocator in place of the embedded bundle."""

import pytest

from geoloc.geolocator import Geolocator
from tests.geoloc.batch.library import quick_geolocator


@pytest.fixture(scope="session")
def quick_once():
    return quick_geolocator()


@pytest.fixture
def quick(quick_once, monkeypatch):
    """The geolocator that `Geolocator.from_bundle` returns in the test."""
    monkeypatch.setattr(
        Geolocator, "from_bundle", classmethod(lambda cls, name, form=None: quick_once)
    )
    quick_once.encoder.embedded = 0
    return quick_once
