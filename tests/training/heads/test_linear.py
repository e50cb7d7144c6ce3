"""The classifier fitted in NumPy is the one that torch fits."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from geocells.sphere import unit_vectors
from geoloc.encoders.base import normalise
from tests.training.heads.test_fit import CONFIG, DIM, PRIOR, accuracy, examples, square_cells
from training.heads import linear
from training.heads.fit import fit_heads
from training.heads.linear import fit_linear, smoothed_labels
from training.heads.losses import smoothed_labels as smoothed_in_torch

SAME = replace(CONFIG, attributes=False, whitening=0.0, features=DIM)


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
def test_beliefs_equal_those_of_the_classifier_in_torch(schedule):
    config = replace(SAME, schedule=schedule)
    photos, fresh = examples(1500), examples(300, seed=1)
    ours = fit_linear(photos, square_cells(), PRIOR, config)
    theirs, _ = fit_heads(photos, square_cells(), PRIOR, config)
    mine, expected = (h.classify(h.features(fresh.embeddings)) for h in (ours, theirs))
    assert np.abs(mine - expected).mean() < 0.01  # they shuffle the photos differently
    assert (mine.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95
    assert accuracy(ours, fresh) == pytest.approx(accuracy(theirs, fresh), abs=0.03)
    assert ours.shift == pytest.approx(theirs.shift)
    assert ours.bias.shape == theirs.bias.shape


def test_similarities_are_those_of_the_encoder():
    photos = examples(300)
    heads = fit_linear(photos, square_cells(), PRIOR, replace(SAME, epochs=1))
    features = heads.features(photos.embeddings)
    centred = normalise(photos.embeddings - photos.embeddings.mean(axis=0))
    assert features @ features.T == pytest.approx(centred @ centred.T, abs=1e-4)


def test_long_embeddings_are_reduced_and_keep_their_similarities(monkeypatch):
    monkeypatch.setattr(linear, "LONGEST", 8)
    photos = examples(400, noise=0.01)
    heads = fit_linear(photos, square_cells(), PRIOR, replace(SAME, epochs=1))
    features = heads.features(photos.embeddings)
    assert features.shape == (400, 8)
    centred = normalise(photos.embeddings - photos.embeddings.mean(axis=0))
    assert np.corrcoef((features @ features.T).ravel(), (centred @ centred.T).ravel())[0, 1] > 0.9


def test_fewer_photos_than_numbers_are_enough(monkeypatch):
    monkeypatch.setattr(linear, "LONGEST", 8)
    heads = fit_linear(examples(3), square_cells(), PRIOR, replace(SAME, epochs=1))
    assert 1 <= heads.features(examples(3).embeddings).shape[1] <= 3
    one = fit_linear(examples(1), square_cells(), PRIOR, replace(SAME, epochs=1))
    assert np.isfinite(one.classify(one.features(examples(2).embeddings))).all()


def test_smoothed_labels_equal_those_in_torch():
    rng = np.random.default_rng(0)
    places, centres = (
        unit_vectors(rng.uniform((-90, -180), (90, 180), (count, 2))) for count in (50, 30)
    )
    expected = smoothed_in_torch(torch.from_numpy(places), torch.from_numpy(centres), 75.0)
    assert smoothed_labels(places, centres, 75.0) == pytest.approx(expected.numpy(), abs=4e-3)
