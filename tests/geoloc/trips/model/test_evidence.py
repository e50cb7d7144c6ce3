"""What witnesses find counts in full beside the tempered evidence of the pictures."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from geoloc.geolocator import Geolocator
from geoloc.guess import Finding
from geoloc.observation import Observation
from geoloc.photos.decode import load
from geoloc.trips.model.evidence import gather
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.placing import place
from tests.geoloc.trips.model.test_smoothing import evidence


@pytest.fixture(scope="module")
def locator():
    return Geolocator.from_bundle("starter")


def test_belief_without_witnesses_and_what_they_said_are_kept_apart(locator):
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(2, locator.encoder.spec.dim)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    plain = load(Image.new("RGB", (64, 64)))
    row = np.full(len(locator.cells), -3.0, np.float32)
    row[:200] = 0.0
    sign = Observation("text", (Finding("sign", "Rua", "Portuguese"),), row)
    photos = [plain, replace(plain, observations=(sign,))]
    alone, told = gather(locator, embeddings), gather(locator, embeddings, photos)
    cells = np.arange(len(locator.cells))
    one, two = (each.log_likelihood(cells, 0.1, 0.0) for each in (alone, told))
    assert two[0] == pytest.approx(one[0], abs=1e-3)
    gain = two[1] - one[1]
    assert gain[:200].mean() > gain[200:].mean() + 0.5


def test_one_sign_places_the_photos_of_a_walk():
    pictures = evidence([50] * 6)
    stated = np.full((6, 257), 0.0, np.float32)
    stated[2] = -6.0
    stated[2, np.flatnonzero(pictures.cell[2] == 300)] = 3.0
    told = replace(pictures, stated=stated)
    told.cell[2, 5] = 300
    stated[2, 5] = 3.0
    none = np.full((6, 2), np.nan)
    parameters = TripParameters(alpha=0.05)
    without = place(np.arange(6) * 60.0, none, pictures, parameters)
    placed = place(np.arange(6) * 60.0, none, told, parameters)
    there = pictures.centroids[300, 1]
    assert np.abs(placed.latlon[2, 1] - there) < np.abs(without.latlon[2, 1] - there) - 5.0


def test_photos_of_one_stay_share_one_question_and_others_count_alone():
    several = evidence([5] * 6)
    time_s = np.array([0.0, 60.0, 120.0, 180.0, 7200.0, 90_000.0])
    together = several.exponents(time_s, 0.4)
    assert together[:4] == pytest.approx(several.consensus.exponents(np.full(4, 4.0)))
    assert together[4:] == pytest.approx(0.4)
    assert several.exponents(time_s, 0.01) == pytest.approx(0.01)
