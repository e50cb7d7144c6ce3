"""Photos that nobody took: what an image encoder might see of a place, without any image.

The weights come without photographs, and heads and calibration want some. GeoCLIP's location
encoder gives the vector that photos of a place were trained to match; real ones fall short of it,
some by far. What is fitted on imagined photos is simulated, and said
to be.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocells.attributes import koppen
from geocells.borders.hierarchy import embedded_boundaries
from geoloc.encoders.base import normalise
from geoloc.types import Float32Array, Float64Array, IndexArray


def imagine(
    places: Float32Array, others: Float32Array, alike: IndexArray, rng: np.random.Generator
) -> Float32Array:
    """Embeddings (N, D) of imagined photos.

    Each is a mixture of its place and a place that it could be mistaken for, in a share that
    differs from photo to photo (Beta(2, 2)), plus noise of length 1.

    Args:
        places: (N, D) location vectors of the true places.
        others: (M, D) of all places.
        alike: (N,) rows of `others`: what each could be mistaken for; see `look_alikes`.
        rng: of chance.
    """
    mean = others.mean(axis=0)
    told = rng.beta(2.0, 2.0, (len(places), 1)).astype(np.float32)
    noise = rng.standard_normal(places.shape, np.float32) / np.sqrt(places.shape[1])
    mixed = told * (places - mean) + (1.0 - told) * (others[alike] - mean)
    return normalise(mixed + noise.astype(np.float32))


def look_alikes(latlon: Float64Array, others: Float64Array, rng: np.random.Generator) -> IndexArray:
    """For each place (N, 2) a row of `others` (M, 2) of its country or, as often, its climate."""
    country = embedded_boundaries().country
    by_country = _of_same(country.locate(latlon), country.locate(others), rng)
    number = {name: i for i, name in enumerate(sorted({*koppen(latlon), *koppen(others)}))}
    classes = [np.array([number[c] for c in koppen(points)]) for points in (latlon, others)]
    by_climate = _of_same(classes[0], classes[1], rng)
    return np.where(rng.random(len(latlon)) < 0.5, by_country, by_climate)


def _of_same(
    wanted: npt.NDArray[np.integer], kinds: npt.NDArray[np.integer], rng: np.random.Generator
) -> IndexArray:
    """For each wanted kind (N,) a random row of that kind (M,); of any where there is none."""
    order = np.argsort(kinds, kind="stable")
    first = np.searchsorted(kinds[order], wanted, "left")
    count = np.searchsorted(kinds[order], wanted, "right") - first
    anywhere = count == 0
    first, count = np.where(anywhere, 0, first), np.where(anywhere, len(kinds), count)
    chosen: IndexArray = order[first + (rng.random(len(wanted)) * count).astype(np.intp)]
    return chosen
