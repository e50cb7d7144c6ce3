"""Lakes and rivers: near which points they are."""

from __future__ import annotations

import numpy as np
import pytest

from geocells.water import near_fresh_water

PARIS, CAIRO, TAMANRASSET = (48.86, 2.35), (30.05, 31.23), (22.79, 5.52)
LAUSANNE, BAIKAL, TITICACA = (46.5, 6.63), (53.0, 108.0), (-16.0, -69.3)


def test_cities_on_rivers_and_lakes_are_near_them():
    points = [PARIS, CAIRO, LAUSANNE, TAMANRASSET]
    assert near_fresh_water(points, 5.0, "river").tolist() == [True, True, False, False]
    assert near_fresh_water(points, 5.0, "lake").tolist() == [False, False, True, False]


def test_the_middle_of_a_lake_is_near_it():
    assert near_fresh_water([BAIKAL, TITICACA], 2.0, "lake").all()


@pytest.mark.parametrize("kind", ["lake", "river"])
def test_a_larger_distance_holds_more_points(kind):
    points = np.random.default_rng(0).uniform((-60, -180), (75, 180), (500, 2))
    near, far = (near_fresh_water(points, km, kind) for km in (5.0, 50.0))
    assert near.sum() < far.sum()
    assert (far | ~near).all()
