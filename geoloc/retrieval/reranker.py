"""Which of the candidate places is the answer: a few learned weights on what speaks for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geoloc.retrieval.candidates import Candidates
from geoloc.types import Float32Array, Float64Array, Int32Array

VOTE_SCALES_KM = (1.0, 5.0, 25.0, 200.0, 1000.0)
"""Kernels of the vote: how much of the belief lies around a candidate, from street to continent."""

FEATURES = 7 + len(VOTE_SCALES_KM)
"""Length of what `describe` returns for a candidate."""

MOOD_SCALES = (1, 2, 3)
"""Rows of VOTE_SCALES_KM whose best vote tells how concentrated the belief is."""

MOODS = 3 + len(MOOD_SCALES)
"""What each weight may depend on: a constant, how similar the best cluster is, how sure the belief,
and how concentrated the votes are within towns, cities and regions."""

_FLOOR = 1e-6


def votes(candidates: Candidates, belief: Float32Array, sharpness: float) -> Float32Array:
    """Share (N, P) of the belief that each candidate has; rows sum to 1.

    A cell's belief (N, C) is shared out among its candidates by similarity: prototype and belief
    are two opinions, and neither counts twice.
    """
    similarity = candidates.similarity * np.float32(sharpness)
    same = candidates.cell[:, :, None] == candidates.cell[:, None, :]
    rivals = same & candidates.valid[:, None, :]
    most = np.where(rivals, similarity[:, None, :], -np.inf).max(axis=2)
    weight = np.where(candidates.valid, np.exp(np.minimum(similarity - most, 0.0)), 0.0)
    in_cell = np.einsum("npq,nq->np", rivals, weight)
    of_cell = np.take_along_axis(belief, candidates.cell, axis=1)
    share = of_cell * weight / np.maximum(in_cell, 1.0)  # the best of a cell weighs 1
    return np.asarray(share / np.maximum(share.sum(axis=1, keepdims=True), 1e-30), np.float32)


def distances_km(latlon: Float64Array) -> Float32Array:
    """(N, P, 2) degrees -> (N, P, P) km between the candidates of each photo."""
    axes = np.moveaxis(unit_vectors(latlon).astype(np.float32), -1, 0)
    total = np.zeros((*latlon.shape[:2], latlon.shape[1]), np.float32)
    for axis in axes:  # in place: differences, not products, which round near places together
        apart = axis[:, :, None] - axis[:, None, :]
        total += np.multiply(apart, apart, out=apart)
    half = np.multiply(np.sqrt(total, out=total), 0.5, out=total)
    angle = np.arcsin(np.minimum(half, 1.0, out=half), out=half)
    return np.asarray(np.multiply(angle, 2.0 * EARTH_RADIUS_KM, out=angle), np.float32)


def describe(
    candidates: Candidates,
    share: Float32Array,
    utility: Float32Array,
    belief: Float32Array,
    members: Int32Array,
) -> Float32Array:
    """What speaks for each candidate.

    Args:
        candidates: N times P places.
        share: (N, P) from `votes`.
        utility: (N, C) expected utility of each cell.
        belief: (N, C).
        members: (L,) photos of each cluster.

    Returns:
        (N, P, FEATURES) float32 of order 1: similarity to the prototype, to the best member and to
        the prototype of the cell, logarithms of the cell's belief and utility, of the number of
        known photos, whether it is a cluster at all, and logarithms of the vote on the sphere
        around it at VOTE_SCALES_KM.
    """
    known = candidates.cluster >= 0
    count = np.where(known, members[np.maximum(candidates.cluster, 0)], 1)
    away = distances_km(candidates.latlon)
    around = [
        np.einsum("npq,nq->np", np.exp(away / np.float32(-scale)), share)
        for scale in VOTE_SCALES_KM
    ]
    columns = [
        10.0 * candidates.similarity,
        10.0 * candidates.own,
        10.0 * candidates.region,
        np.log(np.take_along_axis(belief, candidates.cell, axis=1) + _FLOOR),
        np.log(np.take_along_axis(utility, candidates.cell, axis=1) + _FLOOR),
        np.log(count),
        known,
        *(np.log(vote + _FLOOR) for vote in around),
    ]
    return np.stack(columns, axis=-1).astype(np.float32)


def moods(candidates: Candidates, belief: Float32Array, features: Float32Array) -> Float32Array:
    """What the weights of a photo depend on.

    A photo of a known place is answered by what it resembles, another one by where it might be.

    Args:
        candidates: N times P places.
        belief: (N, C).
        features: (N, P, FEATURES) from `describe`.

    Returns:
        (N, MOODS) float32.
    """
    best_votes = features[:, :, -len(VOTE_SCALES_KM) :].max(axis=1)[:, MOOD_SCALES]
    alone = [
        np.ones(len(belief)),
        5.0 * candidates.similarity.max(axis=1),
        belief.max(axis=1),
    ]
    return np.column_stack([*alone, best_votes]).astype(np.float32)


@dataclass(frozen=True)
class Reranker:
    """A linear score of the candidates, whose weights are linear in the mood of the photo."""

    weights: tuple[tuple[float, ...], ...]
    """(MOODS, FEATURES)"""

    def __call__(self, features: Float32Array, mood: Float32Array) -> Float32Array:
        """Score (N, P) of candidates from (N, P, FEATURES) and (N, MOODS)."""
        mine = mood @ np.asarray(self.weights, np.float32)
        return np.asarray(np.einsum("npf,nf->np", features, mine), np.float32)


def _start() -> Reranker:
    """Belief, similarity and the vote, as they are."""
    weights = np.zeros((MOODS, FEATURES))
    weights[0, 0], weights[0, 4], weights[0, 7:] = 1.0, 0.5, 0.3
    return Reranker(tuple(map(tuple, weights.tolist())))


UNTRAINED = _start()
"""What is used before any photo was held out."""
