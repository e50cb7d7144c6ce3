"""Candidate places gathered from a gallery."""

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


def gathered(gallery, photos, belief, k=6, constraint=None):
    """Return candidates and neighbours, as the ranker gathers them."""
    if constraint is not None:
        belief = constraint.mask(belief, belief)
    found = gallery.search(photos, belief, k, constraint)
    utility = CellSpace(make_cells().centroids).expected_utility(belief)
    return gather(gallery, make_cells(), photos, found, utility, constraint)


def test_each_place_is_valid_once():
    gallery, _, _ = make_gallery()
    candidates, _, _ = gathered(gallery, *queries(30), k=33)
    for cluster, cell, valid in zip(
        candidates.cluster, candidates.cell, candidates.valid, strict=True
    ):
        assert sorted(cluster[valid]) == [-1, *range(33)], (
            "the best cluster of each cell is among the nearest already"
        )
        assert cell[valid][cluster[valid] < 0].tolist() == [EMPTY]


def test_the_most_useful_cells_add_their_best_cluster(monkeypatch):
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


def test_candidates_are_at_their_cluster_or_at_the_centroid_of_an_empty_cell():
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
def test_similarities_to_prototype_best_member_and_cell(k):
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
        assert candidates.member_similarity[i, known] == pytest.approx(
            best_member[i, cluster], abs=2e-3
        )
        theirs = np.flatnonzero(np.isin(gallery.members.cluster, cluster))
        assert sorted(neighbour[i][neighbour[i] >= 0]) == theirs.tolist()
        near = similarity[i, : len(theirs)]
        assert near == pytest.approx(-np.sort(-by_member[i, theirs]), abs=2e-3)
    cells = np.take_along_axis(by_cell, candidates.cell, axis=1)
    assert candidates.cell_similarity == pytest.approx(cells, abs=1e-5)


def test_a_centroid_has_the_smallest_similarity_of_its_row():
    gallery, _, _ = make_gallery()
    candidates, _, similarity = gathered(gallery, *queries(20))
    for i, place in enumerate((candidates.cluster < 0).argmax(axis=1)):
        known = candidates.cluster[i] >= 0
        assert candidates.cluster[i, place] == -1
        assert candidates.similarity[i, place] == candidates.similarity[i, known].min()
        assert candidates.member_similarity[i, place] == similarity[i][similarity[i] > -1.0].min()


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_candidates_outside_a_constraint_are_excluded(data):
    gallery, _, _ = make_gallery()
    cells = data.draw(st.sets(st.integers(0, CELLS - 1), min_size=1))
    clusters = data.draw(st.sets(st.integers(0, len(gallery.clusters) - 1)))
    constraint = restrict(gallery, list(cells), list(clusters))
    candidates, neighbour, _ = gathered(gallery, *queries(3), constraint=constraint)
    inside = set(np.flatnonzero(constraint.clusters))
    for i in range(3):
        valid = candidates.valid[i]
        assert set(candidates.cell[i, valid]) == cells
        known = candidates.cluster[i, valid] >= 0
        assert set(candidates.cluster[i, valid][known]) <= inside
        centroids = constraint.centroids[candidates.cell[i, valid][~known]]
        assert (candidates.latlon[i, valid][~known] == centroids).all()
        member = neighbour[i][neighbour[i] >= 0]
        assert set(gallery.members.cluster[member]) <= inside
    assert np.isfinite(candidates.similarity).all()
    assert np.isfinite(candidates.member_similarity).all()
