"""Hubness correction: clusters that resemble photos of everywhere count less.

In spaces of many dimensions some vectors are among the nearest of very many others. The similarity
is reduced by the cluster's mean similarity to the photos of other places that resemble it most
(CSLS, Conneau et al. 2018). The other half of CSLS, the mean similarity of the photo, is the same
for all clusters and changes no order.
"""

from __future__ import annotations

import numpy as np

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geoloc.types import Float32Array, Float64Array

NEAREST = 10
"""Photos of other places whose mean similarity is the hubness of a cluster."""

ELSEWHERE_KM = 100.0
"""Distance from which a photo counts as one of another place."""

_ROWS_AT_ONCE = 2048


def corrected(similarity: Float32Array, hubness: Float32Array) -> Float32Array:
    """Return similarities corrected for hubness, both (...), on the scale of a similarity."""
    return np.asarray(similarity - np.float32(0.5) * hubness, np.float32)


def hubness(
    clusters: Float32Array,
    latlon: Float64Array,
    photos: Float32Array,
    photo_latlon: Float64Array,
) -> Float32Array:
    """Return the hubness (L,) of clusters.

    Args:
        clusters: (L, K) unit vectors of clusters.
        latlon: (L, 2) degrees.
        photos: (S, K) unit vectors of a sample of photos.
        photo_latlon: (S, 2) degrees.
    """
    found = np.zeros(len(clusters), np.float32)
    places, points = (unit_vectors(each).astype(np.float32) for each in (latlon, photo_latlon))
    nearest = np.float32(np.cos(ELSEWHERE_KM / EARTH_RADIUS_KM))
    for start in range(0, len(clusters), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        similarity = clusters[rows] @ photos.T
        similarity[places[rows] @ points.T > nearest] = -1.0
        count = min(NEAREST, similarity.shape[1])
        top = -np.partition(-similarity, count - 1, axis=1)[:, :count]
        found[rows] = np.maximum(top, 0.0).mean(axis=1)
    return found
