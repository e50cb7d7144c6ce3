"""Fit the calibration on photos that heads and members never saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logsumexp

from geoloc.answer.calibration import CLAIMS, EVIDENCE, LEVELS, SIGNALS, Calibration, Claim, Radius
from geoloc.retrieval.reranker import UNTRAINED
from geoloc.types import BoolArray, Float32Array, Float64Array

FARTHEST_KM = 20015.1
"""Half way round the Earth: the radius of one who knows nothing."""

PHOTOS_PER_BIN = 150
MOST_BINS = 24

RIGHT = 0.8
"""A claim is made only where held-out photos were right at least this often."""
SURE_Z = 1.64
"""Of the one-sided 95 % Wilson interval, whose lower end counts."""

NEVER = 2.0
"""Threshold of a claim that is not made: no chance reaches it."""

_RIDGE = 1e-3
_CLAIM_RIDGE = 1e-4
_ROUNDING = 0.1
_SMALLEST_KM = 0.05

TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
SHARPNESSES = (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 80.0)
"""What is tried for the classifier and for the votes."""

UNFITTED = Calibration(
    temperature=1.0,
    sharpness=20.0,
    gate=((0.0, 0.0, 0.0),) * SIGNALS,
    reranker=UNTRAINED,
    region={name: int(name) / 100 for name in LEVELS},
    radius={name: Radius((0.0,) * EVIDENCE, (1.0,), (FARTHEST_KM,)) for name in LEVELS},
    claims={name: Claim((0.0,) * EVIDENCE, NEVER) for name in CLAIMS},
)
"""Equal trust, no claims: what the first pass over held-out photos runs with."""


def fit_gate(
    signal: Float32Array, near: Float32Array, weights: Float32Array
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

    def loss(flat: Float64Array) -> tuple[float, Float64Array]:
        logits = signal @ flat.reshape(shape)
        log_weight = logits - logsumexp(logits, axis=1, keepdims=True)
        joint = log_weight + log_near
        total = logsumexp(joint, axis=1, keepdims=True)
        gradient = signal.T @ (share * (np.exp(log_weight) - np.exp(joint - total)))
        value = -(share * total).sum() + _RIDGE * (flat**2).sum()
        return float(value), gradient.ravel() + 2.0 * _RIDGE * flat

    fitted = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
    return tuple(_floats(row) for row in fitted.x.reshape(shape))


def most_likely(near: Float32Array, options: tuple[float, ...], weights: Float32Array) -> float:
    """The option with the highest mean log of the belief near the truth.

    Args:
        near: (N, len(options)) belief that each option puts near the truth.
        options: what was tried.
        weights: (N,) of the photos.
    """
    value = np.average(np.log(near.astype(np.float64) + 1e-6), axis=0, weights=weights)
    return options[int(np.argmax(value))]


def fit_region(before: Float32Array) -> dict[str, float]:
    """The belief that may be held by cells before those of the credible region, by level.

    Args:
        before: (N,) belief that the cells more probable than the true one had, for held-out photos.
    """
    ascending = np.append(np.sort(before), 1.0)  # with too few photos every cell belongs to it
    ranks = [int(np.ceil((len(before) + 1) * int(name) / 100)) for name in LEVELS]
    return {name: float(ascending[rank - 1]) for name, rank in zip(LEVELS, ranks, strict=True)}


def fit_radius(evidence: Float32Array, distance_km: Float64Array, level: float) -> Radius:
    """Radius that holds the truth for `level` of the photos with like evidence.

    Conformalised quantile regression (Romano et al. 2019) in bins of the regression (Mondrian),
    made monotone. With too few photos for the level the radius is the whole Earth.

    Args:
        evidence: (N, EVIDENCE).
        distance_km: (N,) from answer to truth.
        level: 0..1.
    """
    weights = _quantile_regression(evidence, np.log(distance_km + _SMALLEST_KM), level)
    predicted = np.clip(evidence @ weights, np.log(_SMALLEST_KM), np.log(FARTHEST_KM))
    order = np.argsort(predicted, kind="stable")
    bins = np.array_split(order, np.clip(len(order) // PHOTOS_PER_BIN, 1, MOST_BINS))
    knots = np.array([np.median(predicted[rows]) for rows in bins])
    radii = [_conformal_quantile(distance_km[rows], level) for rows in bins]
    monotone = isotonic_regression(np.log(radii), weights=[len(rows) for rows in bins]).x
    ascending = knots + np.arange(len(knots)) * 1e-6  # strictly, for the interpolation
    return Radius(_floats(weights), _floats(np.exp(ascending)), _floats(np.exp(monotone)))


def _quantile_regression(
    evidence: Float32Array, target: Float64Array, level: float
) -> Float64Array:
    """Weights (F,) that predict the `level` quantile of the target: pinball loss, rounded."""

    def loss(w: Float64Array) -> tuple[float, Float64Array]:
        rest = target - evidence @ w
        value = level * rest + _ROUNDING * np.logaddexp(0.0, -rest / _ROUNDING)
        slope = level - expit(-rest / _ROUNDING)
        ridge = 0.1 * _RIDGE
        gradient = -evidence.T @ slope / len(target) + 2.0 * ridge * w
        return float(value.mean() + ridge * (w**2).sum()), gradient

    start = np.zeros(evidence.shape[1])
    fitted: Float64Array = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return fitted


def _conformal_quantile(distance_km: Float64Array, level: float) -> float:
    """The ceil((n + 1) level)-th smallest of n distances."""
    rank = int(np.ceil((len(distance_km) + 1) * level))
    if rank > len(distance_km):
        return FARTHEST_KM
    return float(max(np.sort(distance_km)[rank - 1], _SMALLEST_KM))


def fit_claim(evidence: Float32Array, right: BoolArray, weights: Float32Array) -> Claim:
    """When a statement is safe to make.

    Args:
        evidence: (N, EVIDENCE).
        right: (N,) whether the statement would have been true.
        weights: (N,) of the photos, falling with the size of their group.
    """
    share = weights / weights.sum()
    target = right.astype(np.float64)

    def loss(w: Float64Array) -> tuple[float, Float64Array]:
        logits = evidence @ w
        value = (share * (np.logaddexp(0.0, logits) - target * logits)).sum()
        gradient = evidence.T @ (share * (expit(logits) - target))
        return float(value + _CLAIM_RIDGE * (w**2).sum()), gradient + 2.0 * _CLAIM_RIDGE * w

    fitted = minimize(loss, np.zeros(evidence.shape[1]), jac=True, method="L-BFGS-B").x
    return Claim(_floats(fitted), _threshold(expit(evidence @ fitted), right, weights))


def _threshold(chance: Float64Array, right: BoolArray, weights: Float32Array) -> float:
    """Least chance at which the statement is safe, NEVER if there is none.

    Photos like the marginal one must have been right often enough (isotonic regression), whether
    photos count or groups do: many photos of one walk must not lend their certainty to photos of
    other places. And all photos above it must have been right often enough for certain.
    """
    order = np.argsort(-chance, kind="stable")
    safe = _wilson_lower(np.cumsum(right[order]), np.arange(1, len(order) + 1)) >= RIGHT
    for importance in (np.ones(len(order)), np.asarray(weights, np.float64)[order] ** 2):
        marginal = isotonic_regression(right[order], weights=importance, increasing=False).x
        safe &= marginal >= RIGHT
    rows = np.flatnonzero(safe)
    return float(chance[order[rows[-1]]]) if len(rows) else NEVER


def _wilson_lower(
    successes: npt.NDArray[np.integer], trials: npt.NDArray[np.integer]
) -> Float64Array:
    share = successes / trials
    z2 = SURE_Z**2 / trials
    centre = share + z2 / 2.0
    margin = np.sqrt(share * (1.0 - share) * z2 + z2**2 / 4.0)
    lower: Float64Array = (centre - margin) / (1.0 + z2)
    return lower


def _floats(values: npt.NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(map(float, values))
