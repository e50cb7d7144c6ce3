"""Prototypes of location clusters: unit length, Gaussian smoothing, behaviour at the poles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.sphere import destination, haversine_km, unit_vectors
from geoloc.encoders.base import normalise
from training.gallery.prototypes import SCALES_KM, prototypes, smoothed

DIM = 12


def unit(count: int, seed: int = 0):
    return normalise(np.random.default_rng(seed).normal(size=(count, DIM)))


def town(place, count: int, reach_km: float, seed: int):
    """Draw places (count, 2) around a place."""
    rng = np.random.default_rng(seed)
    return destination(place, rng.uniform(0, 360, count), rng.uniform(0, reach_km, count))


def by_definition(vectors, latlon, scale_km):
    """Compute Gaussian means over all pairs."""
    away = haversine_km(latlon[:, None], latlon)
    return normalise(np.exp(-0.5 * (away / scale_km) ** 2) @ vectors)


places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(place=places, count=st.integers(1, 40), reach_km=st.sampled_from([0.1, 3.0, 500.0]),
       seed=st.integers(0, 10_000))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_prototypes_have_unit_length_and_do_not_depend_on_order(place, count, reach_km, seed):
    rng = np.random.default_rng(seed)
    latlon = town(place, count, reach_km, seed)
    cluster = np.concatenate([np.arange(count), rng.integers(0, count, 30)])
    features = unit(len(cluster), seed)
    found = prototypes(features, cluster, latlon)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0, abs=1e-5)
    order, members = rng.permutation(count), rng.permutation(len(cluster))
    renamed = np.argsort(order)[cluster]
    again = prototypes(features[members], renamed[members], latlon[order])
    assert again == pytest.approx(found[order], abs=2e-4)


def test_isolated_cluster_has_the_mean_of_its_photos():
    cluster = np.array([0, 0, 0, 1, 2])
    latlon = np.array([(0.0, 0.0), (0.0, 10.0), (89.0, 50.0)])
    features = unit(5)
    means = normalise([features[:3].sum(axis=0), features[3], features[4]])
    assert prototypes(features, cluster, latlon) == pytest.approx(means, abs=1e-5)


def test_smoothing_affects_near_clusters_only():
    here = np.array([48.0, 11.0])
    latlon = np.stack([here, destination(here, 90.0, 1.0), destination(here, 90.0, 1000.0)])
    features = unit(3)
    found = prototypes(features, np.arange(3), latlon)
    before, after = features[0] @ features[1], found[0] @ found[1]
    assert after > before + 0.3
    assert (found[:2] * features[:2]).sum(axis=1).min() > 0.7, "near clusters still differ"
    assert found[2] == pytest.approx(features[2], abs=1e-5)


def test_cluster_weight_grows_with_the_square_root_of_its_photos():
    latlon = np.array([(48.0, 11.0), (48.0, 11.0), (48.0, 11.0)])
    features = np.eye(DIM, dtype=np.float32)[[0] * 16 + [1]]
    found = prototypes(features, np.array([0] * 16 + [1]), latlon[:2], (10.0,))
    surroundings = normalise(np.array([[4.0, 1.0]]))[0]
    expected = normalise(np.eye(2) + surroundings)
    assert found[:, :2] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "place", [(48.0, 11.0), (20.0, 180.0), (-17.0, -179.999), (90.0, 0.0), (-89.99, 77.0)]
)
@pytest.mark.parametrize("scale_km", [0.3, 10.0])
def test_smoothing_approximates_a_gaussian_everywhere(place, scale_km):
    latlon = town(place, 300, 4.0 * scale_km, 1)
    waves = np.random.default_rng(2).normal(0, 4.0, (3, DIM))
    east_and_north = (unit_vectors(latlon) - unit_vectors(place)) * (600.0 / scale_km)
    vectors = normalise(np.sin(east_and_north @ waves + np.arange(DIM)))
    found, expected = smoothed(vectors, latlon, scale_km), by_definition(vectors, latlon, scale_km)
    assert (found * expected).sum(axis=1).min() > 0.97, "the squares have half the scale"
    assert (found * expected).sum(axis=1).mean() > 0.99


def test_places_across_the_antimeridian_are_neighbours():
    for lon in (180.0, -180.0, 11.0):
        latlon = np.array([(-17.0, lon - 0.002), (-17.0, lon + 0.002)])
        latlon[:, 1] = (latlon[:, 1] + 180.0) % 360.0 - 180.0
        features = unit(2)
        found = prototypes(features, np.arange(2), latlon)
        assert found[0] @ found[1] > 0.8 > features[0] @ features[1]


def test_longitudes_at_the_pole_are_one_place():
    latlon = np.array([(89.999, lon) for lon in (-180.0, -90.0, 0.0, 90.0)])
    features = unit(4)
    found = prototypes(features, np.arange(4), latlon)
    mean = normalise(features.mean(axis=0, keepdims=True))[0]
    closer = found @ mean - features @ mean
    assert (closer > 0.1).all()


def test_smoothing_recovers_the_place_from_noisy_photos():
    latlon = town((48.0, 11.0), 1500, 40.0, 3)
    waves = np.random.default_rng(4).normal(0, 60.0, (3, DIM))
    truth = normalise(np.sin(unit_vectors(latlon) @ waves))
    photos = normalise(truth + np.random.default_rng(5).normal(0, 0.3, truth.shape))
    found = prototypes(photos, np.arange(1500), latlon)
    gain = (found * truth).sum(axis=1) - (photos * truth).sum(axis=1)
    assert gain.mean() > 0.1
    assert (gain > 0.0).mean() > 0.95


@pytest.mark.parametrize("scale_km", SCALES_KM)
def test_smoothing_falls_off_with_its_scale(scale_km):
    here = np.array([10.0, 20.0])
    near, far = (np.stack([here, destination(here, 45.0, share * scale_km)]) for share in (1, 4))
    vectors = np.eye(DIM, dtype=np.float32)[:2]
    assert smoothed(vectors, far, scale_km) == pytest.approx(vectors)
    mixed = normalise(np.array([[1.0, np.exp(-0.5)]]))[0]
    assert smoothed(vectors, near, scale_km)[0, :2] == pytest.approx(mixed, abs=1e-3)
