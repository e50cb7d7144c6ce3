"""Fits of radii, claims and probabilities of places, on drawn evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.answer.judge import FARTHEST_KM
from geoloc.answer.signals import EVIDENCE
from training.calibrate.fit import fit_claim, fit_place, fit_radius

seeds = st.integers(0, 2**32 - 1)


def evidence_of(count: int, seed: int):
    """Return evidence (N, EVIDENCE) whose first column is 1, and the number in its second."""
    evidence = np.random.default_rng(seed).normal(size=(count, EVIDENCE)).astype(np.float32)
    evidence[:, 0] = 1.0
    return evidence, evidence[:, 1].astype(np.float64)


def distances(evidence, seed: int):
    noise = np.random.default_rng(seed).normal(size=len(evidence))
    return np.exp(4.0 + 1.5 * evidence[:, 1] + noise).astype(np.float64)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_radii_hold_their_share_of_new_photos_and_follow_the_evidence(level):
    evidence, _ = evidence_of(4000, 0)
    radius = fit_radius(evidence, distances(evidence, 1), np.ones(4000, np.float32), level)
    fresh, number = evidence_of(4000, 2)
    held = distances(fresh, 3) <= radius(fresh)
    assert held.mean() == pytest.approx(level, abs=0.03)
    for part in (number < -0.7, number > 0.7):
        assert held[part].mean() == pytest.approx(level, abs=0.07)
    assert np.median(radius(fresh)[number > 0.7]) > 3 * np.median(radius(fresh)[number < -0.7])


def test_radii_are_those_of_the_photos_with_weight():
    evidence, _ = evidence_of(2000, 0)
    evidence[:, 1:] = 0.0
    near, far = np.full(1000, 10.0), np.full(1000, 5000.0)
    weights = np.repeat(np.float32([1.0, 0.01]), 1000)
    radius = fit_radius(evidence, np.concatenate([near, far]), weights, 0.8)
    assert radius(evidence[:1])[0] == pytest.approx(10.0, rel=0.1)
    radius = fit_radius(evidence, np.concatenate([near, far]), weights[::-1].copy(), 0.8)
    assert radius(evidence[:1])[0] == pytest.approx(5000.0, rel=0.1)


def test_too_few_photos_for_a_level_give_the_whole_earth():
    evidence, _ = evidence_of(8, 0)
    radius = fit_radius(evidence, np.full(8, 5.0), np.ones(8, np.float32), 0.95)
    assert radius(evidence).max() == pytest.approx(FARTHEST_KM, rel=1e-3)


def claims(right_share: float, new_share: float, count: int = 3000, seed: int = 0):
    """Fit a claim that is right for some of the sure photos, and for others if they are new."""
    rng = np.random.default_rng(seed)
    evidence, number = evidence_of(count, seed)
    new = rng.random(count) < 0.3
    share = np.where(new, new_share, right_share)
    right = (number > 0.5) & (rng.random(count) < share)
    collection = np.arange(count) % 40
    claim = fit_claim(evidence, right, np.ones(count, np.float32), collection, new)
    probability = 1.0 / (1.0 + np.exp(-evidence @ np.array(claim.weights)))
    return probability >= claim.threshold, right, new


def test_claims_that_are_made_are_right():
    made, right, new = claims(0.99, 0.99)
    assert made.sum() > 200
    assert right[made].mean() >= 0.85
    assert right[made & new].mean() >= 0.85


def test_claims_that_are_right_for_known_collections_only_are_not_made_for_others():
    made, _, new = claims(0.99, 0.4)
    assert (made & new).sum() <= 2
    made, _, _ = claims(0.99, 0.99)
    assert made.sum() > 200, "the same photos are claimed if new collections allow it"


def test_one_large_collection_does_not_decide_about_claims():
    count = 2000
    evidence, number = evidence_of(count, 5)
    collection = np.where(np.arange(count) < 1800, 0, 1 + np.arange(count) % 50)
    right = (number > 0) & (collection == 0)
    nobody = np.zeros(count, bool)
    claim = fit_claim(evidence, right, np.ones(count, np.float32), collection, nobody)
    probability = 1.0 / (1.0 + np.exp(-evidence @ np.array(claim.weights)))
    made = probability >= claim.threshold
    assert made.sum() < 0.1 * right.sum()
    assert (made & ~right).sum() <= 0.2 * made.sum()


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_probabilities_of_places_rise_with_the_belief_around_them(seed):
    rng = np.random.default_rng(seed)
    evidence, _ = evidence_of(300, seed)
    mass = -np.sort(-rng.random((300, 5)).astype(np.float32), axis=1)
    right = rng.random((300, 5)) < rng.random((300, 5))
    place = fit_place(mass, evidence, right, np.ones(300, np.float32))
    assert place.slope > 0.0
    found = place(mass, evidence)
    assert ((found > 0.0) & (found < 1.0)).all()
    assert (np.diff(found, axis=1) <= 1e-6).all()


def test_probabilities_of_places_are_calibrated():
    rng = np.random.default_rng(0)
    evidence, number = evidence_of(6000, 0)
    mass = rng.uniform(0.02, 0.98, (6000, 3)).astype(np.float32)
    logit = 0.6 * np.log(mass / (1 - mass)) + number[:, None] - 1.0
    truth = 1.0 / (1.0 + np.exp(-logit))
    right = rng.random((6000, 3)) < truth
    place = fit_place(mass[:4000], evidence[:4000], right[:4000], np.ones(4000, np.float32))
    found = place(mass[4000:], evidence[4000:])
    assert np.abs(found - truth[4000:]).mean() < 0.03
