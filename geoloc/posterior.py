"""Belief over geocells: how evidence is pooled, added up and read.

A belief is a row of C probabilities, one for each row of the bundle's cell table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geocells.sphere import FloatArray as Float64Array
from geocells.sphere import pairwise_km
from geoloc.encoder import FloatArray
from geoloc.heads import softmax

UTILITY_SCALES_KM = (5.0, 25.0, 200.0, 750.0, 2500.0)
"""Being within street, city, region, country or continent is worth the same each."""

CREDIBLE_LEVELS = (0.5, 0.8, 0.95)

_FLOOR = 1e-12

IntArray = npt.NDArray[np.int64]


def pool(sources: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Linear opinion pool: a mixture of beliefs, weighted photo by photo.

    A product of experts would let one confident mistake veto the truth; the mixture keeps it
    possible, which the calibrated radius depends on.

    Args:
        sources: S beliefs (N, C).
        weights: (N, S), rows sum to 1.

    Returns:
        (N, C) belief.
    """
    pooled = weights[:, :1] * sources[0]
    for index, source in enumerate(sources[1:], start=1):
        pooled = pooled + weights[:, index : index + 1] * source
    return np.asarray(pooled, np.float32)


def log_evidence(belief: FloatArray, prior: FloatArray) -> FloatArray:
    """What a photo adds to the prior: log-likelihoods (..., C) of the cells, up to a constant."""
    return np.asarray(np.log(belief + _FLOOR) - np.log(prior + _FLOOR), np.float32)


def add_evidence(evidence: Sequence[FloatArray], prior: FloatArray) -> FloatArray:
    """Belief (..., C) from independent log-likelihoods over cells and the prior (C,).

    Several photos of one place, views of a panorama, or "it is in Portugal" (0 inside, -inf
    outside) each are one item of `evidence`.
    """
    total = np.log(prior + _FLOOR)
    for item in evidence:
        total = total + item
    return softmax(total)


class CellSpace:
    """Distances between cells, and what they make of a belief."""

    def __init__(self, centroids: Float64Array) -> None:
        """Index cells by their centroids, (C, 2) degrees."""
        self._centroids = centroids

    def distances_km(self, latlon: npt.ArrayLike) -> FloatArray:
        """Distance (N, C) of coordinates (N, 2) to every centroid."""
        return pairwise_km(latlon, self._centroids, np.float32)

    @cached_property
    def _worth(self) -> FloatArray:
        """(C, C) worth of answering one cell when the other is true."""
        distance = self.distances_km(self._centroids)
        worth = np.zeros_like(distance)
        for scale in UTILITY_SCALES_KM:
            worth += np.exp(distance / np.float32(-scale))
        return worth / np.float32(len(UTILITY_SCALES_KM))

    def expected_utility(self, belief: FloatArray) -> FloatArray:
        """How good an answer each cell is on average over the belief, (N, C) -> (N, C) in 0..1.

        The most probable cell is a poor answer when many neighbours of another one are nearly as
        probable; the cell of the highest expected utility hedges between them.
        """
        return np.asarray(belief @ self._worth, np.float32)


def spread_km(belief: FloatArray, distances_km: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Radius around a point that holds given shares of the belief.

    Args:
        belief: (N, C).
        distances_km: (N, C) from each answer to the cells.
        levels: shares in 0..1.

    Returns:
        (N, len(levels)) km, uncalibrated.
    """
    order = np.argsort(distances_km, axis=1)
    mass = np.cumsum(np.take_along_axis(belief, order, axis=1), axis=1)
    sorted_km = np.take_along_axis(distances_km, order, axis=1)
    columns = []
    for level in levels:
        reached = np.minimum((mass < level * mass[:, -1:]).sum(axis=1), mass.shape[1] - 1)
        columns.append(np.take_along_axis(sorted_km, reached[:, None], axis=1)[:, 0])
    return np.stack(columns, axis=1)


def credible_region(belief: FloatArray, most: int) -> tuple[IntArray, Float64Array]:
    """The most probable cells of the 95 % credible region of one belief (C,).

    Args:
        belief: (C,).
        most: how many cells at most; the region of a photo that says nothing is the whole world.

    Returns:
        (R,) cells, most probable first, and (R,) the smallest of CREDIBLE_LEVELS that needs each.
    """
    top = np.sort(np.argpartition(-belief, min(most, len(belief)) - 1)[:most])
    order = top[np.argsort(-belief[top], kind="stable")]
    mass_before = np.cumsum(belief[order]) - belief[order]
    level = np.searchsorted(CREDIBLE_LEVELS, mass_before, side="right")
    inside = np.flatnonzero(level < len(CREDIBLE_LEVELS))
    return order[inside], np.asarray(CREDIBLE_LEVELS)[level[inside]]
