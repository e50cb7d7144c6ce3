"""Radii of a trip: linear quantile regression of the logarithm of the error on some features."""

from __future__ import annotations

import numpy as np

from geoloc.types import Float64Array

LEVELS = (0.5, 0.8, 0.95)
LEAST_KM = 0.01
MOST_ROWS = 3_000
"""Rows that a regression rests on, drawn by their weights if there are more."""


def fit_radii(
    features: Float64Array, error_km: Float64Array, weight: Float64Array | None = None
) -> tuple[tuple[float, ...], ...]:
    """Return the weights (levels, F) of the logarithm of the radius (Koenker and Bassett 1978).

    All slopes are 0 or more, so that a radius grows with the time, the distance and the doubt.

    Args:
        features: (M, levels, F), the first one 1.
        error_km: (M,)
        weight: (M,) of the rows; None for equal ones.
    """
    log_km = np.log(np.maximum(error_km, LEAST_KM))
    share = np.ones(len(log_km)) if weight is None else weight
    if len(log_km) > MOST_ROWS:
        rng = np.random.default_rng(0)
        rows = rng.choice(len(log_km), MOST_ROWS, p=share / share.sum())
        features, log_km, share = features[rows], log_km[rows], np.ones(MOST_ROWS)
    return tuple(
        tuple(float(f"{value:.4g}") for value in _quantile(features[:, number], log_km, share, q))
        for number, q in enumerate(LEVELS)
    )


def _quantile(
    features: Float64Array, values: Float64Array, weight: Float64Array, level: float
) -> Float64Array:
    """Return (F,) the weights of the linear quantile, as a linear programme."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack, identity

    count, width = features.shape
    share = weight / weight.mean()
    one = identity(count)
    solved = linprog(
        np.concatenate([np.zeros(width), level * share, (1.0 - level) * share]),
        A_eq=hstack([csr_matrix(features), one, -one]).tocsr(),
        b_eq=values,
        bounds=[(None, None)] + [(0.0, None)] * (width - 1 + 2 * count),
        method="highs",
    )
    return np.asarray(solved.x[:width], np.float64)
