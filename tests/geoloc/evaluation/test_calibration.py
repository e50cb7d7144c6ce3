"""Calibration, coverage and selective risk."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from geocells.sphere import EARTH_RADIUS_KM
from geoloc.evaluation.calibration import (
    AREAS_KM2,
    assess_calibration,
    cap_km2,
    probability_calibration,
    selective_risk,
)
from geoloc.evaluation.scores import score_photos, true_areas
from tests.geoloc.evaluation.samples import drawn_answers, drawn_benchmark, towns


def test_calibration_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    chance = rng.random(1000)
    right = rng.random(1000) < chance**2
    found = probability_calibration(chance, right)
    held, claimed = calibration_curve(right, chance, n_bins=10)
    photos, mine, truth = np.array(found["bins"]).T
    assert mine == pytest.approx(claimed)
    assert truth == pytest.approx(held)
    assert found["ece"] == pytest.approx((photos * np.abs(held - claimed)).sum() / 1000)
    assert found["brier"] == pytest.approx(brier_score_loss(right, chance))
    assert probability_calibration(np.array([1.0, 0.0]), np.array([True, False]))["ece"] == 0.0


def test_selective_risk_orders_by_claimed_probability():
    chance = np.array([0.9, np.nan, 0.5, 0.8])
    right = np.array([True, True, False, False])
    found = selective_risk(chance, right)
    # ordered by probability: right, wrong, wrong, and last the answer without a claim
    assert found["area"] == pytest.approx(np.mean([0, 1 / 2, 2 / 3, 2 / 4]))
    assert found["curve"][-1] == [1.0, 0.5]


def test_areas_of_circles_on_the_sphere():
    assert cap_km2(10.0) == pytest.approx(np.pi * 100, rel=1e-5)
    whole = 4 * np.pi * EARTH_RADIUS_KM**2
    assert cap_km2(np.pi * EARTH_RADIUS_KM) == pytest.approx(whole)
    assert cap_km2(np.pi * EARTH_RADIUS_KM / 2) == pytest.approx(whole / 2)


def test_coverage_of_claimed_radii():
    rng = np.random.default_rng(0)
    truth = towns(4, rng)
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(truth, [1.0, 10.0, 100.0, 1000.0], rng)
    answers.radii_km[:] = (5.0, 50.0, 5000.0)
    answers.radii_km[3, 0] = np.nan
    answers.chance[:3] = (1.0, 1.0, 0.0)
    answers.needed_km2[:] = (1.0, 1.0, 1e4, 1e9)
    found = assess_calibration(answers, score_photos(benchmark, answers, true_areas(benchmark)))
    radii = found["radii"]
    assert radii["50"] == {"photos": 3, "coverage": pytest.approx(1 / 3), "median_km": 5.0}
    assert radii["80"]["coverage"] == 0.5
    assert radii["95"]["coverage"] == 1.0
    assert found["regions"] is None
    assert found["chances"]["photos"] == 3
    assert found["chances"]["ece"] == pytest.approx(1 / 3)
    area, share = np.array(found["area"]["region"]).T
    assert area == pytest.approx(AREAS_KM2)
    assert share[0] == 0.5
    assert share[-1] == 0.75
    assert (np.diff(share) >= 0).all()


def test_refusals_have_no_recall_at_any_area():
    rng = np.random.default_rng(0)
    truth = towns(10, rng)
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(truth, 1.0, rng, refused=4)
    found = assess_calibration(answers, score_photos(benchmark, answers, true_areas(benchmark)))
    assert found["area"]["point"][-1][1] == pytest.approx(0.6)
    assert found["chances"] is None
    assert found["radii"] is None
