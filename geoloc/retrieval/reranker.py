"""Re-ranking of candidate places: features, and a linear score with gated weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.retrieval.candidates import Candidates
from geoloc.types import Float32Array, Int32Array

VOTE_SCALES_KM = (1.0, 5.0, 25.0, 200.0, 1000.0)
"""Scales of the kernels that sum the belief around a candidate, from street to continent."""

FEATURES = 7 + len(VOTE_SCALES_KM)
"""Number of features of a candidate, see `describe`."""

GATING_SCALES = (1, 2, 3)
"""Rows of VOTE_SCALES_KM whose largest vote is a gating feature."""

GATING_FEATURES = 3 + len(GATING_SCALES)
"""Number of gating features of a photo, see `gating_features`."""

_FLOOR = 1e-6


def votes(candidates: Candidates, belief: Float32Array, sharpness: float) -> Float32Array:
    """Return the share (N, P) of the belief that each candidate holds; rows sum to 1.

    The belief in a cell (N, C) is divided among its candidates by similarity, so that neither
    belief nor similarity counts twice.
    """
    similarity = candidates.similarity * np.float32(sharpness)
    same = candidates.cell[:, :, None] == candidates.cell[:, None, :]
    competing = same & candidates.valid[:, None, :]
    most = np.where(competing, similarity[:, None, :], -np.inf).max(axis=2)
    weight = np.where(candidates.valid, np.exp(np.minimum(similarity - most, 0.0)), 0.0)
    in_cell = np.einsum("npq,nq->np", competing, weight)
    of_cell = np.take_along_axis(belief, candidates.cell, axis=1)
    share = of_cell * weight / np.maximum(in_cell, 1.0)  # the best candidate of a cell has weight 1
    return np.asarray(share / np.maximum(share.sum(axis=1, keepdims=True), 1e-30), np.float32)


def describe(
    candidates: Candidates,
    share: Float32Array,
    utility: Float32Array,
    belief: Float32Array,
    members: Int32Array,
) -> Float32Array:
    """Return the features of each candidate.

    Args:
        candidates: P places for each of N photos.
        share: (N, P) from `votes`.
        utility: (N, C) expected utility of each cell.
        belief: (N, C).
        members: (L,) number of photos in each cluster.

    Returns:
        (N, P, FEATURES) float32 of order 1: similarity to the prototype, to the best member and to
        the prototype of the cell; logarithms of the cell's belief, of its utility and of the number
        of members; 1 for a cluster and 0 for a centroid; logarithms of the belief around the place,
        summed with kernels of VOTE_SCALES_KM.
    """
    is_cluster = candidates.cluster >= 0
    count = np.where(is_cluster, members[np.maximum(candidates.cluster, 0)], 1)
    around = [
        np.einsum("npq,nq->np", np.exp(candidates.apart_km / np.float32(-scale)), share)
        for scale in VOTE_SCALES_KM
    ]
    columns = [
        10.0 * candidates.similarity,
        10.0 * candidates.member_similarity,
        10.0 * candidates.cell_similarity,
        np.log(np.take_along_axis(belief, candidates.cell, axis=1) + _FLOOR),
        np.log(np.take_along_axis(utility, candidates.cell, axis=1) + _FLOOR),
        np.log(count),
        is_cluster,
        *(np.log(vote + _FLOOR) for vote in around),
    ]
    return np.stack(columns, axis=-1).astype(np.float32)


def gating_features(
    candidates: Candidates, belief: Float32Array, features: Float32Array
) -> Float32Array:
    """Return the features that the weights of a photo depend on.

    They let similarity decide for photos of places in the gallery, and belief for others.

    Args:
        candidates: P places for each of N photos.
        belief: (N, C).
        features: (N, P, FEATURES) from `describe`.

    Returns:
        (N, GATING_FEATURES) float32: a constant, the similarity of the best cluster, the largest
        belief, and the largest vote within towns, cities and regions (GATING_SCALES).
    """
    best_votes = features[:, :, -len(VOTE_SCALES_KM) :].max(axis=1)[:, GATING_SCALES]
    alone = [
        np.ones(len(belief)),
        5.0 * candidates.similarity.max(axis=1),
        belief.max(axis=1),
    ]
    return np.column_stack([*alone, best_votes]).astype(np.float32)


@dataclass(frozen=True)
class Reranker:
    """A linear score of candidates, with weights that are linear in the gating features."""

    weights: tuple[tuple[float, ...], ...]
    """(GATING_FEATURES, FEATURES)"""

    def __call__(self, features: Float32Array, gating: Float32Array) -> Float32Array:
        """Return scores (N, P) from features (N, P, FEATURES) and (N, GATING_FEATURES)."""
        weights = gating @ np.asarray(self.weights, np.float32)
        return np.asarray(np.einsum("npf,nf->np", features, weights), np.float32)


def _untrained() -> Reranker:
    """Return constant weights on similarity, utility and votes."""
    weights = np.zeros((GATING_FEATURES, FEATURES))
    weights[0, 0], weights[0, 4], weights[0, 7:] = 1.0, 0.5, 0.3
    return Reranker(tuple(map(tuple, weights.tolist())))


UNTRAINED = _untrained()
"""Weights before any fit on held-out photos."""
