"""The choice of a background: balanced, large enough, the same every time."""

from collections import Counter

import numpy as np

from geoloc.belief.background import collection_codes
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.metrics import country_and_region
from training.data.manifest import Manifest
from training.recipes.background import (
    LEAST_PHOTOS,
    MOST_OF_COLLECTION,
    MOST_PHOTOS,
    choose_background,
    shipped_background,
)


def library(collections: dict[str, tuple[int, float, float]]) -> tuple[Manifest, np.ndarray]:
    """Return photos and embeddings of collections: number of photos, latitude, longitude."""
    names = [name for name, (count, *_) in collections.items() for _ in range(count)]
    latlon = np.array([(lat, lon) for n, lat, lon in collections.values() for _ in range(n)])
    column = np.array(names, dtype=object)
    empty = np.full(len(column), "", dtype=object)
    manifest = Manifest(
        empty, latlon, column, np.zeros(len(column)), column, empty, empty, column, empty
    )
    embeddings = normalise(np.random.default_rng(0).normal(size=(len(column), 16)))
    return manifest, embeddings


SYDNEY, PARIS, TOKYO = (-33.87, 151.21), (48.86, 2.35), (35.68, 139.69)


def test_large_collections_and_countries_are_limited():
    sources = {"walks": (5000, *SYDNEY)}
    for number in range(60):
        sources[f"France {number}"] = (50, *PARIS)
        sources[f"Japan {number}"] = (50, *TOKYO)
    manifest, embeddings = library(sources)
    chosen = choose_background(manifest, embeddings)
    assert LEAST_PHOTOS <= len(chosen) <= MOST_PHOTOS
    walks = int((chosen.collection == collection_codes(manifest.collection)[0]).sum())
    assert walks <= 4 * MOST_OF_COLLECTION, "two thirds of all photos"
    country = country_and_region(chosen.latlon)[:, 0]
    by_country = sorted(Counter(country.tolist()).values())
    assert by_country[0] == walks
    assert by_country[2] - by_country[1] <= 1
    again = choose_background(manifest, embeddings)
    assert np.array_equal(again.quantised, chosen.quantised)


def test_few_photos_are_all_chosen():
    manifest, embeddings = library({"walks": (90, *SYDNEY), "Ann": (3, *PARIS)})
    assert len(choose_background(manifest, embeddings)) == 93


def test_another_encoder_has_no_background_and_the_remedy_is_named():
    spec = directory.load("starter").encoder_spec
    found, line = shipped_background(type(spec)("onnx", "other", "", 8, spec.preprocessing))
    assert found is None
    assert "other" in line
    assert "--background" in line
