import numpy as np
import pytest

from geoloc.posterior import (
    CellSpace,
    add_evidence,
    credible_region,
    log_evidence,
    pool,
    spread_km,
)

# three cells around Paris, one in Tokyo
CENTROIDS = np.array([(48.85, 2.35), (48.9, 2.5), (48.7, 2.2), (35.7, 139.7)])


def test_a_pool_is_a_belief_and_keeps_what_any_source_thinks_possible():
    sources = [np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)]
    assert pool(sources, np.array([[0.25, 0.75]], np.float32)).tolist() == [[0.25, 0.75]]


def test_evidence_adds_up():
    prior = np.array([0.7, 0.1, 0.1, 0.1], np.float32)
    belief = np.array([0.1, 0.6, 0.2, 0.1], np.float32)
    assert add_evidence([log_evidence(belief, prior)], prior) == pytest.approx(belief, abs=1e-5)
    twice = add_evidence([log_evidence(belief, prior)] * 2, prior)
    assert twice[1] > belief[1]
    in_asia = np.array([-np.inf, -np.inf, -np.inf, 0.0])
    assert add_evidence([log_evidence(belief, prior), in_asia], prior)[3] == pytest.approx(1.0)


def test_utility_hedges_between_neighbours():
    belief = np.array([[0.22, 0.2, 0.2, 0.38]], np.float32)
    assert belief.argmax() == 3
    utility = CellSpace(CENTROIDS).expected_utility(belief)
    assert utility.argmax() == 0
    assert (utility > 0).all()
    assert (utility <= 1).all()


def test_spread_is_the_radius_that_holds_the_share():
    distances = np.array([[0.0, 10.0, 100.0, 9000.0]], np.float32)
    belief = np.array([[0.5, 0.25, 0.15, 0.1]], np.float32)
    assert spread_km(belief, distances, (0.5, 0.8, 0.95)).tolist() == [[0.0, 100.0, 9000.0]]


def test_credible_region_is_ranked_and_nested():
    belief = np.array([0.5, 0.25, 0.15, 0.1], np.float32)
    cell, level = credible_region(belief, most=10)
    assert cell.tolist() == [0, 1, 2, 3]
    assert level.tolist() == pytest.approx([0.5, 0.8, 0.8, 0.95])
    assert belief[cell[level <= 0.81]].sum() >= 0.8
    assert credible_region(belief, most=2)[0].tolist() == [0, 1]
