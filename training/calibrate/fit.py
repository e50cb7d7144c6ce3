"""Fits of single calibration parts: scales, gate, credible regions, radii and claims."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logsumexp

from geoloc.answer.calibration import CLAIMS, EVIDENCE, LEVELS, SIGNALS, Calibration, Claim, Radius
from geoloc.retrieval.reranker import UNTRAINED
from geoloc.types import BoolArray, Float32Array, Float64Array

FARTHEST_KM = 20015.1
"""Half the Earth's circumference: the radius that always holds the truth."""

PHOTOS_PER_BIN = 150
MOST_BINS = 24
"""Bins of the Mondrian conformal radius: at least this many photos each, at most this many bins."""

CLAIM_PRECISION = 0.8
"""Share of held-out photos for which a claim must have been right."""
WILSON_Z = 1.64
"""Normal quantile of the one-sided 95 % Wilson interval, whose lower bound has to reach
CLAIM_PRECISION."""

NEVER = 2.0
"""Threshold of a claim that is never made: no probability reaches it."""

_RIDGE = 1e-3
_CLAIM_RIDGE = 1e-4
_PINBALL_SMOOTHING = 0.1
_SMALLEST_KM = 0.05

TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
SHARPNESSES = (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 80.0)
"""Grids searched for the classifier's temperature and for the sharpness of the votes."""

UNFITTED = Calibration(
    temperature=1.0,
    sharpness=20.0,
    gate=((0.0, 0.0, 0.0),) * SIGNALS,
    reranker=UNTRAINED,
    region={name: int(name) / 100 for name in LEVELS},
    radius={name: Radius((0.0,) * EVIDENCE, (1.0,), (FARTHEST_KM,)) for name in LEVELS},
    claims={name: Claim((0.0,) * EVIDENCE, NEVER) for name in CLAIMS},
)
"""Equal source weights, no claims: the calibration before anything is fitted."""


def fit_gate(
    signal: Float32Array, near: Float32Array, weights: Float32Array
) -> tuple[tuple[float, ...], ...]:
    """Fit the logits that turn the signals of a photo into the weights of its S sources.

    Maximises the mean log-likelihood of the pooled posterior near the truth: a mixture of experts
    with fixed experts.

    Args:
        signal: (N, SIGNALS) signals.
        near: (N, S) probability that each source gives to the cells near the truth, smoothed like
            the training labels.
        weights: (N,) photo weights.

    Returns:
        (SIGNALS, S) coefficients of the logits.
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
    """Return the option with the highest mean log-likelihood near the truth.

    Args:
        near: (N, len(options)) probability near the truth under each option.
        options: the values that were tried.
        weights: (N,) photo weights.
    """
    value = np.average(np.log(near.astype(np.float64) + 1e-6), axis=0, weights=weights)
    return options[int(np.argmax(value))]


def fit_region(before: Float32Array) -> dict[str, float]:
    """Return the probability mass at which the credible region ends, by level.

    A cell belongs to the region if the more probable cells hold at most this mass together
    (conformal prediction sets, Romano et al. 2020).

    Args:
        before: (N,) mass of the cells more probable than the true one, for held-out photos.
    """
    ascending = np.append(np.sort(before), 1.0)  # with too few photos the region holds all cells
    ranks = [int(np.ceil((len(before) + 1) * int(name) / 100)) for name in LEVELS]
    return {name: float(ascending[rank - 1]) for name, rank in zip(LEVELS, ranks, strict=True)}


def fit_radius(evidence: Float32Array, distance_km: Float64Array, level: float) -> Radius:
    """Fit the radius that holds the truth for a share `level` of photos with similar evidence.

    Conformalised quantile regression (Romano et al. 2019) in bins of the predicted quantile
    (Mondrian), made monotone. With too few photos for the level the radius covers the whole Earth.

    Args:
        evidence: (N, EVIDENCE) evidence vectors.
        distance_km: (N,) distance from answer to truth.
        level: share of photos, 0 to 1.
    """
    weights = _quantile_regression(evidence, np.log(distance_km + _SMALLEST_KM), level)
    predicted = np.clip(evidence @ weights, np.log(_SMALLEST_KM), np.log(FARTHEST_KM))
    order = np.argsort(predicted, kind="stable")
    bins = np.array_split(order, np.clip(len(order) // PHOTOS_PER_BIN, 1, MOST_BINS))
    knots = np.array([np.median(predicted[rows]) for rows in bins])
    radii = [_conformal_quantile(distance_km[rows], level) for rows in bins]
    monotone = isotonic_regression(np.log(radii), weights=[len(rows) for rows in bins]).x
    ascending = knots + np.arange(len(knots)) * 1e-6  # np.interp needs strictly ascending knots
    return Radius(_floats(weights), _floats(np.exp(ascending)), _floats(np.exp(monotone)))


def _quantile_regression(
    evidence: Float32Array, target: Float64Array, level: float
) -> Float64Array:
    """Return weights (F,) that predict the `level` quantile: smoothed pinball loss with ridge."""

    def loss(w: Float64Array) -> tuple[float, Float64Array]:
        rest = target - evidence @ w
        value = level * rest + _PINBALL_SMOOTHING * np.logaddexp(0.0, -rest / _PINBALL_SMOOTHING)
        slope = level - expit(-rest / _PINBALL_SMOOTHING)
        ridge = 0.1 * _RIDGE
        gradient = -evidence.T @ slope / len(target) + 2.0 * ridge * w
        return float(value.mean() + ridge * (w**2).sum()), gradient

    start = np.zeros(evidence.shape[1])
    fitted: Float64Array = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return fitted


def _conformal_quantile(distance_km: Float64Array, level: float) -> float:
    """Return the ceil((n + 1) level)-th smallest of n distances; FARTHEST_KM if n is too small."""
    rank = int(np.ceil((len(distance_km) + 1) * level))
    if rank > len(distance_km):
        return FARTHEST_KM
    return float(max(np.sort(distance_km)[rank - 1], _SMALLEST_KM))


def fit_claim(evidence: Float32Array, right: BoolArray, weights: Float32Array) -> Claim:
    """Fit the probability that a claim is right, and the threshold above which it is made.

    Args:
        evidence: (N, EVIDENCE) evidence vectors.
        right: (N,) whether the claim would have been right.
        weights: (N,) photo weights, smaller for photos of larger groups.
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


def _threshold(probability: Float64Array, right: BoolArray, weights: Float32Array) -> float:
    """Return the lowest probability at which a claim may be made, or NEVER.

    Two conditions hold there. All photos above the threshold together reach CLAIM_PRECISION with
    95 % confidence (Wilson). Photos at the threshold reach it too (isotonic regression), with
    photos weighted equally and with groups weighted equally: many photos of one walk must not
    raise the threshold's precision for other places.
    """
    order = np.argsort(-probability, kind="stable")
    safe = _wilson_lower(np.cumsum(right[order]), np.arange(1, len(order) + 1)) >= CLAIM_PRECISION
    for importance in (np.ones(len(order)), np.asarray(weights, np.float64)[order] ** 2):
        marginal = isotonic_regression(right[order], weights=importance, increasing=False).x
        safe &= marginal >= CLAIM_PRECISION
    rows = np.flatnonzero(safe)
    return float(probability[order[rows[-1]]]) if len(rows) else NEVER


def _wilson_lower(
    successes: npt.NDArray[np.integer], trials: npt.NDArray[np.integer]
) -> Float64Array:
    """Return the lower bounds (N,) of one-sided Wilson intervals."""
    share = successes / trials
    z2 = WILSON_Z**2 / trials
    centre = share + z2 / 2.0
    margin = np.sqrt(share * (1.0 - share) * z2 + z2**2 / 4.0)
    lower: Float64Array = (centre - margin) / (1.0 + z2)
    return lower


def _floats(values: npt.NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(map(float, values))
