"""The logistic regression of all fits: weighted, with ridge, and with a part that is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from geoloc.types import BoolArray, Float64Array


def fit_logistic(
    inputs: Any,  # noqa: ANN401  (N, F) of any float type
    target: BoolArray,
    weights: Any,  # noqa: ANN401  (N,) of any float type
    ridge: float,
    *,
    given: Float64Array | None = None,
    least: Float64Array | None = None,
) -> Float64Array:
    """Return the coefficients (F,) of the logit of a probability.

    Args:
        inputs: (N, F) of order 1.
        target: (N,) whether it was so.
        weights: (N,) of the rows, of any scale.
        ridge: weight of the squared length of the coefficients.
        given: (N,) part of the logit that is not fitted.
        least: (F,) lower limits of the coefficients; none without it.
    """
    share = np.asarray(weights, np.float64) / np.sum(weights, dtype=np.float64)
    right, offset = target.astype(np.float64), np.zeros(len(target)) if given is None else given

    def loss(w: Float64Array) -> tuple[float, Float64Array]:
        logit = inputs @ w + offset
        value = (share * (np.logaddexp(0.0, logit) - right * logit)).sum() + ridge * (w**2).sum()
        return float(value), inputs.T @ (share * (expit(logit) - right)) + 2.0 * ridge * w

    bounds = None if least is None else [(float(low), None) for low in least]
    start = np.zeros(inputs.shape[1])
    fitted: Float64Array = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return fitted
