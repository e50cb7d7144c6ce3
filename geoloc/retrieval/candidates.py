"""Candidate places: the most similar clusters, and the best cluster of the most useful cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geocells.table import CellTable
from geoloc.belief.fusion import ConstraintMask
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.types import BoolArray, Float32Array, Float64Array, Int64Array

CELLS = 32
"""Cells of the highest expected utility, whose best cluster is a candidate as well."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """P candidate places for each of N photos."""

    cell: Int64Array
    """(N, P) rows of the cell table."""
    cluster: Int64Array
    """(N, P) rows of the cluster table; -1 for the centroid of a cell."""
    latlon: Float64Array
    """(N, P, 2) degrees."""
    similarity: Float32Array
    """(N, P) of photo and prototype; for a centroid the smallest in its row."""
    member_similarity: Float32Array
    """(N, P) of photo and most similar member; for a centroid the smallest in its row."""
    cell_similarity: Float32Array
    """(N, P) of photo and mean prototype of the cell; 0 for cells without clusters."""
    valid: BoolArray
    """(N, P) False for a repeated or excluded place."""

    @cached_property
    def apart_km(self) -> Float32Array:
        """(N, P, P) distances between the candidates of each photo."""
        return distances_km(self.latlon)


def distances_km(latlon: Float64Array) -> Float32Array:
    """Return the distances (N, P, P) in km between the candidates (N, P, 2) of each photo."""
    axes = np.moveaxis(unit_vectors(latlon).astype(np.float32), -1, 0)
    total = np.zeros((*latlon.shape[:2], latlon.shape[1]), np.float32)
    for axis in axes:  # in place; inner products would lose small differences to rounding
        apart = axis[:, :, None] - axis[:, None, :]
        total += np.multiply(apart, apart, out=apart)
    half = np.multiply(np.sqrt(total, out=total), 0.5, out=total)
    angle = np.arcsin(np.minimum(half, 1.0, out=half), out=half)
    return np.asarray(np.multiply(angle, 2.0 * EARTH_RADIUS_KM, out=angle), np.float32)


def gather(
    gallery: Gallery,
    cells: CellTable,
    features: Float32Array,
    nearest: NearestClusters,
    utility: Float32Array,
    constraint: ConstraintMask | None,
) -> tuple[Candidates, Int64Array, Float32Array]:
    """Return the nearest clusters, and the best cluster or the centroid of the most useful cells.

    Args:
        gallery: L clusters in the C cells.
        cells: C geocells.
        features: (N, K) of the photos.
        nearest: their most similar clusters.
        utility: (N, C) expected utility of answering each cell.
        constraint: excludes all places outside.

    Returns:
        The candidates; the members of their clusters that are most similar to each photo, (N, k)
        rows of the member table, -1 beyond the last; and their similarities (N, k), descending.
    """
    n_cells = min(CELLS, utility.shape[1])
    allowed = utility if constraint is None else np.where(constraint.share > 0.0, utility, -1.0)
    best = np.argpartition(-allowed, n_cells - 1, axis=1)[:, :n_cells].astype(np.int64)
    inside = gallery.best_in(features, best, constraint)
    cluster = np.hstack([nearest.cluster, inside.cluster])
    similarity = np.hstack([nearest.similarity, inside.similarity])
    is_cluster, row = cluster >= 0, np.maximum(cluster, 0)
    cell = np.hstack([gallery.clusters.cell[row[:, :-n_cells]], best]).astype(np.int64)
    centroids = cells.centroids if constraint is None else constraint.centroids
    latlon = np.where(is_cluster[..., None], gallery.clusters.latlon[row], centroids[cell])
    valid = is_cluster | (np.arange(cluster.shape[1]) >= nearest.cluster.shape[1])
    repeated = (inside.cluster[:, :, None] == nearest.cluster[:, None, :]).any(axis=2)
    valid[:, -n_cells:] &= ~(repeated & (inside.cluster >= 0))
    if constraint is not None:
        valid &= constraint.share[cell] > 0.0
    by_member, neighbour, neighbour_similarity = _best_members(
        gallery, features, np.where(valid, cluster, -1)
    )
    least = np.where(is_cluster, similarity, np.inf).min(axis=1, keepdims=True, initial=1.0)
    similarity = np.where(is_cluster, similarity, least)
    by_cell = np.take_along_axis(gallery.cell_similarity(features), cell, axis=1)
    candidates = Candidates(cell, cluster, latlon, similarity, by_member, by_cell, valid)
    return candidates, neighbour, neighbour_similarity


def _best_members(
    gallery: Gallery, features: Float32Array, cluster: Int64Array
) -> tuple[Float32Array, Int64Array, Float32Array]:
    """Return similarities (N, P) to the best member of each cluster, and the best members."""
    similarity, member = gallery.members_of(features, cluster)
    owner = np.where(member < 0, -2, gallery.members.cluster[np.maximum(member, 0)])
    least = np.where(member < 0, np.inf, similarity).min(axis=1, initial=1.0)
    same = cluster[:, :, None] == owner[:, None, :]
    best = np.where(same, similarity[:, None, :], -np.inf).max(axis=2)
    return np.where(np.isinf(best), least[:, None], best).astype(np.float32), member, similarity
