"""Guesses made from rankings: every value can be written as JSON and means what it says."""

from dataclasses import replace

import numpy as np

from geoloc.answer.explain import Explainer
from geoloc.bundle.directory import load
from geoloc.encoders.base import normalise
from geoloc.geolocator import Geolocator, unnamed_photos
from geoloc.output.formats import to_json


def test_similarity_never_exceeds_1():
    bundle = load("starter")
    features = np.random.default_rng(0).normal(size=(2, bundle.encoder_spec.dim))
    geolocator = Geolocator(bundle)
    ranking = geolocator.rank(normalise(features.astype(np.float32)))
    rounded = replace(ranking, similarity=np.full_like(ranking.similarity, 1.0000002))
    explainer = Explainer(bundle.joined, bundle.attributes)
    for guess in explainer.guesses("starter", rounded, unnamed_photos(2), top=3):
        assert guess.neighbours
        assert all(each.similarity == 1.0 for each in guess.neighbours)
        assert guess.photos == (guess.photo,)
        assert "NaN" not in to_json(guess)
