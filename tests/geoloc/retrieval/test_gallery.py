"""Search in a gallery: exhaustive and probed, with and without a constraint."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.table import CellTable
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import softmax
from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.retrieval import gallery as retrieval
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.tables import Clusters, Members

CELLS, DIM = 12, 16
EMPTY = CELLS - 1
"""The one cell without clusters."""

few = settings(max_examples=40, deadline=None)


def make_cells() -> CellTable:
    """Return squares of 10 degrees along the equator."""
    west = np.arange(CELLS) * 10 - 60
    name = np.array([f"c{i}" for i in range(CELLS)])
    return CellTable(
        cell_id=name, country=name, region=name, region_id=name,
        centroids=np.column_stack([np.full(CELLS, 5.0), west + 5.0]),
        polygon=shapely.box(west, 0, west + 10, 10), count=np.full(CELLS, 12),
    )  # fmt: skip


def make_gallery(per_cell: int = 3, members: int = 4, seed: int = 0):
    """Return a gallery with clusters in all cells but the last, its prototypes and its features."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(EMPTY), per_cell).astype(np.int32)
    cluster = np.repeat(np.arange(len(cell)), members).astype(np.int32)
    latlon = np.column_stack(
        [rng.uniform(1, 9, len(cell)), cell * 10 - 60 + rng.uniform(1, 9, len(cell))]
    )
    prototypes = normalise(rng.normal(size=(len(cell), DIM)))
    features = normalise(prototypes[cluster] + rng.normal(0, 0.1, (len(cluster), DIM)))
    words = np.full(len(cluster), "x", dtype=object)
    gallery = Gallery.build(
        Clusters(cell, latlon, np.full(len(cell), members, np.int32)),
        Members(cluster, latlon[cluster], words, words, words),
        prototypes,
        features,
        CELLS,
    )
    return gallery, prototypes, features


def restrict(gallery: Gallery, cells, clusters=None) -> ConstraintMask:
    """Return a mask of some cells and of all, or some, of their clusters."""
    share = np.isin(np.arange(CELLS), cells).astype(np.float32)
    inside = np.isin(gallery.clusters.cell, cells)
    if clusters is not None:
        inside &= np.isin(np.arange(len(inside)), clusters)
    return ConstraintMask("somewhere", share, make_cells().centroids + 1.0, inside)


def queries(count: int, seed: int = 1):
    """Return the features of photos, and a belief for each."""
    rng = np.random.default_rng(seed)
    return normalise(rng.normal(size=(count, DIM))), softmax(rng.normal(0, 2, (count, CELLS)))


def sorted_rows(product):
    return np.argsort(-product, axis=1, kind="stable")


@pytest.mark.parametrize("k", [5, 33, 50])
def test_a_small_gallery_is_searched_exhaustively(k):
    gallery, prototypes, _ = make_gallery()
    photos, belief = queries(30)
    found = gallery.search(photos, belief, k)
    product = photos @ prototypes.T
    assert found.cluster.shape == (30, min(k, len(prototypes)))
    assert found.similarity == pytest.approx(-np.sort(-product, axis=1)[:, :k], abs=2e-3)
    assert (found.cluster[:, 0] == product.argmax(axis=1)).mean() > 0.9
    chosen = np.take_along_axis(product, found.cluster, axis=1)
    assert found.similarity == pytest.approx(chosen, abs=2e-3)


def test_a_large_gallery_is_searched_in_probable_and_similar_cells(monkeypatch):
    monkeypatch.setattr(retrieval, "EXHAUSTIVE_CLUSTERS", 0)
    monkeypatch.setattr(retrieval, "PROBED_CELLS", 4)
    gallery, prototypes, _ = make_gallery()
    photos, belief = queries(50)
    found = gallery.search(photos, belief, 12)
    likely = sorted_rows(belief)[:, :2]
    similar = sorted_rows(gallery.cell_similarity(photos))[:, :2]
    for i in range(50):
        cells = set(likely[i]) | set(similar[i])
        inside = np.flatnonzero(np.isin(gallery.clusters.cell, list(cells)))
        got = found.cluster[i][found.cluster[i] >= 0]
        assert sorted(got) == inside.tolist(), "each once"
        best = -np.sort(-photos[i] @ prototypes[inside].T)
        assert found.similarity[i, : len(got)] == pytest.approx(best, abs=2e-3)
        assert (found.similarity[i, len(got) :] == -1.0).all()


def test_a_large_gallery_finds_the_best_cluster_in_a_probable_cell(monkeypatch):
    monkeypatch.setattr(retrieval, "EXHAUSTIVE_CLUSTERS", 0)
    monkeypatch.setattr(retrieval, "PROBED_CELLS", 2)
    gallery, prototypes, _ = make_gallery(per_cell=9)
    photos, _ = queries(50)
    best = (photos @ prototypes.T).argmax(axis=1)
    believed = np.eye(CELLS, dtype=np.float32)[gallery.clusters.cell[best]]
    assert (gallery.search(photos, believed, 1).cluster[:, 0] == best).mean() > 0.9
    elsewhere = np.roll(believed, 1, axis=1)
    assert (gallery.search(photos, elsewhere, 1).cluster[:, 0] == best).mean() < 0.8


@given(data=st.data(), many=st.booleans())
@few
def test_search_returns_nothing_outside_a_constraint(data, many):
    gallery, _, _ = make_gallery()
    some = st.sets(st.integers(0, EMPTY), min_size=1)
    half = data.draw(st.sets(st.integers(0, len(gallery.clusters) - 1)))
    constraint = restrict(gallery, list(data.draw(some)), list(half))
    photos, belief = queries(4)
    with pytest.MonkeyPatch.context() as patch:
        if many:
            patch.setattr(retrieval, "EXHAUSTIVE_CLUSTERS", 0)
        found = gallery.search(photos, constraint.mask(belief, belief), 40, constraint)
    inside = np.flatnonzero(constraint.clusters)
    for i in range(4):
        assert set(found.cluster[i]) - {-1} == set(inside)
    assert ((found.cluster < 0) == (found.similarity == -1.0)).all()


def test_search_under_a_constraint_returns_the_most_similar():
    gallery, prototypes, _ = make_gallery()
    constraint = restrict(gallery, [4, 7])
    photos, belief = queries(20)
    found = gallery.search(photos, constraint.mask(belief, belief), 5, constraint)
    product = np.where(constraint.clusters, photos @ prototypes.T, -1.0)
    assert found.similarity == pytest.approx(-np.sort(-product, axis=1)[:, :5], abs=2e-3)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_small_gallery_is_searched_exhaustively_under_a_constraint(share, monkeypatch):
    monkeypatch.setattr(retrieval, "PROBED_CELLS", 2)
    gallery, prototypes, _ = make_gallery()
    constraint = restrict(gallery, np.arange(round(CELLS * share)))
    photos, belief = queries(20)
    found = gallery.search(photos, constraint.mask(belief, belief), 5, constraint)
    product = np.where(constraint.clusters, photos @ prototypes.T, -1.0)
    assert found.similarity == pytest.approx(-np.sort(-product, axis=1)[:, :5], abs=2e-3)


def test_best_in_returns_the_best_cluster_of_each_cell():
    gallery, prototypes, _ = make_gallery()
    photos, belief = queries(20)
    cells = sorted_rows(belief)[:, :7]
    cells[0, 3] = EMPTY
    found = gallery.best_in(photos, cells)
    product = photos @ prototypes.T
    for i, row in enumerate(cells):
        for place, cell in enumerate(row):
            inside = np.where(gallery.clusters.cell == cell, product[i], -2.0)
            if cell == EMPTY:
                assert found.cluster[i, place] == found.similarity[i, place] == -1
            else:
                assert gallery.clusters.cell[found.cluster[i, place]] == cell
                assert found.similarity[i, place] == pytest.approx(inside.max(), abs=2e-3)


def test_best_in_respects_a_constraint():
    gallery, prototypes, _ = make_gallery()
    photos, _ = queries(20)
    best = (photos @ prototypes[:3].T).argmax(axis=1)
    constraint = restrict(gallery, [0, 2], clusters=[0, 6, 7, 8])
    found = gallery.best_in(photos, np.tile([0, 1, 2], (20, 1)), constraint)
    assert (found.cluster[best == 0, 0] == 0).all()
    assert np.isin(found.cluster[:, 0], [0, -1]).all()
    assert (found.cluster[:, 1] == -1).all()
    assert (found.similarity[:, 1] == -1.0).all()
    assert np.isin(found.cluster[:, 2], [6, 7, 8]).all()


def test_best_in_returns_the_next_cluster_if_the_best_is_outside():
    gallery, prototypes, _ = make_gallery()
    photos, _ = queries(20)
    constraint = restrict(gallery, [0], clusters=[0, 1])
    found = gallery.best_in(photos, np.zeros((20, 1), np.int64), constraint)
    assert found.cluster[:, 0].tolist() == (photos @ prototypes[:2].T).argmax(axis=1).tolist()


def test_members_are_those_of_the_given_clusters():
    gallery, _, features = make_gallery()
    photos, _ = queries(2)
    cluster = np.array([[3, 10, -1], [-1, 0, -1]])
    similarity, member = gallery.members_of(photos, cluster)
    for i, found in enumerate(member):
        known = found[found >= 0]
        theirs = np.flatnonzero(np.isin(gallery.members.cluster, cluster[i]))
        assert sorted(known) == theirs.tolist()
        best = -np.sort(-photos[i] @ features[theirs].T)
        assert similarity[i, : len(known)] == pytest.approx(best, abs=2e-3)
        assert (similarity[i, len(known) :] == -1.0).all()


def test_cell_similarity_is_that_of_the_mean_prototype():
    gallery, prototypes, _ = make_gallery()
    photos, _ = queries(5)
    means = prototypes.reshape(EMPTY, 3, DIM).mean(axis=1)
    similarity = gallery.cell_similarity(photos)
    assert similarity[:, :EMPTY] == pytest.approx(photos @ means.T, abs=1e-5)
    assert (similarity[:, EMPTY] == 0).all()


def test_votes_sum_the_shares_of_each_cell():
    gallery, _, _ = make_gallery()
    cluster = np.array([[0, 1, 30, -1], [5, 5, 4, 3]])
    share = np.array([[0.5, 0.2, 0.3, 0.0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    votes = gallery.votes(share, cluster, CELLS)
    assert votes.shape == (2, CELLS)
    assert votes.sum(axis=1) == pytest.approx(1.0)
    assert votes[0, [0, 10]] == pytest.approx([0.7, 0.3])
    assert votes[1, 1] == pytest.approx(1.0)


def test_a_gallery_is_read_as_it_was_written(tmp_path):
    gallery, _, features = make_gallery()
    gallery.write(tmp_path)
    again = Gallery.read(tmp_path, CELLS)
    photos, belief = queries(9)
    for column in ("cell", "latlon", "count"):
        assert (getattr(again.clusters, column) == getattr(gallery.clusters, column)).all()
    for column in ("cluster", "latlon", "source", "licence", "author"):
        assert (
            np.asarray(getattr(again.members, column)) == getattr(gallery.members, column)
        ).all()
    before, after = (one.search(photos, belief, 5) for one in (gallery, again))
    assert (before.cluster == after.cluster).all()
    assert (before.similarity == after.similarity).all()
    some = np.tile([3, 4], (len(features), 1))
    assert (again.members_of(features, some)[1] == gallery.members_of(features, some)[1]).all()


@pytest.mark.parametrize(
    "name", ["clusters.parquet", "members.arrow", "prototypes.faiss", "members.faiss"]
)
def test_a_damaged_file_is_named_in_the_error(name, tmp_path):
    make_gallery()[0].write(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match=f"{name}: unreadable"):
        Gallery.read(tmp_path, CELLS)


def test_files_of_other_bundles_are_refused(tmp_path):
    make_gallery(per_cell=2)[0].write(tmp_path)
    with pytest.raises(BundleError, match=r"prototypes\.faiss: does not fit"):
        Gallery.read(tmp_path, CELLS + 1)
    make_gallery(per_cell=3)[0].members.write(tmp_path / "members.arrow")
    with pytest.raises(BundleError, match=r"members\.faiss: does not fit"):
        Gallery.read(tmp_path, CELLS)


def test_missing_attribution_is_empty_text(tmp_path):
    words = pa.array(["x", None, ""])
    columns = {"cluster": pa.array([0, 1, 2], pa.int32()), "lat": [0.0] * 3, "lon": [0.0] * 3}
    columns |= dict.fromkeys(("source", "licence", "author"), words)
    pq.write_table(pa.table(columns), tmp_path / "members.parquet")
    found = Members.read(tmp_path / "members.parquet")
    assert found.author.tolist() == found.source.tolist() == ["x", "", ""]


def test_few_photos_are_answered_as_many_are():
    gallery, _, features = make_gallery()
    other, _, _ = make_gallery()
    queries = features[:40]
    belief = np.full((40, CELLS), 1 / CELLS, np.float32)
    together = gallery.search(queries, belief, 5)
    alone = [other.search(queries[[row]], belief[[row]], 5) for row in range(40)]
    np.testing.assert_allclose(
        np.concatenate([each.similarity for each in alone]), together.similarity, atol=1e-6
    )
    np.testing.assert_array_equal(
        np.concatenate([each.cluster for each in alone]), together.cluster
    )
    similarity, member = gallery.most_similar(queries, 6)
    for row in range(40):
        one_similarity, one_member = other.most_similar(queries[[row]], 6)
        np.testing.assert_allclose(one_similarity[0], similarity[row], atol=1e-6)
        np.testing.assert_array_equal(one_member[0], member[row])
