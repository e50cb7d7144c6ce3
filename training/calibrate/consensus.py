"""Fit of `Consensus`: how far photos of one place err together, and the test of contradiction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.answer.calibration import Consensus
from geoloc.answer.together import describe_groups, merge_bursts
from geoloc.belief.fusion import by_group, fuse, information
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.calibrate.fit import conformal_quantile, most_likely
from training.calibrate.heldout import HeldOut
from training.calibrate.logistic import fit_logistic
from training.calibrate.questions import Asked
from training.calibrate.scoring import labels_near

SIZES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Numbers of informative photos that the thresholds are fitted for."""

CORRELATIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0)
"""Grid searched for the correlation of errors; one for all sizes, because groups of many photos
are few."""

FALSE_ALARMS = 0.05
"""Share of groups of one place that are called contradictory."""

SIMILAR_SIZES = 0.5
"""Standard deviation of the logarithms of the numbers of photos whose scores make a threshold."""

_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Groups:
    """M distinct photos of G groups, which one prior is common to."""

    belief: Float32Array
    """(M, C)"""
    features: Float32Array
    """(M, K)"""
    group: IndexArray
    """(M,) 0..G-1, ascending."""
    prior: Float32Array
    """(C,)"""
    labels: Float32Array
    """(G, C) near the truth."""
    weights: Float32Array
    """(G,)"""

    @property
    def photos(self) -> Float32Array:
        """(G,) informative photos, at least 1."""
        order, starts = by_group(self.group)
        weight = information(self.belief, self.prior)
        return np.maximum(np.add.reduceat(weight[order], starts), np.float32(1.0))


def believed(held_out: HeldOut, asked: Asked) -> list[tuple[IndexArray, Groups]]:
    """Return the beliefs in the photos of each group, for each ranker with its questions."""
    parts = []
    first = held_out.ranker[asked.first]
    for number in np.unique(first):
        index = np.flatnonzero(first == number)
        ranker = held_out.rankers[number]
        rows = np.concatenate([asked.rows[i] for i in index])
        group = np.repeat(np.arange(len(index)), asked.photos[index])
        vectors, owner = merge_bursts(
            held_out.embeddings[rows], ranker.heads.features(held_out.embeddings[rows]), group
        )
        left_out = held_out.left_out(ranker, rows, group)[owner]
        sources = ranker.sources(vectors, None, left_out)
        labels = labels_near(held_out.latlon[asked.first[index]], ranker)
        groups = Groups(
            ranker.believe(sources), sources.features, owner, ranker.heads.prior, labels,
            asked.weights[index],
        )  # fmt: skip
        parts.append((index, groups))
    return parts


@dataclass(frozen=True, eq=False)
class ConsensusFit:
    """What the consensus is fitted on: Q groups of one place, and as many mixed ones."""

    likelihood: Float32Array
    """(Q, len(CORRELATIONS)) belief near the truth."""
    weights: Float32Array
    """(Q,)"""
    same: list[tuple[IndexArray, Groups]]
    mixed: list[tuple[IndexArray, Groups]]

    @classmethod
    def of(cls, held_out: HeldOut, same: Asked, mixed: Asked) -> ConsensusFit:
        """Compute the beliefs of groups of one place, and of mixed groups."""
        of_same, of_mixed = believed(held_out, same), believed(held_out, mixed)
        likelihood = np.zeros((len(same), len(CORRELATIONS)), np.float32)
        weights = np.zeros(len(same), np.float32)
        for index, groups in of_same:
            weights[index] = groups.weights
            for column, correlation in enumerate(CORRELATIONS):
                exponent = Consensus(correlation).exponents(groups.photos)
                fused = fuse(groups.belief, groups.prior, groups.group, exponent)
                likelihood[index, column] = (fused * groups.labels).sum(axis=1)
        return cls(likelihood, weights, of_same, of_mixed)

    def fit(self, same: BoolArray, mixed: BoolArray) -> Consensus:
        """Return the consensus of some groups: (Q,) of one place, and mixed ones."""
        if not (same.any() and mixed.any()):
            return Consensus()
        correlation = most_likely(self.likelihood[same], CORRELATIONS, self.weights[same])
        described, photos, weights = _described(self.same, same)
        others, _, _ = _described(self.mixed, mixed)
        inputs = np.concatenate([described, others])
        one_place = np.arange(len(inputs)) < len(described)
        balance = np.where(one_place, 1.0 / len(described), 1.0 / len(others))
        same_place = fit_logistic(inputs, one_place, balance, _RIDGE)
        thresholds = fit_thresholds(described @ same_place, photos, weights)
        return Consensus(correlation, tuple(same_place.tolist()), SIZES, thresholds)


def fit_thresholds(
    score: Float64Array, photos: Float32Array, weights: Float32Array
) -> tuple[float, ...]:
    """Return the score at each of SIZES that FALSE_ALARMS of the groups of one place fall below.

    Args:
        score: (H,) of groups of one place.
        photos: (H,) informative photos.
        weights: (H,) of the groups; those with similar numbers of photos count more.
    """
    thresholds = []
    for size in SIZES:
        ratio = np.log(photos.astype(np.float64) / size) / SIMILAR_SIZES
        near = np.asarray(weights * np.exp(-0.5 * ratio**2), np.float32)
        thresholds.append(-conformal_quantile(-score, near, 1.0 - FALSE_ALARMS, 1e9))
    return tuple(thresholds)


def _described(
    parts: list[tuple[IndexArray, Groups]], chosen: BoolArray
) -> tuple[Float64Array, Float32Array, Float32Array]:
    """Return the input of the test (H, 4), photos (H,) and weights (H,) of chosen groups."""
    found = []
    for index, groups in parts:
        weight = information(groups.belief, groups.prior)
        rows = describe_groups(groups.belief, groups.prior, groups.features, weight, groups.group)
        own = chosen[index]
        found.append((rows[own], groups.photos[own], groups.weights[own]))
    described, photos, weights = zip(*found, strict=True)
    return np.concatenate(described), np.concatenate(photos), np.concatenate(weights)
