import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from geoloc.retrieval.reranker import FEATURES, GATING_FEATURES, UNTRAINED, Reranker
from training.calibrate import rerank
from training.calibrate.rerank import fit_reranker, utility

PHOTOS, PLACES = 600, 8


def planted(seed: int, feature: int | None = None):
    """Return photos whose best candidate maximises one feature; random utilities without one."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(PHOTOS, PLACES, FEATURES)).astype(np.float32)
    gating = np.column_stack([np.ones(PHOTOS), rng.uniform(size=(PHOTOS, GATING_FEATURES - 1))])
    valid = rng.uniform(size=(PHOTOS, PLACES)) < 0.8
    valid[:, 0] = True
    value = rng.uniform(0.0, 0.1, (PHOTOS, PLACES))
    if feature is not None:
        best = np.where(valid, features[:, :, feature], -np.inf).argmax(axis=1)
        value[np.arange(PHOTOS), best] = 1.0
    return features, np.float32(gating), valid, np.float32(value), np.ones(PHOTOS, np.float32)


def mean_utility(reranker: Reranker, photos) -> float:
    """Return the mean utility of the candidates that are chosen."""
    features, gating, valid, value, weights = photos
    chosen = np.where(valid, reranker(features, gating), -np.inf).argmax(axis=1)
    return float(np.average(value[np.arange(len(value)), chosen], weights=weights))


@pytest.mark.parametrize("feature", range(FEATURES))
def test_recovers_a_planted_feature(feature):
    fitted = fit_reranker(*planted(0, feature))
    fresh = planted(1, feature)
    assert mean_utility(fitted, fresh) > 0.9
    assert mean_utility(UNTRAINED, fresh) < 0.8


@given(seed=st.integers(0, 10_000), feature=st.none() | st.integers(0, FEATURES - 1))
@settings(max_examples=20, deadline=None)
def test_is_never_worse_than_the_start_on_its_own_photos(seed, feature):
    photos = planted(seed, feature)
    assert mean_utility(fit_reranker(*photos), photos) >= mean_utility(UNTRAINED, photos)


def test_gradient_equals_finite_differences(monkeypatch):
    seen = []

    def spy(loss, start, **options):
        seen.append((loss, start))
        return minimize(loss, start, **options)

    monkeypatch.setattr(rerank, "minimize", spy)
    fit_reranker(*planted(0, 3))
    (loss, start), rng, step = seen[0], np.random.default_rng(0), 1e-2
    for _ in range(10):
        at, direction = rng.normal(0, 0.3, (2, len(start)))
        slope = (loss(at + step * direction)[0] - loss(at - step * direction)[0]) / (2 * step)
        assert loss(at)[1] @ direction == pytest.approx(slope, rel=2e-4, abs=1e-5)


def test_weights_depend_on_the_gating_features():
    """The sign of one feature's effect depends on a gating feature."""
    features, gating, valid, value, weights = planted(2, 1)
    gating[:, 2] = np.arange(PHOTOS) % 2
    sign = np.where(gating[:, 2] > 0, 1.0, -1.0)[:, None]
    best = np.where(valid, features[:, :, 1] * sign, -np.inf).argmax(axis=1)
    value[:] = np.eye(PLACES)[best]
    photos = features, gating, valid, value, weights
    assert mean_utility(fit_reranker(*photos), photos) > 0.93


def test_fit_is_deterministic():
    one, other = (fit_reranker(*planted(0, 3)) for _ in range(2))
    assert np.array(one.weights).tobytes() == np.array(other.weights).tobytes()
    assert np.array(one.weights).shape == (GATING_FEATURES, FEATURES)


def test_invalid_candidates_have_no_influence():
    features, gating, valid, value, weights = planted(0, 3)
    before = fit_reranker(features, gating, valid, value, weights)
    features, value = features.copy(), value.copy()
    features[~valid] *= -9.0
    value[~valid] = 1.0
    after = fit_reranker(features, gating, valid, value, weights)
    assert np.array(after.weights) == pytest.approx(np.array(before.weights), abs=1e-3)


def test_photos_with_zero_weight_have_no_influence():
    photos, others = planted(0, 3), planted(1, 5)
    both = [np.concatenate(parts) for parts in zip(photos, others, strict=True)]
    both[-1][PHOTOS:] = 0.0
    fitted, expected = fit_reranker(*both), fit_reranker(*photos)
    assert np.array(fitted.weights) == pytest.approx(np.array(expected.weights), abs=0.05)
    both[-1][PHOTOS:] = 1.0
    assert np.abs(np.array(fit_reranker(*both).weights) - expected.weights).max() > 1.0


def test_utility_falls_with_distance():
    km = np.array([0.0, 0.1, 1.0, 25.0, 200.0, 750.0, 2500.0, 20000.0])
    value = utility(km)
    assert value.dtype == np.float32
    assert value[0] == pytest.approx(1.0)
    assert (np.diff(value) < 0.0).all()
    assert value[-1] < 1e-3
    at_one = (2 * np.exp(-1) + np.exp(-1 / 25) + np.exp(-1 / 200)
              + np.exp(-1 / 750) + np.exp(-1 / 2500)) / 6  # fmt: skip
    assert value[2] == pytest.approx(at_one, abs=1e-6)
