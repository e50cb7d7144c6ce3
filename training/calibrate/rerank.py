"""Fit of the re-ranker: weights that maximise the expected utility of the chosen candidates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from geoloc.belief.heads import softmax
from geoloc.retrieval.reranker import FEATURES, GATING_FEATURES, UNTRAINED, Reranker
from geoloc.types import BoolArray, Float32Array, Float64Array

UTILITY_SCALES_KM = {1.0: 2.0, 25.0: 1.0, 200.0: 1.0, 750.0: 1.0, 2500.0: 1.0}
"""Weight by scale in km. The utility of an answer is the weighted mean of exp(-distance / scale):
about equal weight for each accuracy threshold, twice as much for the street."""

MAX_PHOTOS = 6000
"""Photos that the re-ranker is fitted on, at most."""

_RIDGE = 1e-4


def utility(distance_km: npt.NDArray[np.floating]) -> Float32Array:
    """Return utilities (...), 0 to 1, of answers at these distances (...) from the truth."""
    total = sum(
        weight * np.exp(distance_km / -scale) for scale, weight in UTILITY_SCALES_KM.items()
    )
    return np.asarray(total / sum(UTILITY_SCALES_KM.values()), np.float32)


def fit_reranker(
    features: Float32Array,
    gating: Float32Array,
    valid: BoolArray,
    value: Float32Array,
    weights: Float32Array,
) -> Reranker:
    """Fit weights that maximise the mean utility of candidates drawn by a softmax of the scores.

    This objective is smooth in the weights, unlike the utility of the best candidate, and converges
    to it as the scores grow.

    Args:
        features: (N, P, FEATURES) of the candidates, from models that never saw the photos.
        gating: (N, GATING_FEATURES) gating features of the photos.
        valid: (N, P) whether there is such a candidate.
        value: (N, P) utility of each candidate as the answer.
        weights: (N,) photo weights.
    """
    photo = np.asarray(weights / weights.sum(), np.float32)

    def loss(flat: Float64Array) -> tuple[float, Float64Array]:
        matrix = flat.reshape(GATING_FEATURES, FEATURES).astype(np.float32)
        score = np.einsum("npf,nf->np", features, gating @ matrix)
        probability = softmax(np.where(valid, score, -np.inf))
        mean = (probability * value).sum(axis=1)
        slope = photo[:, None] * probability * (value - mean[:, None])
        gradient = gating.T @ np.einsum("np,npf->nf", slope, features)
        drift = flat - start
        total = -float((photo * mean).sum()) + _RIDGE * float((drift**2).sum())
        return total, -gradient.ravel().astype(np.float64) + 2.0 * _RIDGE * drift

    start = np.asarray(UNTRAINED.weights).ravel()
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return Reranker(tuple(map(tuple, fitted.reshape(GATING_FEATURES, FEATURES).tolist())))
