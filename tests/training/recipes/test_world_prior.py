"""Priors of `learn`: the world's density from the starter bundle, and the prior of use."""

import numpy as np
import pytest

from geoloc.bundle import directory
from training.recipes.world_prior import (
    ELSEWHERE_SHARE,
    WORLD_POINTS,
    cells_of,
    draw_points,
    priors_over,
    read_world,
    suggested_prior,
)


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    return read_world(())[0]


def walk(lat: float, lon: float, count: int = 40) -> np.ndarray:
    """Return coordinates (count, 2) of a walk of some km."""
    return np.array([lat, lon]) + np.random.default_rng(0).uniform(0, 0.05, (count, 2))


def test_world_without_coordinates_follows_the_starter(world):
    starter = directory.load("starter")
    cells, prior = starter.cells, starter.ranker.heads.prior
    assert len(world) == WORLD_POINTS
    share = np.bincount(cells.locate(world), minlength=len(cells)) / len(world)
    assert np.abs(share - prior).sum() < 0.2, "whole points of a density over many cells"


def test_points_are_drawn_from_cells_with_probability_only():
    cells = directory.load("starter").cells
    cells = cells.take(np.flatnonzero(np.isin(cells.country, ["FJ", "IS"])))
    prior = np.where(cells.country == "FJ", 1.0, 0.0).astype(np.float32)
    points = draw_points(cells, prior / prior.sum(), 50)
    assert np.array_equal(points, draw_points(cells, prior / prior.sum(), 50))
    country = cells.country[cells.locate(points)]
    assert (country == "FJ").all(), "on both sides of the antimeridian"


def test_cells_cover_the_world_and_priors_follow_the_photos_and_the_world(world):
    photos = walk(48.8, 2.3)
    cells = cells_of(photos, world)
    assert len(np.unique(cells.country)) > 200
    priors = priors_over(cells, photos, world)
    assert priors.name == "collection"
    for prior in (priors.world, priors.use):
        assert prior.min() > 0
        assert prior.sum() == pytest.approx(1.0, abs=1e-5)
    home = np.unique(cells.locate(photos))
    assert priors.use[home].sum() == pytest.approx(1 - ELSEWHERE_SHARE, abs=0.02)
    assert priors.world[home].sum() < 0.05
    asked = priors_over(cells, photos, world, "world")
    assert asked.name == "world"
    assert np.array_equal(asked.use, priors.world)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(48.8, 2.3), (-33.8, 151.2)], "collection"),  # two countries
        ([(48.8, 2.3), (50.85, 4.35), (52.37, 4.9), (51.5, -0.1)], "collection"),  # near
        ([(48.8, 2.3), (40.7, -74.0), (35.7, 139.7)], "world"),
        ([(-16.5, 179.9), (-17.7, 178.0), (-13.8, -171.8), (-21.2, -175.2)], "collection"),
    ],
)
def test_prior_follows_the_spread_of_the_photos(places, expected):
    photos = np.concatenate([walk(*place) for place in places])
    photos[:, 1] = (photos[:, 1] + 180) % 360 - 180
    assert suggested_prior(photos) == expected


def test_some_journeys_do_not_change_the_prior_of_a_library():
    photos = np.concatenate([walk(48.8, 2.3, 95), walk(40.7, -74.0, 3), walk(35.7, 139.7, 2)])
    assert suggested_prior(photos) == "collection"
