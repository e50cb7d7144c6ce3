"""Places that may be the answer: the most similar clusters, and the best of the likely cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.table import CellTable
from geoloc.belief.fusion import ConstraintMask
from geoloc.retrieval.gallery import Found, Gallery
from geoloc.types import BoolArray, Float32Array, Float64Array, Int64Array

CELLS = 32
"""Cells of the highest expected utility whose best cluster is a candidate too."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """P places that may be the answer to each of N photos."""

    cell: Int64Array
    """(N, P) rows of the cell table."""
    cluster: Int64Array
    """(N, P) rows of the cluster table; -1 for the centroid of a cell."""
    latlon: Float64Array
    """(N, P, 2) degrees."""
    similarity: Float32Array
    """(N, P) of photo and prototype; the least of the row for a centroid."""
    own: Float32Array
    """(N, P) of photo and most similar member; likewise."""
    region: Float32Array
    """(N, P) of photo and the prototype of the whole cell; 0 for one without clusters."""
    valid: BoolArray
    """(N, P) False for a place that is listed twice, or excluded."""


def gather(
    gallery: Gallery,
    cells: CellTable,
    features: Float32Array,
    found: Found,
    utility: Float32Array,
    within: ConstraintMask | None,
) -> tuple[Candidates, Int64Array, Float32Array]:
    """The most similar clusters, and the best cluster or the centroid of the best cells.

    Args:
        gallery: L clusters in the C cells.
        cells: C geocells.
        features: (N, K) of the photos.
        found: their most similar clusters.
        utility: (N, C) of answering each cell.
        within: a part of the Earth outside of which nothing is a candidate.

    Returns:
        The candidates, and the known photos in them that look most like each photo: (N, k) member
        rows, -1 beyond the last, and (N, k) similarities, descending.
    """
    n_cells = min(CELLS, utility.shape[1])
    allowed = utility if within is None else np.where(within.share > 0.0, utility, -1.0)
    best = np.argpartition(-allowed, n_cells - 1, axis=1)[:, :n_cells].astype(np.int64)
    inside = gallery.best_in(features, best, within)
    cluster = np.hstack([found.cluster, inside.cluster])
    similarity = np.hstack([found.similarity, inside.similarity])
    known, row = cluster >= 0, np.maximum(cluster, 0)
    cell = np.hstack([gallery.clusters.cell[row[:, :-n_cells]], best]).astype(np.int64)
    centroids = cells.centroids if within is None else within.centroids
    latlon = np.where(known[..., None], gallery.clusters.latlon[row], centroids[cell])
    valid = known | (np.arange(cluster.shape[1]) >= found.cluster.shape[1])
    again = (inside.cluster[:, :, None] == found.cluster[:, None, :]).any(axis=2)
    valid[:, -n_cells:] &= ~(again & (inside.cluster >= 0))
    if within is not None:
        valid &= within.share[cell] > 0.0
    own, neighbour, near = _own(gallery, features, np.where(valid, cluster, -1))
    least = np.where(known, similarity, np.inf).min(axis=1, keepdims=True, initial=1.0)
    similarity = np.where(known, similarity, least)
    region = np.take_along_axis(gallery.cell_similarity(features), cell, axis=1)
    candidates = Candidates(cell, cluster, latlon, similarity, own, region, valid)
    return candidates, neighbour, near


def _own(
    gallery: Gallery, features: Float32Array, cluster: Int64Array
) -> tuple[Float32Array, Int64Array, Float32Array]:
    """Similarity (N, P) of the best member of each cluster; the best members of all."""
    similarity, member = gallery.members_of(features, cluster)
    theirs = np.where(member < 0, -2, gallery.members.cluster[np.maximum(member, 0)])
    least = np.where(member < 0, np.inf, similarity).min(axis=1, initial=1.0)
    same = cluster[:, :, None] == theirs[:, None, :]
    own = np.where(same, similarity[:, None, :], -np.inf).max(axis=2)
    return np.where(np.isinf(own), least[:, None], own).astype(np.float32), member, similarity
