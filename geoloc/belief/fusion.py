"""Belief over geocells: how evidence is pooled, added up and read.

A belief is a row of C probabilities, one for each row of the bundle's cell table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geocells.sphere import pairwise_km
from geoloc.belief.heads import softmax
from geoloc.encoders.base import normalise
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int64Array

UTILITY_SCALES_KM = (5.0, 25.0, 200.0, 750.0, 2500.0)
"""Being within street, city, region, country or continent is worth the same each."""

CREDIBLE_LEVELS = (0.5, 0.8, 0.95)

CONTRADICTION = 0.05
"""Photos of one place with less belief than this in common contradict each other."""

_FLOOR = 1e-12


def pool(sources: Sequence[Float32Array], weights: Float32Array) -> Float32Array:
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


def log_evidence(belief: Float32Array, prior: Float32Array) -> Float32Array:
    """What a photo adds to the prior: log-likelihoods (..., C) of the cells, up to a constant."""
    return np.asarray(np.log(belief + _FLOOR) - np.log(prior + _FLOOR), np.float32)


def add_evidence(evidence: Sequence[Float32Array], prior: Float32Array) -> Float32Array:
    """Belief (..., C) from independent log-likelihoods over cells and the prior (C,).

    Several photos of one place, views of a panorama, or "it is in Portugal" (0 inside, -inf
    outside) each are one item of `evidence`.
    """
    total = np.log(prior + _FLOOR)
    for item in evidence:
        total = total + item
    return softmax(total)


def _by_group(group: IndexArray) -> tuple[Int64Array, Int64Array]:
    """Rows (N,) sorted by group, and where (G,) each group begins among them."""
    order = np.argsort(group, kind="stable")
    return order, np.searchsorted(group[order], np.arange(int(group.max()) + 1))


def fuse(belief: Float32Array, prior: Float32Array, group: IndexArray) -> Float32Array:
    """Belief (G, C) in the place of each group of photos, from that of each photo (N, C).

    The photos' log-likelihoods add up, in any order; a group of one keeps its belief.

    Args:
        belief: (N, C).
        prior: (C,).
        group: (N,) 0..G-1, every group with a photo.
    """
    order, starts = _by_group(group)
    evidence = np.log(belief[order].astype(np.float64) + _FLOOR) - np.log(prior + _FLOOR)
    total = np.log(prior + _FLOOR) + np.add.reduceat(evidence, starts, axis=0)
    return np.where(prior > 0.0, softmax(total), np.float32(0.0))


def agreement(belief: Float32Array, group: IndexArray) -> Float32Array:
    """Belief (G,) that the photos of each group have in common, 0..1.

    The sum over cells of the least belief that any photo has in it: 1 if all say the same, near 0
    if two of them exclude each other.

    Args:
        belief: (N, C).
        group: (N,) 0..G-1, every group with a photo.
    """
    order, starts = _by_group(group)
    least = np.minimum.reduceat(belief[order], starts, axis=0)
    return np.asarray(np.minimum(least.sum(axis=1), 1.0), np.float32)


def group_mean(vectors: Float32Array, group: IndexArray) -> Float32Array:
    """Mean (G, D) of the vectors (N, D) of each group, of length 1."""
    order, starts = _by_group(group)
    return normalise(np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0))


@dataclass(frozen=True, eq=False)
class ConstraintMask:
    """The part of the Earth that photos are known to lie in, for one bundle."""

    name: str
    """In words."""
    share: Float32Array
    """(C,) how much of each cell lies inside, 0..1."""
    centroids: Float64Array
    """(C, 2) degrees: a point of the cell that lies inside, where any does."""
    clusters: BoolArray
    """(L,) whether a location cluster lies inside."""

    def mask(self, belief: Float32Array, prior: Float32Array) -> Float32Array:
        """Belief (N, C) in the cells inside, renormalised; the prior's where none is left."""
        inside = belief * self.share
        total = inside.sum(axis=1, keepdims=True)
        instead = prior * self.share
        inside = np.where(total > _FLOOR, inside, instead)
        return np.asarray(inside / inside.sum(axis=1, keepdims=True), np.float32)


class CellSpace:
    """Distances between cells, and what they make of a belief."""

    def __init__(self, centroids: Float64Array) -> None:
        """Index cells by their centroids, (C, 2) degrees."""
        self._centroids = centroids

    def distances_km(self, latlon: npt.ArrayLike) -> Float32Array:
        """Distance (N, C) of coordinates (N, 2) to every centroid."""
        return pairwise_km(latlon, self._centroids, np.float32)

    @cached_property
    def _worth(self) -> Float32Array:
        """(C, C) worth of answering one cell when the other is true."""
        distance = self.distances_km(self._centroids)
        worth = np.zeros_like(distance)
        for scale in UTILITY_SCALES_KM:
            worth += np.exp(distance / np.float32(-scale))
        return worth / np.float32(len(UTILITY_SCALES_KM))

    def expected_utility(self, belief: Float32Array) -> Float32Array:
        """How good an answer each cell is on average over the belief, (N, C) -> (N, C) in 0..1.

        The most probable cell is a poor answer when many neighbours of another one are nearly as
        probable; the cell of the highest expected utility hedges between them.
        """
        return np.asarray(belief @ self._worth, np.float32)


def spread_km(
    belief: Float32Array, distances_km: Float32Array, levels: Sequence[float]
) -> Float32Array:
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


def mass_before(belief: Float32Array, cell: Int64Array) -> Float32Array:
    """Belief (N,) held by the cells that are more probable than one cell (N,) each."""
    own = np.take_along_axis(belief, cell[:, None], axis=1)
    return np.asarray(np.where(belief > own, belief, 0.0).sum(axis=1), np.float32)


def credible_region(
    belief: Float32Array, limits: Sequence[float], most: int
) -> tuple[Int64Array, Float64Array]:
    """The most probable cells of the largest credible region of one belief (C,).

    Args:
        belief: (C,).
        limits: of each of CREDIBLE_LEVELS: a cell belongs to its region if the cells before it
            hold at most this belief; ascending, so that the regions are nested.
        most: how many cells at most; the region of a photo that says nothing is the whole world.

    Returns:
        (R,) cells, most probable first, and (R,) the smallest of CREDIBLE_LEVELS that needs each.
    """
    top = np.sort(np.argpartition(-belief, min(most, len(belief)) - 1)[:most])
    order = top[np.argsort(-belief[top], kind="stable")]
    first = np.searchsorted(-belief[order], -belief[order])  # equal cells come together
    before = (np.cumsum(belief[order]) - belief[order])[first]
    level = np.searchsorted(limits, before, side="left")
    inside = np.flatnonzero((level < len(CREDIBLE_LEVELS)) & (belief[order] > 0.0))
    return order[inside], np.asarray(CREDIBLE_LEVELS)[level[inside]]
