"""Kriging: covariances are found again, and estimates are those of the linear algebra."""

import numpy as np
import pytest

from geocells.sphere import haversine_km
from training.retrieve.field import NEIGHBOURS, SCALES_KM, Covariance, PlaceField, groups

WIDTH = 4


def field(count: int, noise: float = 0.5, scale_km: float = 400.0, seed: int = 0):
    """Return coordinates (N, 2), what belongs to the places (N, WIDTH), and photos of them."""
    rng = np.random.default_rng(seed)
    latlon = np.column_stack([rng.uniform(30, 50, count), rng.uniform(0, 25, count)])
    distance = haversine_km(latlon[:, None], latlon)
    root = np.linalg.cholesky(np.exp(-distance / scale_km) + 1e-9 * np.eye(count))
    truth = root @ rng.standard_normal((count, WIDTH))
    return latlon, truth, truth + np.sqrt(noise) * rng.standard_normal((count, WIDTH))


def flat_covariance(noise: float, scale: int) -> Covariance:
    """Return the covariance with variance 1 at one of SCALES_KM."""
    shared = np.zeros((1, len(SCALES_KM) + 1))
    shared[0, scale] = 1.0
    return Covariance(shared, np.array([noise]))


def estimates(latlon, photos, covariance):
    """Return the estimates of all places by band, and those without the place itself."""
    blocks = list(PlaceField(latlon, photos, np.ones(len(latlon)), covariance).estimates())
    bands = {
        name: np.concatenate([block.by_band[name] for block in blocks])
        for name in blocks[0].by_band
    }
    return bands, np.concatenate([block.by_others for block in blocks])


def test_estimate_without_the_place_is_that_of_the_other_photos():
    latlon, _, photos = field(NEIGHBOURS)
    covariance = flat_covariance(0.5, SCALES_KM.index(400.0))
    bands, others = estimates(latlon, photos, covariance)
    shared = np.exp(-haversine_km(latlon[:, None], latlon) / 400.0)
    noisy = shared + 0.5 * np.eye(len(latlon))
    assert bands["near"] == pytest.approx(shared @ np.linalg.solve(noisy, photos), abs=1e-3)
    rest = np.arange(1, len(latlon))
    alone = shared[0, rest] @ np.linalg.solve(noisy[np.ix_(rest, rest)], photos[rest])
    assert others[0] == pytest.approx(alone, abs=1e-3)


def test_estimate_is_nearer_to_the_place_than_its_photo():
    latlon, truth, photos = field(600)
    fitted = Covariance.of(photos, latlon, np.full(len(latlon), -1))
    near = estimates(latlon, photos, fitted)[0]["near"]
    assert np.mean((near - truth) ** 2) < 0.8 * np.mean((photos - truth) ** 2)


def test_covariance_of_the_photos_is_found():
    latlon, _, photos = field(1200, noise=0.3, scale_km=100.0)
    fitted = Covariance.of(photos, latlon, np.full(len(latlon), -1))
    at = 50.0
    expected = np.exp(-at / 100.0)
    model = fitted.shared[0, :-1] @ np.exp(-at / np.array(SCALES_KM)) + fitted.shared[0, -1]
    assert model == pytest.approx(expected, abs=0.2)


def test_photos_by_one_author_tell_nothing_about_the_place():
    """Each author stays at one place, and their photos share a style."""
    rng = np.random.default_rng(0)
    author = np.repeat(np.arange(150), 6)
    home = np.column_stack([rng.uniform(30, 50, 150), rng.uniform(0, 25, 150)])
    latlon = home[author] + rng.normal(0, 0.001, (900, 2))
    photos = rng.standard_normal((150, WIDTH))[author] + 0.1 * rng.standard_normal((900, WIDTH))
    of_place = Covariance.of(photos, latlon, np.full(900, -1))
    of_others = Covariance.of(photos, latlon, author)
    assert of_place.shared.sum() > 0.8
    assert of_others.shared.sum() < 0.6 * of_place.shared.sum()


def test_photos_by_a_single_author_share_nothing_that_is_known():
    latlon, _, photos = field(100)
    fitted = Covariance.of(photos, latlon, np.zeros(100, int))
    assert (fitted.shared == 0.0).all()
    bands, others = estimates(latlon, photos, fitted)
    assert (bands["near"] == 0.0).all()
    assert np.abs(others).max() < 1e-5


def test_coarse_bands_leave_out_what_changes_within_a_town():
    latlon, _, photos = field(400)
    shared = np.zeros((1, len(SCALES_KM) + 1))
    shared[0, 0], shared[0, SCALES_KM.index(400.0)] = 1.0, 1.0
    bands, _ = estimates(latlon, photos, Covariance(shared, np.array([0.1])))
    assert np.abs(bands["near"]).mean() > np.abs(bands["region"]).mean()
    assert bands["city"] == pytest.approx(bands["region"]), "no scale lies between them"


def test_places_at_one_point_and_fewer_places_than_neighbours_are_estimated():
    latlon = np.array([[10.0, 10.0]] * 3 + [[20.0, 20.0]])
    photos = np.eye(4)
    bands, others = estimates(latlon, photos, flat_covariance(0.5, 3))
    assert np.isfinite(others).all()
    assert np.isfinite(bands["near"]).all()
    assert bands["near"][0] == pytest.approx(bands["near"][2], abs=1e-5), "they are one place"
    assert bands["near"][3].argmax() == 3


def test_groups_cover_the_components():
    for width in (1, 4, 5, 130, 512):
        covered = np.concatenate([np.arange(group.start, group.stop) for group in groups(width)])
        assert covered.tolist() == list(range(width))
