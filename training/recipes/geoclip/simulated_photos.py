"""Simulated photo embeddings, made from location vectors without any image.

GeoCLIP's weights come without photos, but heads and calibration need some. The location encoder
gives the vector that photos of a place were trained to match; embeddings of real photos differ from
it, some by far. Results fitted on simulated photos are labelled as simulated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocells.attributes import koppen
from geocells.borders.hierarchy import embedded_boundaries
from geoloc.encoders.base import normalise
from geoloc.types import Float32Array, Float64Array, IndexArray


def simulate_embeddings(
    places: Float32Array, others: Float32Array, alike: IndexArray, rng: np.random.Generator
) -> Float32Array:
    """Return embeddings (N, D) of simulated photos.

    Each is a mixture of the vectors of its place and of a look-alike, with a share drawn from
    Beta(2, 2), plus noise of length 1.

    Args:
        places: (N, D) location vectors of the true places.
        others: (M, D) location vectors of the possible look-alikes.
        alike: (N,) row in `others` of the look-alike of each place; see `look_alikes`.
        rng: random generator.
    """
    mean = others.mean(axis=0)
    share = rng.beta(2.0, 2.0, (len(places), 1)).astype(np.float32)
    noise = rng.standard_normal(places.shape, np.float32) / np.sqrt(places.shape[1])
    mixed = share * (places - mean) + (1.0 - share) * (others[alike] - mean)
    return normalise(mixed + noise.astype(np.float32))


def look_alikes(latlon: Float64Array, others: Float64Array, rng: np.random.Generator) -> IndexArray:
    """Return for each place (N, 2) a random row of `others` (M, 2) with its country or climate.

    Country and climate are chosen with equal probability.
    """
    country = embedded_boundaries().country
    by_country = _random_of_kind(country.locate(latlon), country.locate(others), rng)
    number = {name: i for i, name in enumerate(sorted({*koppen(latlon), *koppen(others)}))}
    classes = [np.array([number[c] for c in koppen(points)]) for points in (latlon, others)]
    by_climate = _random_of_kind(classes[0], classes[1], rng)
    return np.where(rng.random(len(latlon)) < 0.5, by_country, by_climate)


def _random_of_kind(
    target: npt.NDArray[np.integer], kinds: npt.NDArray[np.integer], rng: np.random.Generator
) -> IndexArray:
    """Return for each target (N,) a random row of `kinds` (M,) equal to it, or any if none is."""
    order = np.argsort(kinds, kind="stable")
    first = np.searchsorted(kinds[order], target, "left")
    count = np.searchsorted(kinds[order], target, "right") - first
    anywhere = count == 0
    first, count = np.where(anywhere, 0, first), np.where(anywhere, len(kinds), count)
    chosen: IndexArray = order[first + (rng.random(len(target)) * count).astype(np.intp)]
    return chosen
