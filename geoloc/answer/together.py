"""Several photos of one place: their common belief, and a test that they show one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.answer.calibration import Consensus
from geoloc.belief.fusion import by_group, fuse, information, log_ratios, logsumexp, mix
from geoloc.encoders.base import normalise
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray

BURST_COSINE = 0.95
"""Photos of one group whose features are more similar than this count once."""

FUSED = 1.5
"""Informative photos from which on a question is one about several photos."""


def merge_bursts(
    embeddings: Float32Array, features: Float32Array, group: IndexArray
) -> tuple[Float32Array, IndexArray]:
    """Replace near-duplicates within a group by their mean.

    Args:
        embeddings: (N, D) unit vectors.
        features: (N, K) retrieval features.
        group: (N,) 0..G-1.

    Returns:
        (M, D) unit vectors and (M,) their groups, ascending.
    """
    order, starts = by_group(group)
    rows, columns = [], []
    for members in np.split(order, starts[1:]):
        alike = features[members] @ features[members].T > BURST_COSINE
        first, second = np.nonzero(np.triu(alike, 1))
        rows.append(members[first])
        columns.append(members[second])
    burst = _components(np.concatenate(rows), np.concatenate(columns), len(group))
    first_row = np.unique(burst, return_index=True)[1]
    mean = np.zeros((len(first_row), embeddings.shape[1]), np.float64)
    np.add.at(mean, burst, embeddings)
    by_number = np.argsort(group[first_row], kind="stable")
    return normalise(mean)[by_number], group[first_row][by_number]


def _components(first: IndexArray, second: IndexArray, count: int) -> IndexArray:
    """Return the number of the component (count,) of each node of a graph with given edges."""
    if not len(first):
        return np.arange(count)
    # importing scipy.sparse takes longer than answering a photo
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)


@dataclass(frozen=True, eq=False)
class Fused:
    """The common belief of each of G groups of photos."""

    belief: Float32Array
    """(G, C); the mean of the photos' beliefs where they contradict each other."""
    weight: Float32Array
    """(N,) how informative each photo is."""
    photos: Float32Array
    """(G,) informative photos, at least 1."""
    contradictory: BoolArray
    """(G,) whether the photos show several places."""
    agreement: Float32Array
    """(G,) probability that the photos show one place, with odds beforehand for which 5 % of the
    groups that do are below 0.5; those below contradict each other."""

    @classmethod
    def of_single(cls, belief: Float32Array) -> Fused:
        """Return N photos (N, C) as groups of one."""
        ones = np.ones(len(belief), np.float32)
        return cls(belief, ones, ones, np.zeros(len(belief), bool), ones)


def combine(
    belief: Float32Array,
    prior: Float32Array,
    features: Float32Array,
    group: IndexArray,
    consensus: Consensus,
) -> Fused:
    """Combine the photos of each group.

    Args:
        belief: (N, C) of each photo.
        prior: (C,).
        features: (N, K) retrieval features, unit vectors.
        group: (N,) 0..G-1, ascending, every group with a photo.
        consensus: fitted on held-out groups.
    """
    weight = information(belief, prior)
    order, starts = by_group(group)
    photos = np.maximum(np.add.reduceat(weight[order], starts), 1.0)
    fused = fuse(belief, prior, group, consensus.exponents(photos))
    described = describe_groups(belief, prior, features, weight, group)
    score = described @ np.asarray(consensus.same_place) - consensus.thresholds(photos)
    several = photos >= FUSED
    contradictory = several & (score < 0.0)
    # a weight of 0 for every photo would leave nothing to average
    apart = mix(belief, weight + 1e-6, group)
    agreement = np.where(several, 0.5 + 0.5 * np.tanh(score / 2.0), 1.0)
    return Fused(
        np.where(contradictory[:, None], apart, fused),
        weight,
        np.asarray(photos, np.float32),
        contradictory,
        np.asarray(agreement, np.float32),
    )


def describe_groups(
    belief: Float32Array,
    prior: Float32Array,
    features: Float32Array,
    weight: Float32Array,
    group: IndexArray,
) -> Float64Array:
    """Return what the test of contradiction depends on.

    Args:
        belief: (N, C) of each photo.
        prior: (C,).
        features: (N, K) unit vectors.
        weight: (N,) how informative each photo is.
        group: (N,) 0..G-1, ascending.

    Returns:
        (G, 4): a constant; the log-likelihood ratio of one place against independent places, for
        each informative photo; the mean similarity of two photos; the logarithm of their number.
    """
    order, starts = by_group(group)
    photos = np.maximum(np.add.reduceat(weight[order], starts), 1.0)
    log_prior = np.log(prior.astype(np.float64) + 1e-12)
    evidence = np.add.reduceat(log_ratios(belief, prior)[order], starts, axis=0)
    # photos of independent places have the likelihood 1 under the prior of each
    ratio = logsumexp(evidence + log_prior) / photos
    weighted = (features * weight[:, None]).astype(np.float64)[order]
    total = np.add.reduceat(weighted, starts, axis=0)
    own = np.add.reduceat((weight.astype(np.float64) ** 2)[order], starts)
    sums = np.add.reduceat(weight.astype(np.float64)[order], starts)
    pairs = np.maximum(sums**2 - own, 1e-9)
    similarity = np.clip(((total**2).sum(axis=1) - own) / pairs, -1.0, 1.0)
    return np.column_stack([np.ones(len(photos)), ratio, 5.0 * similarity, np.log(photos)])
