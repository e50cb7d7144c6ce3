"""A geocell classifier fitted in NumPy, for bundles that are built where torch is not installed.

It is the classifier of `training.heads.fit` without hierarchy and attributes: the same labels,
loss, optimiser and schedule.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from geocells.table import CellTable
from geoloc.belief.heads import Heads, softmax
from geoloc.types import Float32Array, Float64Array, Int64Array
from training.config import HeadConfig
from training.heads.examples import Examples

SHIFT = 0.5
"""Share of the correction for the prior of use that is made; see `label_shift`."""

LONGEST = 1024
"""Longest features: longer embeddings are reduced to their principal components."""

_SAMPLE = 4096
"""Photos that the principal components are computed from."""

_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_WARM_UP = 0.3
"""Share of the steps of the one-cycle schedule in which the rate rises."""
_FIRST, _LAST = 25.0, 1e4
"""The schedule starts at the peak / _FIRST, and ends at that / _LAST."""


def fit_linear(
    examples: Examples, cells: CellTable, prior: Float32Array, config: HeadConfig
) -> Heads:
    """Fit a linear classifier on features whose inner products are those of the encoder.

    Args:
        examples: training photos.
        cells: C geocells.
        prior: (C,) the world's photo density over the cells.
        config: settings; whitening, hierarchy and attributes are not for this classifier.
    """
    embeddings = np.asarray(examples.embeddings, np.float32)
    mean = np.average(embeddings, axis=0, weights=examples.weights).astype(np.float32)
    projection = _projection(embeddings - mean)
    active, cell = np.unique(cells.locate(examples.latlon), return_inverse=True)
    blank = np.zeros((projection.shape[1], len(active)), np.float32)
    start = Heads(mean, projection, blank, blank[0], active.astype(np.int32), prior, prior * 0)
    features = start.features(embeddings) * np.float32(config.logit_scale)
    centres = unit_vectors(cells.centroids[active])
    fit = _Descent(projection.shape[1], len(active), config, -(-len(features) // config.batch))
    places = unit_vectors(examples.latlon)
    for epoch in range(config.epochs):
        order = np.random.default_rng((config.seed, epoch)).permutation(len(features))
        for rows in np.split(order, range(config.batch, len(order), config.batch)):
            labels = smoothed_labels(places[rows], centres, config.tau_km)
            fit.step(features[rows], labels, examples.weights[rows])
    weight, bias = fit.parameters
    trained = np.bincount(active[cell], examples.weights, minlength=len(cells))
    shift = label_shift(trained, prior)
    scaled = np.ascontiguousarray(weight * config.logit_scale, np.float32)
    return Heads(mean, projection, scaled, bias, active.astype(np.int32), prior, shift)


def _projection(centred: Float32Array) -> Float32Array:
    """Return the map (D, K) of centred embeddings (N, D) to features of at most LONGEST numbers."""
    dim = centred.shape[1]
    if dim <= LONGEST:
        return np.eye(dim, dtype=np.float32)
    sample = centred[:: -(-len(centred) // _SAMPLE)]
    _, size, axes = np.linalg.svd(sample, full_matrices=False)
    kept = np.flatnonzero(size > 1e-4 * max(size[0], 1e-12))[:LONGEST]
    return np.ascontiguousarray(axes[kept if len(kept) else [0]].T, np.float32)


def smoothed_labels(places: Float64Array, centres: Float64Array, tau_km: float) -> Float32Array:
    """Return haversine-smoothed labels (B, C), not normalised (PIGEON, section 2).

    They are exp(-(d_c - d_nearest) / tau), with 1 for the nearest cell.

    Args:
        places: (B, 3) unit vectors of the photos.
        centres: (C, 3) unit vectors of the cells.
        tau_km: scale of the smoothing.
    """
    # the cosine in float64, as that of a near place is too close to 1 for float32
    half = np.clip(0.5 - 0.5 * (places @ centres.T), 0.0, 1.0).astype(np.float32)
    angle = np.arcsin(np.sqrt(half, out=half), out=half)
    angle -= angle.min(axis=1, keepdims=True)
    return np.asarray(np.exp(angle * np.float32(-2.0 * EARTH_RADIUS_KM / tau_km)), np.float32)


class _Descent:
    """AdamW on the smoothed cross-entropy of a linear classifier, with the one-cycle schedule."""

    def __init__(self, dim: int, cells: int, config: HeadConfig, batches: int) -> None:
        self._config, self._steps = config, config.epochs * batches
        self.parameters = np.zeros((dim, cells), np.float32), np.zeros(cells, np.float32)
        self._moments = [(np.zeros_like(each), np.zeros_like(each)) for each in self.parameters]
        self._taken = 0

    def step(self, features: Float32Array, labels: Float32Array, weights: Float32Array) -> None:
        """Take one step on features (B, K), labels (B, C) and weights (B,)."""
        weight, bias = self.parameters
        target = labels / labels.sum(axis=1, keepdims=True)
        error = softmax(features @ weight + bias) - target
        error *= (weights / np.float32(len(features)))[:, None]
        rate, self._taken = self._rate(), self._taken + 1
        for value, gradient, moments in zip(
            self.parameters, (features.T @ error, error.sum(axis=0)), self._moments, strict=True
        ):
            value *= np.float32(1.0 - rate * self._config.weight_decay)
            value -= self._adam(gradient, *moments, rate)

    def _adam(
        self, gradient: Float32Array, first: Float32Array, second: Float32Array, rate: float
    ) -> Float32Array:
        """Return the change of a parameter, and update its moments."""
        one, two = _BETAS
        first += np.float32(1.0 - one) * (gradient - first)
        second += np.float32(1.0 - two) * (gradient * gradient - second)
        size = np.sqrt(second / np.float32(1.0 - two**self._taken)) + np.float32(_EPSILON)
        return np.asarray(np.float32(rate / (1.0 - one**self._taken)) * first / size, np.float32)

    def _rate(self) -> float:
        """Return the learning rate of the next step."""
        peak, total = self._config.learning_rate, self._steps
        if self._config.schedule != "one-cycle":
            return peak
        top = _WARM_UP * total - 1.0
        if self._taken <= top:
            return _between(peak / _FIRST, peak, self._taken / max(top, 1e-9))
        return _between(peak, peak / _FIRST / _LAST, (self._taken - top) / (total - top))


def _between(start: float, end: float, share: float) -> float:
    """Return a value on the cosine from `start` to `end`."""
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * share))


def label_shift(trained: npt.NDArray[np.number], used: Float32Array) -> Float32Array:
    """Return the log odds (C,) that turn beliefs under the training prior into those of use.

    Only the share SHIFT of the whole correction (label shift, Saerens et al. 2002) is made, because
    the weights of large groups have already been reduced in training.

    Args:
        trained: (C,) weight of the training photos in each cell.
        used: (C,) prior of use.
    """
    share = trained / trained.sum()
    odds = np.log(used + 1e-12) - np.log(share + 1e-12)
    return np.asarray(np.where(trained > 0.0, SHIFT * odds, 0.0), np.float32)


def density_prior(count: Int64Array) -> Float32Array:
    """Return the prior (C,) from the number of photos in each cell; all are greater than 0."""
    share = (count + 0.1) / (count + 0.1).sum()
    return np.asarray(share, np.float32)
