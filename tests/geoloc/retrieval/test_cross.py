"""Band features, hubness and the cross-source re-ranker, as a bundle evaluates them."""

import numpy as np
import pytest

from geocells.sphere import destination, haversine_km, unit_vectors
from geoloc.belief.heads import Heads
from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.retrieval.bands import BandHeads, read_heads
from geoloc.retrieval.cross import (
    AFTER_BLOCKS,
    DENSITY_SCALES_KM,
    GATING,
    VOTE_SCALES_KM,
    CrossReranker,
    RerankedGallery,
    explained_by_two,
    place_density,
    votes_around,
)
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.retrieval.hubness import corrected, hubness
from geoloc.retrieval.tables import Clusters, Members

CLUSTERS, CELLS, BLOCKS = 30, 5, (6, 4)
RNG = np.random.default_rng(0)


def band_heads() -> BandHeads:
    width = sum(BLOCKS)
    return BandHeads(
        np.zeros(8, np.float32), RNG.standard_normal((8, width)).astype(np.float32),
        RNG.standard_normal((BLOCKS[0], CELLS)).astype(np.float32), np.zeros(CELLS, np.float32),
        np.arange(CELLS, dtype=np.int32), np.full(CELLS, 1 / CELLS, np.float32),
        np.zeros(CELLS, np.float32), np.array(BLOCKS, np.int32),
        np.full(2, np.sqrt(0.5), np.float32),
    )  # fmt: skip


def gallery(features: np.ndarray) -> Gallery:
    cell = np.sort(RNG.integers(0, CELLS, CLUSTERS)).astype(np.int32)
    latlon = np.column_stack([RNG.uniform(-60, 60, CLUSTERS), RNG.uniform(-180, 180, CLUSTERS)])
    words = [np.full(CLUSTERS, "", object)] * 3
    clusters = Clusters(cell, latlon, np.ones(CLUSTERS, np.int32))
    members = Members(np.arange(CLUSTERS, dtype=np.int32), latlon, *words)
    return Gallery.build(clusters, members, features, features, CELLS)


def reranker(weights: np.ndarray, hub: np.ndarray | None = None) -> CrossReranker:
    return CrossReranker(
        weights.astype(np.float32), np.zeros(sum(BLOCKS) + 1, np.float32),
        np.array([20.0, -5.0], np.float32),
        np.zeros((CLUSTERS, 2), np.float32) if hub is None else hub,
        np.zeros(CLUSTERS, np.float32), np.zeros((CELLS, len(DENSITY_SCALES_KM)), np.float32),
        np.array(BLOCKS, np.int32), np.full(2, np.sqrt(0.5), np.float32),
    )  # fmt: skip


@pytest.fixture
def scene() -> tuple[BandHeads, Gallery, np.ndarray]:
    heads = band_heads()
    embeddings = normalise(RNG.standard_normal((CLUSTERS, 8)))
    return heads, gallery(heads.features(embeddings)), embeddings


def test_similarity_is_the_mean_over_the_blocks(scene):
    heads, _, embeddings = scene
    features = heads.features(embeddings)
    assert np.allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)
    parts = np.split((embeddings - heads.mean) @ heads.projection, heads.edges, axis=1)
    each = [normalise(part) @ normalise(part).T for part in parts]
    assert np.allclose(features @ features.T, np.mean(each, axis=0), atol=1e-5)
    assert np.allclose(heads.classify(features).sum(axis=1), 1.0, atol=1e-5)


def test_heads_are_read_as_they_were_written(tmp_path, scene):
    heads, _, embeddings = scene
    heads.write(tmp_path / "bands")
    read = read_heads(tmp_path / "bands")
    assert isinstance(read, BandHeads)
    assert np.array_equal(read.features(embeddings), heads.features(embeddings))
    plain = Heads(
        heads.mean, heads.projection, heads.weight, heads.bias, heads.active, heads.prior,
        heads.shift,
    )  # fmt: skip
    plain.write(tmp_path / "plain")
    assert type(read_heads(tmp_path / "plain")) is Heads
    (tmp_path / "plain").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="not a readable file of tensors"):
        read_heads(tmp_path / "plain")


def test_reranker_can_trust_one_block_alone(scene):
    heads, plain, embeddings = scene
    weights = np.zeros((GATING, 2 + AFTER_BLOCKS))
    weights[0, 1] = 5.0  # the second block
    found = RerankedGallery(plain, reranker(weights)).search(
        heads.features(embeddings), heads.classify(heads.features(embeddings)), 10
    )
    own = np.split(heads.features(embeddings), heads.edges, axis=1)[1]
    expected = (own @ own.T).argmax(axis=1)
    assert found.cluster.shape == (CLUSTERS, 10)
    assert (found.cluster[:, 0] == expected).mean() > 0.9
    assert (np.diff(found.similarity, axis=1) <= 1e-5).all()


def test_more_clusters_than_there_are_come_last(scene):
    heads, plain, embeddings = scene
    features = heads.features(embeddings[:3])
    reranked = RerankedGallery(plain, reranker(np.ones((GATING, 2 + AFTER_BLOCKS))))
    found = reranked.search(features, heads.classify(features), 2 * CLUSTERS)
    assert np.isfinite(found.similarity).all()
    for row in found.cluster:
        assert sorted(row[row >= 0]) == list(range(CLUSTERS))


def test_many_clusters_of_one_cell_leave_room_for_those_of_others(scene):
    _, plain, _ = scene
    plain.clusters.cell[:] = np.repeat(np.arange(CELLS), CLUSTERS // CELLS)
    gallery = RerankedGallery(plain, reranker(np.zeros((GATING, 2 + AFTER_BLOCKS))))
    gallery.PER_CELL, gallery.COMPARED = 2, 2 * CELLS
    similarity = np.linspace(1.0, 0.0, CLUSTERS, dtype=np.float32)[None]
    kept = gallery.spread(NearestClusters(similarity, np.arange(CLUSTERS)[None]))
    size = CLUSTERS // CELLS
    assert kept.cluster[0].tolist() == [size * c + i for c in range(CELLS) for i in (0, 1)]
    assert (np.diff(kept.similarity) < 0.0).all()


def test_two_places_that_a_photo_shows_explain_it_better_than_one_between_them():
    first, second, other = np.eye(3, dtype=np.float32)
    photo = normalise((0.6 * first + 0.4 * second)[None])[0]
    between = first + second + 0.5 * other
    vectors = normalise(np.stack([first, between, second, other]))[None]
    similarity = vectors @ photo
    places = unit_vectors(np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 90.0], [80.0, 0.0]]))[None]
    together, share = explained_by_two(vectors, similarity, places)[0].T
    assert together[[0, 2]] == pytest.approx([10.0, 10.0], abs=1e-3)
    assert share[[0, 2]] == pytest.approx([0.6, 0.4], abs=1e-3)
    assert (together[[1, 3]] < 9.9).all()


def test_neighbouring_clusters_are_not_two_places():
    first, second = np.eye(2, dtype=np.float32)
    vectors = np.stack([first, second])[None]
    places = unit_vectors(np.array([[0.0, 0.0], [0.0, 0.1]]))[None]
    similarity = np.full((1, 2), np.sqrt(0.5), np.float32)
    together, share = explained_by_two(vectors, similarity, places)[0].T
    assert together == pytest.approx(10.0 * np.sqrt([0.5, 0.5]))
    assert share.tolist() == [1.0, 1.0]


def test_votes_count_less_with_the_distance():
    latlon = np.array([[10.0, 10.0], [10.0, 10.05], [-60.0, 10.0]])
    share = np.array([[0.0, 1.0, 0.0]], np.float32)
    votes = votes_around(unit_vectors(latlon)[None], share)[0]
    km = haversine_km(latlon[0], latlon[1])
    assert votes[0] == pytest.approx([1 / (1 + (km / s) ** 2) for s in VOTE_SCALES_KM], rel=1e-3)
    assert votes[1] == pytest.approx(np.ones(len(VOTE_SCALES_KM)))
    assert (votes[2] < 0.01).all()


def test_density_is_that_of_the_clusters_around_a_cell(scene):
    _, plain, _ = scene
    plain.clusters.cell[:] = np.repeat([0, 1, 2], [20, 5, 5])
    middle = np.array([[40.0, 0.0], [40.0, 1.0], [-40.0, 100.0]])
    plain.clusters.latlon[:] = middle[plain.clusters.cell]
    found = np.exp(place_density(plain, CELLS))
    assert found[2] == pytest.approx([5.0, 5.0, 5.0], rel=0.05)
    assert found[0, 2] == pytest.approx(25.0, rel=0.05), "the second cell is 85 km away"
    assert found[0, 0] < 21.0
    assert (found[3:] == 1.0).all(), "no cluster, no information"


def test_hubs_are_reduced():
    photos = normalise(RNG.standard_normal((200, 16)))
    hub = normalise(photos.mean(axis=0, keepdims=True))
    ordinary = normalise(RNG.standard_normal((1, 16)))
    at = np.array([[0.0, 0.0], [0.0, 0.0]])
    away = np.column_stack([np.full(200, 50.0), np.linspace(-170, 170, 200)])
    found = hubness(np.vstack([hub, ordinary]), at, photos, away)
    assert found[0] > 0.0
    assert corrected(np.float32([0.5]), found[:1]) == pytest.approx(0.5 - found[0] / 2)


def test_photos_of_the_place_itself_do_not_make_a_hub():
    vector = normalise(RNG.standard_normal((1, 16)))
    at = np.array([[48.0, 2.0]])
    near = destination(at, 90.0, 10.0).reshape(1, 2)
    assert hubness(vector, at, vector, near)[0] == 0.0
