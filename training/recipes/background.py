"""The background of a bundle: photos of all the world, balanced by collection and country."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geoloc.belief.background import Background
from geoloc.bundle import directory as bundles
from geoloc.encoders.base import EncoderSpec
from geoloc.metrics import country_and_region
from geoloc.types import Float32Array, IndexArray
from training.data.manifest import Manifest

LEAST_PHOTOS = 2_000
MOST_PHOTOS = 2_500
"""Photos of a background, if there are as many."""

MOST_OF_COLLECTION = 60
MOST_OF_COUNTRY = 300
"""Photos of one collection and of one country; both limits are doubled until LEAST_PHOTOS are
found."""


def choose_background(manifest: Manifest, embeddings: Float32Array, seed: int = 0) -> Background:
    """Return a background of some of N photos.

    Args:
        manifest: N photos, best of many collections and countries.
        embeddings: (N, D) of them.
        seed: of the order in which the photos of a collection are chosen.
    """
    order = np.random.default_rng(seed).permutation(len(manifest))
    country = country_and_region(manifest.latlon)[:, 0]
    collection = np.unique(manifest.collection.astype(str), return_inverse=True)[1]
    chosen, factor = order[:0], 1
    while len(chosen) < min(LEAST_PHOTOS, len(manifest)):
        chosen = order[_earlier_equals(collection[order]) < factor * MOST_OF_COLLECTION]
        chosen = chosen[_earlier_equals(country[chosen]) < factor * MOST_OF_COUNTRY]
        factor *= 2
    by_country = np.argsort(_earlier_equals(country[chosen]), kind="stable")
    rows = np.sort(chosen[by_country[:MOST_PHOTOS]])
    return Background.of(embeddings[rows], manifest.latlon[rows], manifest.collection[rows])


def shipped_background(spec: EncoderSpec) -> tuple[Background | None, str]:
    """Return the background of the starter bundle, and a line that says why there is none.

    Args:
        spec: of the encoder of the new bundle; embeddings of another encoder are of no use.
    """
    starter = bundles.load("starter")
    if starter.encoder_spec.fingerprint == spec.fingerprint and starter.background is not None:
        return starter.background, ""
    return None, (
        f"no background for the encoder {spec.model}: the bundle cannot tell photos from elsewhere;"
        " give photos from all over the world with --background PHOTOS"
    )


def _earlier_equals(code: npt.NDArray[np.integer]) -> IndexArray:
    """Return (N,) how many earlier codes are the same."""
    order = np.argsort(code, kind="stable")
    earlier = np.empty(len(code), np.intp)
    earlier[order] = np.arange(len(code)) - np.searchsorted(code[order], code[order])
    return earlier
