"""Two photographers in one folder, whose files nothing tells apart."""

from dataclasses import replace

import numpy as np
import pytest

from geocells.sphere import haversine_km
from geoloc.trips.model.chains import second_chain
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.persons import place_all
from tests.geoloc.trips.model.test_smoothing import evidence

HERE, THERE = np.array([47.0, 8.0]), np.array([47.0, 9.0])  # 76 km apart


def test_positions_of_two_photographers_are_divided():
    rng = np.random.default_rng(0)
    who = rng.permutation(np.repeat([False, True], 15))
    time_s = np.sort(rng.uniform(0.0, 6 * 3600.0, 30))
    latlon = np.where(who[:, None], THERE, HERE) + rng.normal(0.0, 0.01, (30, 2))
    second = second_chain(time_s, latlon)
    assert (second == who).all() or (second == ~who).all()


def motorway(number=200):
    return np.arange(number) * 1800.0, HERE + np.arange(number)[:, None] * [0.0, 0.6]


def commuter(days=60):
    """Home in the morning, at work an hour later and 30 km away, home in the evening."""
    hours = (24.0 * np.arange(days)[:, None] + [8.0, 9.0, 18.0]).ravel()
    return hours * 3600.0, np.tile([HERE, (47.27, 8.0), HERE], (days, 1))


def errors_of_a_receiver(number=300):
    latlon = np.repeat(HERE[None], number, axis=0)
    latlon[::30] = THERE
    return np.arange(number) * 600.0, latlon


@pytest.mark.parametrize("way", [motorway, commuter, errors_of_a_receiver])
def test_one_photographer_stays_one(way):
    assert not second_chain(*way()).any()


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_few_positions_are_of_one(number):
    assert not second_chain(np.arange(number) * 60.0, np.tile(HERE, (number, 1))).any()


def test_photos_without_a_position_go_with_pictures_like_theirs_and_their_radii_hold_both():
    number = 60
    who = np.arange(number) % 2 == 1
    pictures = evidence([5] * number)
    style = np.where(who[:, None], np.eye(16)[0], np.eye(16)[1]) + 0.1 * pictures.features
    style /= np.linalg.norm(style, axis=1, keepdims=True)
    pictures = replace(pictures, features=style.astype(np.float32))
    latlon = np.where(who[:, None], THERE, HERE)
    known = np.where((np.arange(number) // 2 % 3 == 0)[:, None], latlon, np.nan)
    names = [f"IMG_20240305_{100000 + i}.jpg" for i in range(number)]
    placed = place_all(
        [""] * number, names, np.arange(number) * 300.0, known, pictures, TripParameters()
    )
    assert (haversine_km(placed.latlon, latlon) < 1.0).all()
    unknown = np.isnan(known[:, 0])
    apart_km = float(haversine_km(HERE, THERE))
    assert (placed.radii_km[unknown, 1] >= apart_km - 1.0).all()
    assert (placed.radii_km[unknown, 0] < apart_km).all()
    assert (placed.radii_km[~unknown, 1] < 1.0).all()
