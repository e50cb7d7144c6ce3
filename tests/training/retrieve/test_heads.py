"""Band heads, image-GPS contrast and re-ranker learn what they are for, on small embeddings."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from geocells.sphere import haversine_km
from geoloc.encoders.base import normalise
from geoloc.retrieval.cross import Compared
from geoloc.retrieval.gallery import NearestClusters
from training.retrieve.bands import Photos, contrast_loss, fit_bands
from training.retrieve.location import LocationEncoder, contrast
from training.retrieve.mining import ELSEWHERE_KM, look_alikes, squares
from training.retrieve.places import estimate_places
from training.retrieve.rerank import fit_weights, street_level
from training.retrieve.settings import BandConfig, LocationConfig

PLACES, VIEWS, DIM = 60, 6, 24


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features (N, DIM) of photos of some places, coordinates (N, 2) and authors (N,).

    The second half of the features tells the author, not the place.
    """
    rng = np.random.default_rng(seed)
    towns = np.column_stack([rng.uniform(-60, 60, PLACES), rng.uniform(-180, 180, PLACES)])
    place = np.repeat(np.arange(PLACES), VIEWS)
    author = place * 2 + np.tile(np.arange(VIEWS) % 2, PLACES)
    half = DIM // 2
    of_place = rng.standard_normal((PLACES, half))[place]
    of_author = 2.0 * rng.standard_normal((2 * PLACES, half))[author]
    noise = 0.3 * rng.standard_normal((len(place), DIM))
    features = normalise(np.hstack([of_place, of_author]) + noise)
    latlon = towns[place] + rng.normal(0, 0.001, (len(place), 2))
    return features, latlon, author


def separation(features: np.ndarray, latlon: np.ndarray, author: np.ndarray) -> float:
    """Return how much more alike photos of one place by two authors are than others."""
    similarity = normalise(features) @ normalise(features).T
    near = haversine_km(latlon[:, None], latlon) < 5.0
    other = author[:, None] != author
    return float(similarity[near & other].mean() - similarity[~near].mean())


def test_band_heads_bring_photos_of_one_place_by_different_authors_together():
    features, latlon, author = world()
    cell = np.arange(len(latlon)) // (3 * VIEWS)
    config = BandConfig(near=12, city=12, region=12, steps=80, batch=128, learning_rate=5e-3)
    maps = fit_bands(Photos(features, latlon, cell, author), config)
    assert set(maps) == {"near", "city", "region"}
    before = separation(features, latlon, author)
    for name in ("near", "city"):
        assert maps[name].shape == (DIM, 12)
        assert separation(features @ maps[name], latlon, author) > before + 0.1, name


def test_photos_in_between_count_neither_way():
    similarity = torch.tensor([[3.0, 1.0, 50.0]])
    positive = torch.tensor([[True, False, False]])
    negative = torch.tensor([[False, True, False]])
    expected = np.log1p(np.exp(-2.0))
    assert contrast_loss(similarity, positive, negative).item() == pytest.approx(expected, rel=1e-5)
    nobody = torch.zeros_like(positive)
    assert contrast_loss(similarity, nobody, negative).item() == 0.0


def test_look_alikes_are_far_away():
    features, latlon, _ = world()
    rows = np.arange(0, len(latlon), 7)
    found = look_alikes(features, latlon, rows, 10_000, np.random.default_rng(0))
    assert (haversine_km(latlon[rows, None], latlon[found]) >= ELSEWHERE_KM).all()


def test_companions_in_a_square_are_nearby():
    _, latlon, _ = world()
    rows = np.arange(len(latlon))
    near = squares(latlon, 25.0).draw(rows, np.random.default_rng(0))
    assert haversine_km(latlon, latlon[near]).max() < 30.0


def test_location_encoder_starts_from_the_estimate_and_finds_the_places_of_new_photos():
    features, latlon, author = world()
    rng = np.random.default_rng(1)
    new = rng.permutation(len(latlon)) % VIEWS == 0
    known = Photos(features[~new], latlon[~new], np.zeros(int((~new).sum()), int), author[~new])
    places = estimate_places(known)
    config = LocationConfig(dim=24, frequencies=32, width=64, epochs=10, batch=100, queue=200)
    around = places.by_others, places.cluster
    located = contrast(known.features, known.latlon, around, config)
    queried = normalise(features[new] @ located.projection)
    encoded = located.encoder.encode(known.latlon, places.by_band["near"], places.cluster)
    distance = haversine_km(latlon[new], known.latlon[(queried @ encoded.T).argmax(axis=1)])
    assert (distance < 50.0).mean() > 0.5, "by chance it is one in sixty"


def test_encoded_coordinates_have_no_seam():
    encoder = LocationEncoder(LocationConfig(), 8, 0)
    torch.nn.init.normal_(encoder.network[-1].weight)
    at = encoder.encode(
        np.array([[10.0, 180.0], [10.0, -180.0], [90.0, 0.0], [90.0, 77.0]]),
        np.ones((1, 8), np.float16),
        np.zeros(4, int),
    )
    assert np.allclose(at[0], at[1], atol=1e-5)
    assert np.allclose(at[2], at[3], atol=1e-5)
    assert not np.allclose(at[0], at[2], atol=1e-2)


def test_reranker_prefers_the_feature_that_tells_the_place():
    rng = np.random.default_rng(0)
    photos, clusters = 300, 20
    features = rng.standard_normal((photos, clusters, 12)).astype(np.float32)
    distance = np.where(np.arange(clusters) == 4, 0.1, 3000.0) * np.ones((photos, 1))
    features[:, 4, 1] += 3.0
    compared = Compared(features, np.ones((photos, 4), np.float32))
    nearest = NearestClusters(
        np.zeros((photos, clusters), np.float32), np.tile(np.arange(clusters), (photos, 1))
    )
    weights = fit_weights(compared, nearest, distance).sum(axis=0)
    assert weights.argmax() == 1


def test_sources_of_street_views_are_recognised():
    source = np.array(["osv5m", "Mapillary", "OSV-5M", "KartaView", "flickr", "", "mp16"], object)
    assert street_level(source).tolist() == [1, 1, 1, 1, 0, 0, 0]
