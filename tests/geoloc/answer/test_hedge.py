"""The point with the highest expected score."""

import numpy as np
import pytest

from geocells.sphere import haversine_km
from geoloc.answer.hedge import Hedge
from geoloc.belief.fusion import ConstraintMask
from geoloc.metrics import geoscore

CENTROIDS = np.random.default_rng(0).uniform((-60, -180), (70, 180), (40, 2))
PRIOR = np.full(40, 1 / 40, np.float32)


def test_the_best_point_has_the_highest_expected_score():
    hedge = Hedge.over(CENTROIDS, PRIOR, None)
    beliefs = np.random.default_rng(1).dirichlet(np.full(40, 0.2), 25).astype(np.float32)
    score = geoscore(haversine_km(CENTROIDS[:, None], CENTROIDS[None]))
    best = hedge.points[hedge.best(beliefs)]
    expected = (beliefs @ score).max(axis=1)
    reached = [
        belief @ geoscore(haversine_km(CENTROIDS, point))
        for belief, point in zip(beliefs, best, strict=True)
    ]
    assert reached == pytest.approx(expected, rel=1e-3)


def test_a_certain_belief_is_answered_with_its_cell():
    hedge = Hedge.over(CENTROIDS, PRIOR, None)
    best = hedge.best(np.eye(40, dtype=np.float32))
    assert hedge.cell[best].tolist() == list(range(40))


def test_points_outside_a_constraint_are_never_answered():
    share = np.where(np.arange(40) < 3, 0.5, 0.0).astype(np.float32)
    inside = CENTROIDS + 0.01
    mask = ConstraintMask("there", share, inside, np.zeros(0, bool))
    hedge = Hedge.over(CENTROIDS, PRIOR, mask)
    assert sorted(hedge.cell.tolist()) == [0, 1, 2]
    assert hedge.points.tolist() == inside[hedge.cell].tolist()
