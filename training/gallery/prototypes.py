"""Prototypes of location clusters: mean features, smoothed over the surroundings."""

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
"""Scales of the smoothing. A single photo describes its place poorly; averaging over these
distances separates what photos share from what is specific to one. All scales and the cluster
itself have the same weight, so that nearby clusters remain distinguishable."""

_ROWS_AT_ONCE = 16_384
"""Rows of a sparse product that are computed together, to bound the memory."""


def prototypes(
    features: Float32Array,
    cluster: npt.NDArray[np.integer],
    latlon: Float64Array,
    scales_km: tuple[float, ...] = SCALES_KM,
) -> Float32Array:
    """Return the prototype (L, K) of each cluster, of unit length.

    Args:
        features: (M, K) unit vectors of the members.
        cluster: (M,) cluster of each member, 0..L-1; no cluster is empty.
        latlon: (L, 2) degrees of the clusters.
        scales_km: standard deviations of the Gaussian smoothing.
    """
    count = np.bincount(cluster, minlength=len(latlon))
    return blended(_sums(features, cluster, len(latlon)), count, latlon, scales_km)


def blended(
    means: npt.NDArray[np.floating],
    count: npt.NDArray[np.integer],
    latlon: Float64Array,
    scales_km: tuple[float, ...] = SCALES_KM,
) -> Float32Array:
    """Return the prototype (L, K) of each cluster from its mean features, of any length.

    Args:
        means: (L, K), single or half precision.
        count: (L,) photos of each cluster.
        latlon: (L, 2) degrees.
        scales_km: as for `prototypes`.
    """
    own = normalise(means.astype(np.float32))
    total = own.copy()
    own *= np.sqrt(count).astype(np.float32)[:, None]  # photos of one walk are not independent
    for scale in scales_km:
        total += smoothed(own, latlon, scale)
    return normalise(total)


def smoothed(vectors: Float32Array, latlon: Float64Array, scale_km: float) -> Float32Array:
    """Return Gaussian-weighted means (L, K), of unit length, of vectors (L, K) at (L, 2) degrees.

    The vectors are first summed in squares of half the scale, so that time and memory grow with the
    number of neighbouring squares, not with the number of photo pairs in a city.
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
    """Return the sum (n_groups, K) of the vectors of each group."""
    indicator = csr_matrix(
        (np.ones(len(group), np.float32), (group, np.arange(len(group)))),
        shape=(n_groups, len(group)),
    )
    return np.asarray(indicator @ vectors.astype(np.float32))
