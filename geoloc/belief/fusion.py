"""Beliefs over geocells: pooled, updated with evidence, constrained, and summarised.

A belief is a row of C probabilities that sum to 1, one for each row of the bundle's cell table.
Evidence is a row of C log-likelihoods; independent pieces of evidence are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from geocells.derived import Arrays, Source, derived
from geocells.sphere import distances_km, pairwise_km, unit_vectors
from geoloc.belief.heads import softmax
from geoloc.encoders.base import normalise
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int64Array

UTILITY_SCALES_KM = (5.0, 25.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country and continent; each contributes equally to the utility."""

CREDIBLE_LEVELS = (0.5, 0.8, 0.95)

_FLOOR = 1e-12


def pool(sources: Sequence[Float32Array], weights: Float32Array) -> Float32Array:
    """Mix beliefs with a weight for each photo (linear opinion pool).

    In a product of experts, one confident mistake vetoes the truth. The mixture keeps the truth
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


def logsumexp(values: npt.NDArray[np.floating]) -> Float64Array:
    """Return the logarithm of the sum of exponentials over the last axis; -inf for only -inf."""
    largest = np.maximum(values.max(axis=-1, keepdims=True), -np.finfo(np.float64).max)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(values - largest).sum(axis=-1, dtype=np.float64))
    return np.asarray(total + largest[..., 0], np.float64)


def update(belief: Float32Array, log_likelihood: npt.NDArray[np.floating]) -> Float32Array:
    """Multiply a belief by likelihoods of independent evidence (Bayes' rule), and renormalise.

    Args:
        belief: (..., C) before the evidence.
        log_likelihood: (..., C) of the evidence in each cell, up to a constant; -inf excludes a
            cell. Several pieces of evidence are summed.

    Returns:
        (..., C) belief; cells without belief keep none.
    """
    posterior = softmax(np.log(belief + _FLOOR) + log_likelihood)
    return np.where(belief > 0.0, posterior, np.float32(0.0))


def update_rows(belief: Float32Array, evidence: Float32Array | None) -> Float32Array:
    """Return beliefs (N, C), those updated whose row of log-likelihoods (N, C) is not 0."""
    if evidence is None or not evidence.any():
        return belief
    rows = evidence.any(axis=1)
    result = belief.copy()
    result[rows] = update(belief[rows], evidence[rows])
    return result


def by_group(group: IndexArray) -> tuple[Int64Array, Int64Array]:
    """Return rows (N,) sorted by group, and the start (G,) of each group among them."""
    order = np.argsort(group, kind="stable")
    return order, np.searchsorted(group[order], np.arange(int(group.max()) + 1))


def log_ratios(belief: Float32Array, prior: Float32Array) -> Float64Array:
    """Return the log-likelihood (N, C) of each photo in each cell: log(belief / prior)."""
    return np.asarray(
        np.log(belief.astype(np.float64) + _FLOOR) - np.log(prior.astype(np.float64) + _FLOOR)
    )


def information(belief: Float32Array, prior: Float32Array) -> Float32Array:
    """Return how informative each photo is, (N,) in 0..1: 0 if the belief is the prior.

    It is 1 - exp(-divergence), with the Kullback-Leibler divergence of the belief from the prior in
    nats, so that photos without evidence do not count as photos of a group.
    """
    divergence = (belief * log_ratios(belief, prior)).sum(axis=1)
    return np.asarray(-np.expm1(-np.maximum(divergence, 0.0)), np.float32)


def fuse(
    belief: Float32Array, prior: Float32Array, group: IndexArray, exponent: Float64Array
) -> Float32Array:
    """Return the belief (G, C) for each group of photos taken at one place.

    It is proportional to prior x product of (belief / prior)^exponent over the photos, in any
    order. A group of one photo with exponent 1 keeps its belief.

    Args:
        belief: (N, C) of each photo.
        prior: (C,).
        group: (N,) 0..G-1, every group with a photo.
        exponent: (G,) below 1 where photos err together.
    """
    order, starts = by_group(group)
    evidence = np.add.reduceat(log_ratios(belief, prior)[order], starts, axis=0)
    return update(prior, evidence * exponent[:, None])


def mix(belief: Float32Array, weight: Float32Array, group: IndexArray) -> Float32Array:
    """Return the weighted mean belief (G, C) of each group: the photos show different places."""
    order, starts = by_group(group)
    total = np.add.reduceat((belief * weight[:, None])[order], starts, axis=0)
    return np.asarray(total / total.sum(axis=1, keepdims=True), np.float32)


def group_mean(vectors: Float32Array, weight: Float32Array, group: IndexArray) -> Float32Array:
    """Return the weighted mean direction (G, D) of the vectors (N, D) of each group."""
    order, starts = by_group(group)
    weighted = vectors.astype(np.float64) * weight[:, None]
    return normalise(np.add.reduceat(weighted[order], starts, axis=0))


@dataclass(frozen=True, eq=False)
class ConstraintMask:
    """A constraint on the location, evaluated on the cells and clusters of one bundle."""

    name: str
    """For display, such as "Portugal"."""
    share: Float32Array
    """(C,) share of each cell that lies inside, 0..1."""
    centroids: Float64Array
    """(C, 2) degrees: a point inside for each cell with a share, else the cell's centroid."""
    clusters: BoolArray
    """(L,) whether each location cluster lies inside."""
    outline: Float64Array = field(default_factory=lambda: np.zeros((0, 2)))
    """(V, 2) degrees: points along the outline; none if it is not known."""

    def reach_km(self, latlon: Float64Array) -> Float32Array:
        """Return the distance (N,) from coordinates (N, 2) to the farthest point of the outline."""
        if not len(self.outline):
            return np.full(len(latlon), np.inf, np.float32)
        return np.asarray(pairwise_km(latlon, self.outline, np.float32).max(axis=1))

    def mask(self, belief: Float32Array, prior: Float32Array) -> Float32Array:
        """Return beliefs (N, C) inside, renormalised; the prior's (N, C) where none are left."""
        inside = belief * self.share
        total = inside.sum(axis=1, keepdims=True)
        inside = np.where(total > _FLOOR, inside, prior * self.share)
        return np.asarray(inside / inside.sum(axis=1, keepdims=True), np.float32)


class CellSpace:
    """Distances between the centroids of cells, and the expected utility of answering each."""

    def __init__(self, centroids: Float64Array) -> None:
        """Take the centroids (C, 2) of the cells in degrees."""
        self._centroids = centroids

    def distances_km(self, latlon: npt.ArrayLike) -> Float32Array:
        """Return the distances (N, C) in km from coordinates (N, 2) to every centroid."""
        return distances_km(unit_vectors(latlon), self._vectors, np.float32)

    @cached_property
    def _vectors(self) -> Float64Array:
        return unit_vectors(self._centroids)

    @cached_property
    def _utility(self) -> Float32Array:
        """(C, C) utility, 0..1, of answering one cell when another is true."""
        sources: list[Source] = [self._centroids, *UTILITY_SCALES_KM]
        (utility,) = derived("utility 1", sources, self._compute_utility)
        return utility

    def _compute_utility(self) -> Arrays:
        distance = self.distances_km(self._centroids)
        utility = np.zeros_like(distance)
        for scale in UTILITY_SCALES_KM:
            utility += np.exp(distance / np.float32(-scale))
        return (utility / np.float32(len(UTILITY_SCALES_KM)),)

    def expected_utility(self, belief: Float32Array) -> Float32Array:
        """Return the expected utility of answering each cell, (N, C) beliefs -> (N, C) in 0..1.

        The most probable cell is a poor answer if many neighbours of another cell are nearly as
        probable; the cell of the highest expected utility hedges between them.
        """
        return np.asarray(belief @ self._utility, np.float32)


def spread_km(
    belief: Float32Array,
    distances_km: Float32Array,
    levels: Sequence[float],
    order: IndexArray | None = None,
) -> Float32Array:
    """Return the radii around a point that hold given shares of the belief.

    Args:
        belief: (N, C).
        distances_km: (N, C) from each point to the cells.
        levels: shares in 0..1.
        order: (N, C) cells of each row by distance, if they are sorted already.

    Returns:
        (N, len(levels)) km, uncalibrated.
    """
    order = np.argsort(distances_km, axis=1) if order is None else order
    mass = np.cumsum(np.take_along_axis(belief, order, axis=1), axis=1)
    sorted_km = np.take_along_axis(distances_km, order, axis=1)
    columns = []
    for level in levels:
        reached = np.minimum((mass < level * mass[:, -1:]).sum(axis=1), mass.shape[1] - 1)
        columns.append(np.take_along_axis(sorted_km, reached[:, None], axis=1)[:, 0])
    return np.stack(columns, axis=1)


def mass_before(belief: Float32Array, cell: Int64Array) -> Float32Array:
    """Return the belief (N,) in all cells more probable than the given cell (N,) of each photo."""
    own = np.take_along_axis(belief, cell[:, None], axis=1)
    return np.asarray(np.where(belief > own, belief, 0.0).sum(axis=1), np.float32)


def credible_region(
    belief: Float32Array, limits: Sequence[float], max_cells: int
) -> tuple[Int64Array, Float64Array]:
    """Return the most probable cells of the largest credible region of one belief (C,).

    Args:
        belief: (C,).
        limits: one for each of CREDIBLE_LEVELS, ascending, so that the regions are nested: a cell
            belongs to a region if the more probable cells hold at most this belief.
        max_cells: upper limit; the region of an uninformative photo is the whole world.

    Returns:
        (R,) cells, most probable first, and (R,) the smallest of CREDIBLE_LEVELS whose region
        contains each.
    """
    top = np.sort(np.argpartition(-belief, min(max_cells, len(belief)) - 1)[:max_cells])
    order = top[np.argsort(-belief[top], kind="stable")]
    first = np.searchsorted(-belief[order], -belief[order])  # cells of equal belief belong together
    before = (np.cumsum(belief[order]) - belief[order])[first]
    level = np.searchsorted(limits, before, side="left")
    inside = np.flatnonzero((level < len(CREDIBLE_LEVELS)) & (belief[order] > 0.0))
    return order[inside], np.asarray(CREDIBLE_LEVELS)[level[inside]]
