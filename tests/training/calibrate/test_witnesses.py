"""Witnesses are fitted on simulated evidence with mistakes, and mistakes make no answer sure."""

import numpy as np
import pytest

from geoloc.answer.calibration import Calibration
from geoloc.belief.witnesses.weighing import Reliability, Weights
from geoloc.geolocator import Geolocator
from training.calibrate.heldout import single
from training.calibrate.witnesses.fit import Believed, fit_reliability, fit_weights, tempered
from training.calibrate.witnesses.measure import Told, gain_interval
from training.calibrate.witnesses.simulated import (
    Simulated,
    simulated_clocks,
    simulated_shadows,
)

COUNT = 60


@pytest.fixture(scope="module")
def held_out():
    """Photos of noise, about which the ranker knows nothing, at places of the prior."""
    ranker = Geolocator.from_bundle("starter").bundle.ranker
    rng = np.random.default_rng(0)
    prior = ranker.heads.prior.astype(np.float64)
    cell = rng.choice(len(prior), COUNT, p=prior / prior.sum())
    embeddings = rng.standard_normal((COUNT, ranker.heads.mean.shape[0])).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    ones = np.ones(COUNT, np.float32)
    names = np.arange(COUNT).astype(str).astype(object)
    return single(
        ranker, embeddings, ranker.cells.centroids[cell], ones, np.arange(COUNT, dtype=np.int32),
        names,
    )  # fmt: skip


def test_clocks_and_shadows_are_those_of_the_place_but_for_mistakes(held_out):
    cells, rng = held_out.rankers[0].cells, np.random.default_rng(1)
    own = cells.locate(held_out.latlon)
    rows = np.arange(COUNT)
    for make in (simulated_clocks, simulated_shadows):
        right, wrong = (make(cells, held_out.latlon, share, rng) for share in (0.0, 1.0))
        assert not right.is_mistaken.any()
        assert wrong.is_mistaken.all()
        at_truth = [
            (each.log_likelihood[rows, own] - each.log_likelihood.max(axis=1)).mean()
            for each in (right, wrong)
        ]
        assert at_truth[0] > at_truth[1] + 0.5


def test_a_witness_that_is_often_mistaken_is_trusted_less(held_out):
    cells, rng = held_out.rankers[0].cells, np.random.default_rng(2)
    believed = Believed.of(held_out)
    good, bad = (
        fit_reliability(believed, simulated_clocks(cells, held_out.latlon, share, rng))
        for share in (0.0, 0.9)
    )
    assert good.wrong < bad.wrong or good.exponent > bad.exponent


def test_fitted_weights_are_read_by_a_bundle_and_temper_radii(held_out, tmp_path):
    cells, rng = held_out.rankers[0].cells, np.random.default_rng(3)
    before = held_out.rankers[0].calibration
    evidence = simulated_clocks(cells, held_out.latlon, 0.2, rng)
    try:
        weights = fit_weights(held_out, [evidence])
        weights.write(tmp_path / "witnesses.json")
        read = Weights.read(tmp_path / "witnesses.json")
        assert read.reliability == weights.reliability
        calibration: Calibration = before.with_witnesses(read.judge)
        assert "witness" in calibration.judges
        told = tempered(
            evidence.log_likelihood, read.reliability["file"], held_out.rankers[0].heads.prior
        )
        told_answers, alone = Told.of(held_out, told), Told.of(held_out, None)
        assert told_answers.summary()["country"] >= alone.summary()["country"]
    finally:
        held_out.rankers[0].calibration = before


def test_rows_without_evidence_stay_without():
    rows = np.zeros((2, 5), np.float32)
    rows[1, 2] = 3.0
    result = tempered(rows, Reliability(1.0, 0.1), np.full(5, 0.2, np.float32))
    assert not result[0].any()
    assert result[1].argmax() == 2
    kept = Simulated("file", rows, np.array([True, False])).take(np.array([False, True]))
    assert kept.log_likelihood.shape == (1, 5)


def test_a_gain_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    after, before = rng.random(400) < 0.5, rng.random(400) < 0.3
    gain, low, high = gain_interval(after, before, rng)
    assert low < gain < high
    assert gain == pytest.approx(0.2, abs=0.1)
