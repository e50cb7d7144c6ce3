"""Fit the re-ranker: the weights whose answers were worth most to held-out photos."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from geoloc.belief.heads import softmax
from geoloc.retrieval.reranker import FEATURES, MOODS, UNTRAINED, Reranker
from geoloc.types import BoolArray, Float32Array, Float64Array

WORTH = {1.0: 2.0, 25.0: 1.0, 200.0: 1.0, 750.0: 1.0, 2500.0: 1.0}
"""An answer is worth the mean of exp(-distance / scale) over these scales in km, by their weights:
each threshold about the same, the street a little more."""

MOST_PHOTOS = 6000
_RIDGE = 1e-4


def worth(distance_km: npt.NDArray[np.floating]) -> Float32Array:
    """Worth 0..1 of answers (...) so far off."""
    total = sum(weight * np.exp(distance_km / -scale) for scale, weight in WORTH.items())
    return np.asarray(total / sum(WORTH.values()), np.float32)


def fit_reranker(
    features: Float32Array,
    mood: Float32Array,
    valid: BoolArray,
    value: Float32Array,
    weights: Float32Array,
) -> Reranker:
    """Maximise the mean worth of candidates drawn by the softmax of their scores.

    That is smooth in the weights where the worth of the best candidate alone is not, and becomes
    it as the scores grow.

    Args:
        features: (N, P, FEATURES) of candidates, from models that never saw the photos.
        mood: (N, MOODS).
        valid: (N, P).
        value: (N, P) worth of each candidate.
        weights: (N,) of the photos.
    """
    photo = np.asarray(weights / weights.sum(), np.float32)

    def loss(flat: Float64Array) -> tuple[float, Float64Array]:
        matrix = flat.reshape(MOODS, FEATURES).astype(np.float32)
        score = np.einsum("npf,nf->np", features, mood @ matrix)
        chance = softmax(np.where(valid, score, -np.inf))
        mean = (chance * value).sum(axis=1)
        slope = photo[:, None] * chance * (value - mean[:, None])
        gradient = mood.T @ np.einsum("np,npf->nf", slope, features)
        drift = flat - start
        total = -float((photo * mean).sum()) + _RIDGE * float((drift**2).sum())
        return total, -gradient.ravel().astype(np.float64) + 2.0 * _RIDGE * drift

    start = np.asarray(UNTRAINED.weights).ravel()
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return Reranker(tuple(map(tuple, fitted.reshape(MOODS, FEATURES).tolist())))
