"""Fit of `Consensus`: exponents of several photos of one place, and the test of contradiction."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from geoloc.answer.calibration import Consensus
from geoloc.answer.together import describe_groups, merge_bursts
from geoloc.belief.fusion import by_group, fuse, information
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.calibrate.heldout import HeldOut
from training.calibrate.questions import Asked
from training.calibrate.scoring import labels_near

SIZES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Numbers of informative photos that exponents and thresholds are fitted for."""

EXPONENTS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)

FALSE_ALARMS = 0.05
"""Share of groups of one place that are called contradictory."""

FEWEST = 20
"""Groups of a size from which on it is fitted on its own."""

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
        collection = held_out.collection[asked.first[index]][owner]
        sources = ranker.sources(vectors, None, collection)
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

    size: IndexArray
    """(Q,) rows of SIZES."""
    likelihood: Float32Array
    """(Q, len(EXPONENTS)) belief near the truth."""
    weights: Float32Array
    """(Q,)"""
    same: list[tuple[IndexArray, Groups]]
    mixed: list[tuple[IndexArray, Groups]]

    @classmethod
    def of(cls, held_out: HeldOut, same: Asked, mixed: Asked) -> ConsensusFit:
        """Compute the beliefs of groups of one place, and of mixed groups."""
        of_same, of_mixed = believed(held_out, same), believed(held_out, mixed)
        size = np.zeros(len(same), np.intp)
        likelihood = np.zeros((len(same), len(EXPONENTS)), np.float32)
        weights = np.zeros(len(same), np.float32)
        for index, groups in of_same:
            size[index] = nearest_size(groups.photos)
            weights[index] = groups.weights
            for column, exponent in enumerate(EXPONENTS):
                every = np.full(len(index), exponent)
                fused = fuse(groups.belief, groups.prior, groups.group, every)
                likelihood[index, column] = (fused * groups.labels).sum(axis=1)
        return cls(size, likelihood, weights, of_same, of_mixed)

    def fit(self, same: BoolArray, mixed: BoolArray) -> Consensus:
        """Return the consensus of some groups: (Q,) of one place, and mixed ones."""
        exponent = self._exponents(np.flatnonzero(same))
        start = Consensus(SIZES, exponent)
        described, photos = _described(self.same, start, same)
        others, _ = _described(self.mixed, start, mixed)
        if not len(described) or not len(others):
            return replace(start, threshold=(-1e9,) * len(SIZES))
        weights = _logistic(described, others)
        score, size = described @ weights, nearest_size(photos)
        thresholds: list[float] = []
        for row in range(len(SIZES)):
            own = score[size == row]
            if len(own) >= FEWEST or not thresholds:
                own = own if len(own) >= FEWEST else score
                thresholds.append(float(np.quantile(own, FALSE_ALARMS)))
            else:
                thresholds.append(thresholds[-1])
        return replace(start, same_place=tuple(weights.tolist()), threshold=tuple(thresholds))

    def _exponents(self, rows: IndexArray) -> tuple[float, ...]:
        """Return the exponent by size, falling from 1; the total evidence of more photos stays."""
        chosen = [1.0]
        for row in range(1, len(SIZES)):
            own = rows[self.size[rows] == row]
            most = chosen[-1]
            if len(own) < FEWEST:
                chosen.append(most * SIZES[row - 1] / SIZES[row])
                continue
            value = np.average(
                np.log(self.likelihood[own] + 1e-6), axis=0, weights=self.weights[own]
            )
            allowed = [i for i, exponent in enumerate(EXPONENTS) if exponent <= most + 1e-9]
            chosen.append(EXPONENTS[max(allowed, key=lambda i: value[i])] if allowed else most)
        return tuple(chosen)


def nearest_size(photos: Float32Array) -> IndexArray:
    """Return the row (G,) of SIZES that is nearest to a number of photos (G,), by ratio."""
    distance = np.abs(np.log(photos)[:, None] - np.log(SIZES))
    return np.asarray(distance.argmin(axis=1), np.intp)


def _described(
    parts: list[tuple[IndexArray, Groups]], consensus: Consensus, chosen: BoolArray
) -> tuple[Float64Array, Float32Array]:
    """Return the input of the test (H, 4) and the number of photos (H,) of chosen groups."""
    described, photos = [np.empty((0, 4))], [np.empty(0, np.float32)]
    for index, groups in parts:
        weight = information(groups.belief, groups.prior)
        rows = describe_groups(
            groups.belief, groups.prior, groups.features, weight, groups.group, consensus
        )
        described.append(rows[chosen[index]])
        photos.append(groups.photos[chosen[index]])
    return np.concatenate(described), np.concatenate(photos)


def _logistic(same: Float64Array, mixed: Float64Array) -> Float64Array:
    """Return the weights of a logistic regression of one place against several."""
    inputs = np.concatenate([same, mixed])
    target = np.repeat([1.0, 0.0], [len(same), len(mixed)])
    share = np.repeat([0.5 / len(same), 0.5 / len(mixed)], [len(same), len(mixed)])

    def loss(w: Float64Array) -> tuple[float, Float64Array]:
        z = inputs @ w
        value = (share * (np.logaddexp(0.0, z) - target * z)).sum() + _RIDGE * (w**2).sum()
        return float(value), inputs.T @ (share * (expit(z) - target)) + 2.0 * _RIDGE * w

    fitted: Float64Array = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return fitted
