"""Radii of a trip: quantile regression of the logarithm of the error, and a conformal correction.

How far one person goes in a week says little about another. A regression holds its share
of the photos of those it was fitted on, and less of others. After more than half an hour, radii are
widened by what the real journeys of each person lack by a fit on the others (conformal prediction,
with whole people left out).
"""

from __future__ import annotations

import numpy as np

from geoloc.types import Float64Array, IndexArray

LEVELS = (0.5, 0.8, 0.95)
LEAST_KM = 0.01
MOST_ROWS, LEFT_OUT_ROWS = 3_000, 1_000
"""Rows that a regression rests on, and one without a person's, drawn by their weights if there are
more."""

LATER = (2, 3, 9, 10)
"""Columns of the growth with time after the first half an hour; see `Bridge.features`."""

FEW_PEOPLE = 3
"""With fewer there is no correction."""


def fit_radii(
    features: Float64Array,
    error_km: Float64Array,
    weight: Float64Array | None = None,
    person: IndexArray | None = None,
) -> tuple[tuple[float, ...], ...]:
    """Return the weights (levels, F) of the logarithm of the radius (Koenker and Bassett 1978).

    All slopes are 0 or more, so that a radius grows with the time, the distance and the doubt.

    Args:
        features: (M, levels, F), the first one 1.
        error_km: (M,)
        weight: (M,) of the rows; None for equal ones.
        person: (M,) number of the person whose real journeys they are of, -1 for others; None for
            no correction.
    """
    log_km = np.log(np.maximum(error_km, LEAST_KM))
    share = np.ones(len(log_km)) if weight is None else weight
    fitted = []
    for number, level in enumerate(LEVELS):
        weights = _quantile(features[:, number], log_km, share, level)
        if person is not None:
            weights[list(LATER)] += _lack(features[:, number], log_km, share, level, person)
        fitted.append(tuple(float(f"{value:.4g}") for value in weights))
    return tuple(fitted)


def _lack(
    features: Float64Array, log_km: Float64Array, weight: Float64Array, level: float,
    person: IndexArray,
) -> float:  # fmt: skip
    """Return the slope on LATER that radii lack for people who are left out; 0 or more."""
    numbers = np.unique(person[person >= 0])
    if len(numbers) < FEW_PEOPLE:
        return 0.0
    grown = features[:, list(LATER)].sum(axis=1)
    lack, share = [], []
    for number in numbers:
        others = person != number
        fitted = _quantile(features[others], log_km[others], weight[others], level, LEFT_OUT_ROWS)
        own = np.flatnonzero(~others & (grown > 0.0))
        lack.append((log_km[own] - features[own] @ fitted) / grown[own])
        share.append(weight[own])
    values, weights = np.concatenate(lack), np.concatenate(share)
    if not len(values):
        return 0.0
    order = np.argsort(values)
    held = np.cumsum(weights[order]) / weights.sum()
    return max(float(values[order[np.searchsorted(held, level)]]), 0.0)


def _quantile(
    features: Float64Array, values: Float64Array, weight: Float64Array, level: float,
    most: int = MOST_ROWS,
) -> Float64Array:  # fmt: skip
    """Return (F,) the weights of the linear quantile, as a linear programme on some rows."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack, identity

    if len(values) > most:
        rng = np.random.default_rng(0)
        rows = rng.choice(len(values), most, p=weight / weight.sum())
        features, values, weight = features[rows], values[rows], np.ones(most)
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
