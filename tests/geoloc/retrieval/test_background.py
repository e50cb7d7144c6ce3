"""Similarity to background photos."""

import numpy as np
import pytest

from geoloc.encoders.base import normalise
from geoloc.retrieval.background import NEAREST, BackgroundFeatures


def features(count: int, seed: int):
    return normalise(np.random.default_rng(seed).normal(size=(count, 8)))


def test_similarities_are_those_of_the_nearest_photos():
    background = BackgroundFeatures(features(50, 0), np.arange(50, dtype=np.int32))
    photos = features(5, 1)
    ranked = -np.sort(-(photos @ background.features.T), axis=1)[:, :NEAREST]
    expected = np.stack([ranked[:, 0], ranked.mean(axis=1)], axis=1)
    assert background.similarity(photos) == pytest.approx(expected, abs=1e-6)


def test_the_collection_of_a_held_out_photo_is_left_out():
    background = BackgroundFeatures(features(50, 0), np.repeat(np.int32([7, 8]), 25))
    photo = background.features[:1]
    assert background.similarity(photo)[0, 0] == pytest.approx(1.0)
    others = (photo @ background.features[25:].T).max()
    found = background.similarity(photo, background.of_collections(np.array([7], np.int32)))
    assert found[0, 0] == pytest.approx(others, abs=1e-6)


def test_too_few_photos_say_nothing():
    background = BackgroundFeatures(features(NEAREST, 0), np.zeros(NEAREST, np.int32))
    assert (background.similarity(features(3, 1)) == 0.0).all()
