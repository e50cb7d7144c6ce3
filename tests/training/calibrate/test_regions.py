import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.answer.judge import LEVELS
from geoloc.belief.fusion import mass_before
from geoloc.belief.heads import softmax
from training.calibrate import fit
from training.calibrate.fit import most_likely


def fit_region(before):
    return fit.fit_region(before, np.ones(len(before), np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_regions_cover_their_level_on_new_photos(seed):
    rng = np.random.default_rng(seed)
    limits = fit_region(rng.uniform(size=4000).astype(np.float32))
    fresh = rng.uniform(size=4000)
    for name in LEVELS:
        assert (fresh <= limits[name]).mean() == pytest.approx(int(name) / 100, abs=0.03)


def test_overconfident_posteriors_get_larger_regions():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6000, 30))
    calibrated = softmax(logits)
    truth = (calibrated.cumsum(axis=1) < rng.uniform(size=(6000, 1))).sum(axis=1).clip(max=29)
    before = mass_before(softmax(3.0 * logits), truth)
    limits = fit_region(before[:3000])
    for name in LEVELS:
        share = int(name) / 100
        assert (before[3000:] <= limits[name]).mean() == pytest.approx(share, abs=0.03)
    assert limits["80"] > fit_region(mass_before(calibrated, truth))["80"] + 0.05


@given(before=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_limits_ascend_and_cover_their_level_on_the_fitted_photos(before):
    scores = np.array(before, np.float32)
    limits = fit_region(scores)
    assert list(limits) == list(LEVELS)
    ascending = [limits[name] for name in LEVELS]
    assert ascending == sorted(ascending)
    for name in LEVELS:
        assert (scores <= limits[name]).mean() >= int(name) / 100 - 1e-9


def test_coverage_holds_with_few_photos():
    rng = np.random.default_rng(1)
    covered = [rng.uniform() <= fit_region(rng.uniform(size=9))["95"] for _ in range(2000)]
    assert np.mean(covered) >= 0.93


def likelihoods(planted: int, photos: int = 500):
    """Return likelihoods under four options, one of which is best on average."""
    rng = np.random.default_rng(planted)
    log = rng.normal(-2.0, 0.5, (photos, 4))
    log[:, planted] += 0.2
    return np.exp(log).astype(np.float32)


@pytest.mark.parametrize("planted", range(4))
def test_most_likely_finds_the_planted_option(planted):
    options = (0.5, 1.0, 2.0, 4.0)
    assert most_likely(likelihoods(planted), options, np.ones(500)) == options[planted]


def test_most_likely_weighs_photos():
    both = np.concatenate([likelihoods(0), likelihoods(3)])
    for weights, option in (((1.0, 0.1), "a"), ((0.1, 1.0), "d")):
        assert most_likely(both, ("a", "b", "c", "d"), np.repeat(weights, 500)) == option


def test_most_likely_avoids_confident_errors():
    likelihood = np.tile([[0.5, 0.6]], (50, 1)).astype(np.float32)
    assert most_likely(likelihood, ("careful", "bold"), np.ones(50)) == "bold"
    likelihood[0, 1] = 0.0
    assert most_likely(likelihood, ("careful", "bold"), np.ones(50)) == "careful"
