"""Fit the calibration on photos that heads and members never saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logsumexp

from geoloc.calibration import (
    CLAIMS,
    LEVELS,
    SIGNALS,
    Calibration,
    Claim,
    RadiusTable,
)
from geoloc.encoder import FloatArray

FARTHEST_KM = 20015.1
"""Half way round the Earth: the radius of one who knows nothing."""

PHOTOS_PER_BIN = 150
MOST_BINS = 24

RIGHT = 0.8
"""A claim is made only where held-out photos were right at least this often, ..."""
SURE_Z = 1.64
"""... as the lower end of the 95 % one-sided Wilson interval."""

_RIDGE = 1e-3
_SMALLEST_KM = 0.05

UNFITTED = Calibration(
    sharpness=20.0,
    gate=tuple((0.0, 0.0, 0.0) for _ in range(SIGNALS)),
    radius={name: RadiusTable((1.0, 2.0), (FARTHEST_KM, FARTHEST_KM)) for name in LEVELS},
    claims={name: Claim((0.0,) * (SIGNALS + 6), 2.0) for name in CLAIMS},
)
"""Equal trust, no claims: what the first pass over held-out photos runs with."""


def fit_gate(
    signal: FloatArray, near: FloatArray, weights: FloatArray
) -> tuple[tuple[float, ...], ...]:
    """Trust in each source as a function of the signals.

    Maximises the mean log of the pooled belief near the truth: a mixture of experts whose experts
    are fixed.

    Args:
        signal: (N, SIGNALS).
        near: (N, S) belief each source puts near the truth, smoothed as the labels are.
        weights: (N,) of the photos.

    Returns:
        (SIGNALS, S) logits.
    """
    share = (weights / weights.sum())[:, None]
    log_near = np.log(near.astype(np.float64) + 1e-9)
    shape = signal.shape[1], near.shape[1]

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        logits = signal @ flat.reshape(shape)
        log_weight = logits - logsumexp(logits, axis=1, keepdims=True)
        joint = log_weight + log_near
        total = logsumexp(joint, axis=1, keepdims=True)
        gradient = signal.T @ (share * (np.exp(log_weight) - np.exp(joint - total)))
        value = -(share * total).sum() + _RIDGE * (flat**2).sum()
        return float(value), gradient.ravel() + 2.0 * _RIDGE * flat

    fitted = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
    return tuple(tuple(map(float, row)) for row in fitted.x.reshape(shape))


def fit_radius(
    spread_km: FloatArray, distance_km: npt.NDArray[np.float64], level: float
) -> RadiusTable:
    """Radius that holds the truth for `level` of photos of like spread.

    Split conformal prediction in bins of the spread (Mondrian; Vovk et al. 2005), made monotone.
    With too few photos for the level the radius is the whole Earth.

    Args:
        spread_km: (N,) uncalibrated radii.
        distance_km: (N,) from answer to truth.
        level: 0..1.
    """
    order = np.argsort(spread_km, kind="stable")
    bins = np.array_split(order, np.clip(len(order) // PHOTOS_PER_BIN, 1, MOST_BINS))
    knots = [float(np.median(spread_km[rows])) for rows in bins]
    radii = [_conformal_quantile(distance_km[rows], level) for rows in bins]
    sizes = [len(rows) for rows in bins]
    monotone = isotonic_regression(np.log(radii), weights=sizes).x
    knot = np.maximum.accumulate(np.maximum(knots, _SMALLEST_KM))
    knot = knot + np.arange(len(knot)) * 1e-6  # strictly ascending, for the interpolation
    return RadiusTable(tuple(map(float, knot)), tuple(map(float, np.exp(monotone))))


def _conformal_quantile(distance_km: npt.NDArray[np.float64], level: float) -> float:
    """The ceil((n + 1) level)-th smallest of n distances."""
    rank = int(np.ceil((len(distance_km) + 1) * level))
    if rank > len(distance_km):
        return FARTHEST_KM
    return float(max(np.sort(distance_km)[rank - 1], _SMALLEST_KM))


def fit_claim(features: FloatArray, right: npt.NDArray[np.bool_], weights: FloatArray) -> Claim:
    """When a statement is safe to make.

    Args:
        features: (N, F) claim features.
        right: (N,) whether the statement would have been true.
        weights: (N,) of the photos.
    """
    if right.all() or not right.any():
        return Claim((0.0,) * features.shape[1], 2.0 if not right.any() else _if_always(right))
    share = weights / weights.sum()
    target = right.astype(np.float64)

    def loss(w: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        logits = features @ w
        value = (share * (np.logaddexp(0.0, logits) - target * logits)).sum()
        gradient = features.T @ (share * (expit(logits) - target))
        return float(value + _RIDGE * (w**2).sum()), gradient + 2.0 * _RIDGE * w

    fitted = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x
    chance = expit(features @ fitted)
    return Claim(tuple(map(float, fitted)), _threshold(chance, right))


def _if_always(right: npt.NDArray[np.bool_]) -> float:
    """Threshold for a statement that was never wrong: with few photos that proves nothing."""
    return 0.5 if _wilson_lower(np.array([len(right)]), np.array([len(right)]))[0] >= RIGHT else 2.0


def _threshold(chance: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Least chance above which photos were right often enough; 2 (never) if there is none."""
    order = np.argsort(-chance, kind="stable")
    answered = np.arange(1, len(order) + 1)
    enough = _wilson_lower(np.cumsum(right[order]), answered) >= RIGHT
    return float(chance[order[np.flatnonzero(enough)[-1]]]) if enough.any() else 2.0


def _wilson_lower(
    successes: npt.NDArray[np.integer], trials: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    share = successes / trials
    z2 = SURE_Z**2 / trials
    centre = share + z2 / 2.0
    margin = np.sqrt(share * (1.0 - share) * z2 + z2**2 / 4.0)
    lower: npt.NDArray[np.float64] = (centre - margin) / (1.0 + z2)
    return lower
