import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.belief.fusion import CellSpace
from geoloc.retrieval import candidates as gathering
from geoloc.retrieval.candidates import gather
from tests.geoloc.retrieval.test_gallery import (
    CELLS,
    EMPTY,
    make_cells,
    make_gallery,
    queries,
    restrict,
)


def gathered(gallery, photos, belief, k=6, within=None):
    """Candidates, and the known photos in them, as a ranker asks for them."""
    if within is not None:
        belief = within.mask(belief, belief)
    found = gallery.search(photos, belief, k, within)
    utility = CellSpace(make_cells().centroids).expected_utility(belief)
    return gather(gallery, make_cells(), photos, found, utility, within)


def test_every_place_is_valid_once():
    gallery, _, _ = make_gallery()
    candidates, _, _ = gathered(gallery, *queries(30), k=33)
    for cluster, cell, valid in zip(
        candidates.cluster, candidates.cell, candidates.valid, strict=True
    ):
        assert sorted(cluster[valid]) == [-1, *range(33)], "the best of each cell was listed before"
        assert cell[valid][cluster[valid] < 0].tolist() == [EMPTY]


def test_the_best_cells_bring_their_best_cluster(monkeypatch):
    monkeypatch.setattr(gathering, "CELLS", 4)
    gallery, prototypes, _ = make_gallery()
    photos, belief = queries(20)
    candidates, _, _ = gathered(gallery, photos, belief, k=1)
    utility = CellSpace(make_cells().centroids).expected_utility(belief)
    assert candidates.cell.shape == (20, 5)
    product = photos @ prototypes.T
    for i in range(20):
        assert set(candidates.cell[i, 1:]) == set(np.argsort(-utility[i])[:4])
        for cell, cluster in zip(candidates.cell[i, 1:], candidates.cluster[i, 1:], strict=True):
            inside = np.where(gallery.clusters.cell == cell, product[i], -2.0)
            assert cluster == (-1 if cell == EMPTY else inside.argmax())


def test_clusters_are_where_they_are_and_an_empty_cell_is_its_centroid():
    gallery, _, _ = make_gallery()
    candidates, _, _ = gathered(gallery, *queries(20))
    known = candidates.cluster >= 0
    cluster = candidates.cluster[known]
    assert (candidates.latlon[known] == gallery.clusters.latlon[cluster]).all()
    assert (candidates.cell[known] == gallery.clusters.cell[cluster]).all()
    assert (candidates.cell[~known] == EMPTY).all()
    assert (candidates.latlon[~known] == make_cells().centroids[EMPTY]).all()
    assert candidates.valid[~known].all()


@pytest.mark.parametrize("k", [6, 33])
def test_a_place_resembles_as_its_prototype_its_best_member_and_its_cell_do(k):
    gallery, prototypes, features = make_gallery()
    photos, belief = queries(20)
    candidates, neighbour, similarity = gathered(gallery, photos, belief, k)
    by_prototype, by_member = photos @ prototypes.T, photos @ features.T
    best_member = by_member.reshape(20, len(prototypes), -1).max(axis=2)
    by_cell = gallery.cell_similarity(photos)
    for i in range(20):
        known = candidates.valid[i] & (candidates.cluster[i] >= 0)
        cluster = candidates.cluster[i, known]
        assert candidates.similarity[i, known] == pytest.approx(by_prototype[i, cluster], abs=2e-3)
        assert candidates.own[i, known] == pytest.approx(best_member[i, cluster], abs=2e-3)
        theirs = np.flatnonzero(np.isin(gallery.members.cluster, cluster))
        assert sorted(neighbour[i][neighbour[i] >= 0]) == theirs.tolist()
        near = similarity[i, : len(theirs)]
        assert near == pytest.approx(-np.sort(-by_member[i, theirs]), abs=2e-3)
    cells = np.take_along_axis(by_cell, candidates.cell, axis=1)
    assert candidates.region == pytest.approx(cells, abs=1e-5)


def test_a_centroid_resembles_as_the_least_similar_does():
    gallery, _, _ = make_gallery()
    candidates, _, similarity = gathered(gallery, *queries(20))
    for i, place in enumerate((candidates.cluster < 0).argmax(axis=1)):
        known = candidates.cluster[i] >= 0
        assert candidates.cluster[i, place] == -1
        assert candidates.similarity[i, place] == candidates.similarity[i, known].min()
        assert candidates.own[i, place] == similarity[i][similarity[i] > -1.0].min()


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_everything_outside_a_restriction_is_excluded(data):
    gallery, _, _ = make_gallery()
    cells = data.draw(st.sets(st.integers(0, CELLS - 1), min_size=1))
    clusters = data.draw(st.sets(st.integers(0, len(gallery.clusters) - 1)))
    within = restrict(gallery, list(cells), list(clusters))
    candidates, neighbour, _ = gathered(gallery, *queries(3), within=within)
    inside = set(np.flatnonzero(within.clusters))
    for i in range(3):
        valid = candidates.valid[i]
        assert set(candidates.cell[i, valid]) == cells
        known = candidates.cluster[i, valid] >= 0
        assert set(candidates.cluster[i, valid][known]) <= inside
        centroids = within.centroids[candidates.cell[i, valid][~known]]
        assert (candidates.latlon[i, valid][~known] == centroids).all()
        member = neighbour[i][neighbour[i] >= 0]
        assert set(gallery.members.cluster[member]) <= inside
    assert np.isfinite(candidates.similarity).all()
    assert np.isfinite(candidates.own).all()
