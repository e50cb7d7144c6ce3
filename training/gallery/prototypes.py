"""Prototypes of location clusters: what photos of a place and its surroundings have in common."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from geocells.neighbours import NearestPoints
from geocells.sphere import group_means, haversine_km
from geoloc.encoders.base import normalise
from geoloc.types import Float32Array, Float64Array
from training.data.split import blocks

SCALES_KM = (0.3, 1.0, 3.0, 10.0, 30.0)
"""A single photo is a poor witness of its place: what it shares with others at these distances is
told apart from what is its own by averaging. Each scale counts the same, and so does the cluster
itself, so that near places stay apart."""

_ROWS_AT_ONCE = 16_384


def prototypes(
    features: Float32Array,
    cluster: npt.NDArray[np.integer],
    latlon: Float64Array,
    scales_km: tuple[float, ...] = SCALES_KM,
) -> Float32Array:
    """Prototype (L, K) of each cluster, of length 1.

    Args:
        features: (M, K) unit vectors of the members.
        cluster: (M,) cluster of each, 0..L-1, every cluster with a member.
        latlon: (L, 2) degrees of the clusters.
        scales_km: scales of the surroundings, weighted by a Gaussian.
    """
    count = np.bincount(cluster, minlength=len(latlon)).astype(np.float32)
    alone = normalise(_sums(features, cluster, len(latlon)))
    total = alone.copy()
    weighted = alone * np.sqrt(count)[:, None]  # many photos of one walk are few opinions
    for scale in scales_km:
        total += smoothed(weighted, latlon, scale)
    return normalise(total)


def smoothed(vectors: Float32Array, latlon: Float64Array, scale_km: float) -> Float32Array:
    """Gaussian means (L, K), of length 1, of vectors (L, K) around their own places.

    The vectors are first added up in squares of half the scale, so that time and memory depend on
    the squares within reach of each other and not on the pairs of photos in a city.
    """
    square = np.unique(blocks(latlon, scale_km / 2.0).astype(str), return_inverse=True)[1]
    sums = _sums(vectors, square, int(square.max()) + 1)
    middle = group_means(latlon, square, len(sums))
    row, column = NearestPoints(middle).within(middle, 2.0 * scale_km)
    weight = np.exp(-0.5 * (haversine_km(middle[row], middle[column]) / scale_km) ** 2)
    near = csr_matrix((weight.astype(np.float32), (row, column)), shape=(len(sums), len(sums)))
    means = np.empty_like(sums)
    for start in range(0, len(sums), _ROWS_AT_ONCE):
        means[start : start + _ROWS_AT_ONCE] = near[start : start + _ROWS_AT_ONCE] @ sums
    return normalise(means)[square]


def _sums(vectors: Float32Array, group: npt.NDArray[np.integer], n_groups: int) -> Float32Array:
    """Sum (n_groups, K) of the vectors of each group."""
    adding = csr_matrix(
        (np.ones(len(group), np.float32), (group, np.arange(len(group)))),
        shape=(n_groups, len(group)),
    )
    return np.asarray(adding @ vectors.astype(np.float32))
