"""Shares, features, gating features and scores of candidates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.sphere import destination, haversine_km
from geoloc.belief.fusion import CellSpace
from geoloc.retrieval.candidates import distances_km
from geoloc.retrieval.reranker import (
    FEATURES,
    GATING_FEATURES,
    UNTRAINED,
    VOTE_SCALES_KM,
    Reranker,
    describe,
    gating_features,
    votes,
)
from tests.geoloc.retrieval.test_candidates import gathered
from tests.geoloc.retrieval.test_gallery import CELLS, EMPTY, make_cells, make_gallery, queries

few = settings(max_examples=60, deadline=None)
places = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=9)


def candidates_of(count: int):
    """Return candidates in all cells for some photos, with belief and utility."""
    gallery, _, _ = make_gallery()
    photos, belief = queries(count)
    utility = CellSpace(make_cells().centroids).expected_utility(belief)
    return gathered(gallery, photos, belief)[0], belief, utility, gallery.clusters.count


def in_cells(candidates, share):
    """Return the total share (N, CELLS) of the candidates of each cell."""
    total = np.zeros((len(share), CELLS))
    np.add.at(total, (np.arange(len(share))[:, None], candidates.cell), share)
    return total


def test_shares_of_a_cell_sum_to_its_belief():
    candidates, belief, _, _ = candidates_of(20)
    share = votes(candidates, belief, sharpness=5.0)
    assert share.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert in_cells(candidates, share) == pytest.approx(belief, abs=1e-5)
    assert (share[~candidates.valid] == 0.0).all()


@pytest.mark.parametrize("sharpness", [20.0, 80.0])
def test_shares_sum_to_the_belief_for_any_sharpness(sharpness):
    candidates, belief, _, _ = candidates_of(400)
    share = votes(candidates, belief, sharpness)
    assert in_cells(candidates, share) == pytest.approx(belief, abs=1e-5)


def test_the_more_similar_candidate_of_a_cell_has_the_larger_share():
    candidates, belief, _, _ = candidates_of(20)
    share = votes(candidates, belief, sharpness=5.0)
    both = candidates.valid[:, :, None] & candidates.valid[:, None]
    both &= candidates.cell[:, :, None] == candidates.cell[:, None]
    ratio = np.log(share[:, :, None] / np.maximum(share[:, None], 1e-30), where=both, out=None)
    closer = candidates.similarity[:, :, None] - candidates.similarity[:, None]
    assert (both & (closer > 0.0)).sum() > 10
    assert ratio[both] == pytest.approx(5.0 * closer[both], abs=1e-3)


@given(latlon=places)
@few
def test_distances_are_great_circle_distances(latlon):
    points = np.array([latlon])
    found = distances_km(points)
    assert (found == found.transpose(0, 2, 1)).all()
    assert (np.diagonal(found, axis1=1, axis2=2) == 0.0).all()
    exact = haversine_km(points[:, :, None], points[:, None])
    assert found == pytest.approx(exact, rel=1e-2, abs=2e-3)


@given(
    lat=st.floats(-90, 90), lon=st.floats(-180, 180), bearing=st.floats(0, 360),
    km=st.floats(-0.5, 4.3).map(lambda power: 10.0**power),
)  # fmt: skip
@few
def test_distances_are_precise_at_all_scales(lat, lon, bearing, km):
    points = np.array([[(lat, lon), destination((lat, lon), bearing, km)]])
    assert distances_km(points)[0, 0, 1] == pytest.approx(haversine_km(*points[0]), rel=1e-2)


def test_features_of_a_candidate():
    candidates, belief, utility, members = candidates_of(20)
    share = votes(candidates, belief, sharpness=5.0)
    described = describe(candidates, share, utility, belief, members)
    assert described.shape == (*candidates.cell.shape, FEATURES)
    assert described.dtype == np.float32
    assert np.isfinite(described).all()
    assert np.abs(described).max() < 20.0, "of order 1"
    known = candidates.cluster >= 0
    assert described[..., 0] == pytest.approx(10 * candidates.similarity)
    assert described[..., 1] == pytest.approx(10 * candidates.member_similarity)
    assert described[..., 2] == pytest.approx(10 * candidates.cell_similarity)
    of_cell = np.take_along_axis(belief, candidates.cell, axis=1)
    assert np.exp(described[..., 3]) == pytest.approx(of_cell, rel=1e-3, abs=2e-6)
    useful = np.take_along_axis(utility, candidates.cell, axis=1)
    assert np.exp(described[..., 4]) == pytest.approx(useful, rel=1e-3, abs=2e-6)
    assert np.exp(described[..., 5]) == pytest.approx(np.where(known, 4.0, 1.0))
    assert (described[..., 6] == known).all()
    for column, scale in enumerate(VOTE_SCALES_KM, start=7):
        near = np.exp(-distances_km(candidates.latlon) / scale)
        around = (near * share[:, None]).sum(axis=2)
        assert np.exp(described[..., column]) == pytest.approx(around, rel=1e-3, abs=2e-6)
    assert (np.diff(described[..., 7:], axis=-1) >= 0.0).all(), "a wider kernel holds more"


def test_features_are_finite_without_belief_and_votes():
    candidates, belief, utility, members = candidates_of(5)
    nothing = np.zeros_like(belief)
    share = votes(candidates, nothing, sharpness=80.0)
    assert (share == 0.0).all()
    assert np.isfinite(describe(candidates, share, 0.0 * utility, nothing, members)).all()
    only_empty = np.eye(CELLS, dtype=np.float32)[[EMPTY] * 5]
    assert votes(candidates, only_empty, 80.0).sum(axis=1) == pytest.approx(1.0)


def test_gating_features_are_similarity_belief_and_votes():
    candidates, belief, utility, members = candidates_of(20)
    share = votes(candidates, belief, sharpness=5.0)
    described = describe(candidates, share, utility, belief, members)
    gating = gating_features(candidates, belief, described)
    assert gating.shape == (20, GATING_FEATURES)
    assert (gating[:, 0] == 1.0).all()
    assert gating[:, 1] == pytest.approx(5.0 * candidates.similarity.max(axis=1))
    assert gating[:, 2] == pytest.approx(belief.max(axis=1))
    assert (gating[:, 3:] == described[..., [8, 9, 10]].max(axis=1)).all()


def reranker(seed: int) -> Reranker:
    weights = np.random.default_rng(seed).normal(size=(GATING_FEATURES, FEATURES))
    return Reranker(tuple(map(tuple, weights.tolist())))


def test_a_score_is_linear_in_features_and_gating_features():
    rng = np.random.default_rng(3)
    features, other = rng.normal(size=(2, 6, 9, FEATURES)).astype(np.float32)
    gating, another = rng.normal(size=(2, 6, GATING_FEATURES)).astype(np.float32)
    score = reranker(0)
    assert score(features, gating).shape == (6, 9)
    by_hand = np.einsum("npf,mf,nm->np", features, np.array(score.weights), gating)
    assert score(features, gating) == pytest.approx(by_hand, abs=1e-4)
    combined = score(2.0 * features - other, gating)
    assert combined == pytest.approx(2.0 * score(features, gating) - score(other, gating), abs=1e-3)
    combined = score(features, gating + another)
    assert combined == pytest.approx(score(features, gating) + score(features, another), abs=1e-3)


def test_the_untrained_score_increases_with_similarity_belief_and_votes():
    gating = np.ones((1, GATING_FEATURES), np.float32)
    plain = np.zeros((1, 2, FEATURES), np.float32)
    for feature in (0, 4, *range(7, FEATURES)):
        better = plain.copy()
        better[0, 1, feature] = 1.0
        worse, best = UNTRAINED(better, gating)[0]
        assert best > worse


def test_a_repeated_place_does_not_vote():
    candidates, belief, _, _ = candidates_of(5)
    nobody = replace(candidates, valid=np.zeros_like(candidates.valid))
    assert (votes(nobody, belief, 20.0) == 0.0).all()
