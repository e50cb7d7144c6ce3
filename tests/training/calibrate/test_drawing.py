"""Questions that are drawn by their weights stand for those that were left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.calibrate.heldout import draw
from training.calibrate.logistic import fit_logistic


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(1, 200))
def test_as_many_rows_are_drawn_as_asked_for_without_repetition(seed, count, most):
    rng = np.random.default_rng(seed)
    weights = rng.lognormal(0.0, 2.0, count).astype(np.float32)
    rows, drawn = draw(weights, most, rng)
    assert abs(len(rows) - min(count, most)) <= 1
    assert (np.diff(rows) > 0).all()
    assert drawn.mean() == pytest.approx(1.0, abs=1e-3)
    assert (drawn > 0.0).all()


def test_a_kind_of_which_all_are_drawn_keeps_its_share_of_the_weight():
    # 20 questions of weight 50, of which all are drawn, and 4,000 of weight 1
    weights = np.repeat(np.float32([50.0, 1.0]), [20, 4000])
    shares = []
    for seed in range(20):
        rows, drawn = draw(weights, 200, np.random.default_rng(seed))
        assert np.isin(np.arange(20), rows).all()
        shares.append(drawn[rows < 20].sum() / drawn.sum())
    assert np.mean(shares) == pytest.approx(1000 / 5000, abs=0.01)


def test_logistic_regression_finds_coefficients_and_keeps_limits():
    rng = np.random.default_rng(0)
    inputs = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 2))])
    truth = np.array([-0.5, 1.5, -1.0])
    target = rng.random(20_000) < 1.0 / (1.0 + np.exp(-inputs @ truth))
    weights = np.ones(20_000)
    assert fit_logistic(inputs, target, weights, 1e-6) == pytest.approx(truth, abs=0.1)
    given = 1.5 * inputs[:, 1]
    rest = fit_logistic(inputs[:, [0, 2]], target, weights, 1e-6, given=given)
    assert rest == pytest.approx(truth[[0, 2]], abs=0.1)
    least = np.array([-np.inf, -np.inf, -0.2])
    assert fit_logistic(inputs, target, weights, 1e-6, least=least)[2] == pytest.approx(-0.2)
