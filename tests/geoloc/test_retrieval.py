import numpy as np
import pytest

from geoloc.encoder import normalise
from geoloc.errors import BundleError
from geoloc.retrieval import CLUSTERS_PER_CELL, Clusters, Gallery, Members


def make_gallery(cells: int = 5, clusters_per_cell: int = 3, members: int = 4, dim: int = 16):
    rng = np.random.default_rng(0)
    cluster_cell = np.repeat(np.arange(cells), clusters_per_cell).astype(np.int32)
    cluster = np.repeat(np.arange(len(cluster_cell)), members).astype(np.int32)
    latlon = rng.uniform(-60, 60, (len(cluster), 2))
    words = np.full(len(cluster), "x", dtype=object)
    features = normalise(rng.normal(size=(len(cluster), dim)))
    counts = np.full(len(cluster_cell), members, np.int32)
    clusters = Clusters(cluster_cell, np.zeros((len(cluster_cell), 2)), counts)
    gallery = Gallery.build(clusters, Members(cluster, latlon, words, words, words), features)
    return gallery, features


def test_nearest_is_exact():
    gallery, features = make_gallery()
    queries = normalise(np.random.default_rng(1).normal(size=(7, 16)))
    similarity, row = gallery.nearest(queries, 5)
    exact = queries @ features.T
    assert row.tolist() == np.argsort(-exact, axis=1)[:, :5].tolist()
    assert similarity == pytest.approx(-np.sort(-exact, axis=1)[:, :5], abs=2e-3)  # fp16


@pytest.mark.parametrize("clusters_per_cell", [3, CLUSTERS_PER_CELL + 5])
def test_inside_looks_only_into_the_given_cells(clusters_per_cell):
    gallery, features = make_gallery(clusters_per_cell=clusters_per_cell)
    queries = features[[0, -1]]
    cells = np.array([[0, 2], [4, 1]])
    similarity, row = gallery.inside(queries, cells)
    assert gallery.member_cell[row].tolist() == cells.tolist()
    assert row[:, 0].tolist() == [0, len(features) - 1]
    assert similarity[:, 0] == pytest.approx([1.0, 1.0], abs=2e-3)


def test_a_cell_without_members_has_no_answer():
    gallery, features = make_gallery()
    similarity, row = gallery.inside(features[:1], np.array([[99, 0]]))
    assert row.tolist() == [[-1, 0]]
    assert similarity[0, 0] == -1


def test_votes_are_a_belief():
    gallery, features = make_gallery()
    _, row = gallery.nearest(features[:3], 6)
    votes = gallery.votes(np.full((3, 6), 1 / 6, np.float32), row, 8)
    assert votes.shape == (3, 8)
    assert votes.sum(axis=1) == pytest.approx(1.0)
    assert votes[:, 5:].sum() == 0


def test_round_trip(tmp_path):
    gallery, features = make_gallery()
    gallery.write(tmp_path)
    again = Gallery.read(tmp_path)
    assert again.nearest(features, 3)[1].tolist() == gallery.nearest(features, 3)[1].tolist()
    (tmp_path / "index.faiss").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match=r"index\.faiss"):
        Gallery.read(tmp_path)
