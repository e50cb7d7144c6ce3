"""Fits of single calibration parts: scales, gate, credible regions, radii and claims."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logsumexp

from geoloc.answer.calibration import Calibration
from geoloc.answer.judge import (
    FARTHEST_KM,
    LEVELS,
    NEVER,
    Claim,
    PlaceProbability,
    Radius,
    mass_logits,
)
from geoloc.answer.signals import SIGNALS, SOURCES
from geoloc.retrieval.reranker import UNTRAINED
from geoloc.types import BoolArray, Float32Array, Float64Array, Int32Array
from training.calibrate.logistic import fit_logistic

PHOTOS_PER_BIN = 100
MOST_BINS = 24
"""Bins of the Mondrian conformal radius: at least this many photos each, at most this many bins."""

CLAIM_PRECISION = 0.85
"""Share of held-out photos for which a claim must have been right."""
WILSON_Z = 1.64
"""Normal quantile of the one-sided 95 % Wilson interval, whose lower bound has to reach
CLAIM_PRECISION."""
NEW_WILSON_Z = 1.0
"""The same among photos of collections that the model never saw, of which few are recognised."""
FEW_CLAIMS = 2
"""Claims about new collections that are made without proof."""

_RIDGE = 1e-3
_RADIUS_RIDGE = _CLAIM_RIDGE = 1e-4
_PINBALL_SMOOTHING = 0.1
_SMALLEST_KM = 0.05
_LEAST_SLOPE = 0.05

TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
SHARPNESSES = (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 80.0)
"""Grids searched for the classifier's temperature and for the sharpness of the votes."""

UNFITTED = Calibration(
    temperature=1.0, sharpness=20.0, gate=((0.0,) * SOURCES,) * SIGNALS, reranker=UNTRAINED
)
"""Equal source weights and no judges: the calibration before anything is fitted."""


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


def fit_region(before: Float32Array, weights: Float32Array) -> dict[str, float]:
    """Return the probability mass at which the credible region ends, by level.

    A cell belongs to the region if the more probable cells hold at most this mass together
    (conformal prediction sets, Romano et al. 2020).

    Args:
        before: (N,) mass of the cells more probable than the true one, for held-out photos.
        weights: (N,) photo weights.
    """
    return {
        name: conformal_quantile(before.astype(np.float64), weights, int(name) / 100, 1.0)
        for name in LEVELS
    }


def fit_radius(
    evidence: Float32Array, distance_km: Float64Array, weights: Float32Array, level: float
) -> Radius:
    """Fit the radius that holds the truth for a share `level` of photos with similar evidence.

    Conformalised quantile regression (Romano et al. 2019) in bins of the predicted quantile
    (Mondrian), made monotone, with weighted photos (Tibshirani et al. 2019). With too few photos
    for the level the radius covers the whole Earth.

    Args:
        evidence: (N, EVIDENCE) evidence vectors.
        distance_km: (N,) distance from answer to truth.
        weights: (N,) photo weights.
        level: share of photos, 0 to 1.
    """
    target = np.log(distance_km + _SMALLEST_KM)
    regression = _quantile_regression(evidence, target, weights, level)
    predicted = np.clip(evidence @ regression, np.log(_SMALLEST_KM), np.log(FARTHEST_KM))
    order = np.argsort(predicted, kind="stable")
    effective = float(weights.sum() ** 2 / (weights.astype(np.float64) ** 2).sum())
    count = int(np.clip(effective // PHOTOS_PER_BIN, 1, MOST_BINS))
    share = np.cumsum(weights[order]) / weights.sum()
    bins = np.split(order, np.searchsorted(share, np.arange(1, count) / count))
    bins = [rows for rows in bins if len(rows)]
    knots = np.array([np.median(predicted[rows]) for rows in bins])
    radii = [
        max(conformal_quantile(distance_km[rows], weights[rows], level, FARTHEST_KM), _SMALLEST_KM)
        for rows in bins
    ]
    monotone = isotonic_regression(np.log(radii), weights=[weights[rows].sum() for rows in bins]).x
    ascending = knots + np.arange(len(knots)) * 1e-6  # np.interp needs strictly ascending knots
    return Radius(_floats(regression), _floats(np.exp(ascending)), _floats(np.exp(monotone)))


def _quantile_regression(
    evidence: Float32Array, target: Float64Array, weights: Float32Array, level: float
) -> Float64Array:
    """Return weights (F,) that predict the `level` quantile: smoothed pinball loss with ridge."""
    share = weights / weights.sum()

    def loss(w: Float64Array) -> tuple[float, Float64Array]:
        rest = target - evidence @ w
        value = level * rest + _PINBALL_SMOOTHING * np.logaddexp(0.0, -rest / _PINBALL_SMOOTHING)
        slope = level - expit(-rest / _PINBALL_SMOOTHING)
        gradient = -evidence.T @ (share * slope) + 2.0 * _RADIUS_RIDGE * w
        return float((share * value).sum() + _RADIUS_RIDGE * (w**2).sum()), gradient

    start = np.zeros(evidence.shape[1])
    fitted: Float64Array = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return fitted


def conformal_quantile(
    values: Float64Array, weights: Float32Array, level: float, largest: float
) -> float:
    """Return the weighted quantile of values with one more at `largest` (split conformal).

    The additional value has the mean weight; for equal weights the result is the
    ceil((n + 1) level)-th smallest value.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order], dtype=np.float64) / (weights.sum() + weights.mean())
    row = int(np.searchsorted(reached, level - 1e-9))
    return float(values[order[row]]) if row < len(values) else largest


def fit_claim(
    evidence: Float32Array,
    right: BoolArray,
    weights: Float32Array,
    collection: Int32Array,
    new: BoolArray,
) -> Claim:
    """Fit the probability that a claim is right, and the threshold above which it is made.

    Args:
        evidence: (N, EVIDENCE) evidence vectors.
        right: (N,) whether the claim would have been right.
        weights: (N,) photo weights, smaller for photos of larger groups.
        collection: (N,) number of each photo's collection.
        new: (N,) whether the model never saw the collection of the photo.
    """
    fitted = fit_logistic(evidence, right, weights, _CLAIM_RIDGE)
    probability = expit(evidence @ fitted)
    place, count = np.unique(collection, return_inverse=True, return_counts=True)[1:]
    threshold = _threshold(probability, right, 1.0 / count[place])
    if new.any():
        threshold = max(threshold, _threshold_for_new(probability[new], right[new]))
    return Claim(_floats(fitted), threshold)


def _threshold(probability: Float64Array, right: BoolArray, balance: Float64Array) -> float:
    """Return the lowest probability at which a claim may be made, or NEVER.

    All photos above the threshold together reach CLAIM_PRECISION with 95 % confidence (Wilson).
    Photos at the threshold reach it too (isotonic regression). All of this holds with photos
    weighted equally and with `balance`, so that a large collection does not outvote the others.

    Args:
        probability: (N,) that the claim is right.
        right: (N,) whether it is.
        balance: (N,) weights that sum to the same for each collection.
    """
    order = np.argsort(-probability, kind="stable")
    correct = right[order]
    safe = wilson_lower(np.cumsum(correct), np.arange(1, len(order) + 1)) >= CLAIM_PRECISION
    for importance in (np.ones(len(order)), balance[order]):
        marginal = isotonic_regression(correct, weights=importance, increasing=False).x
        safe &= marginal >= CLAIM_PRECISION
        safe &= np.cumsum(importance * correct) >= CLAIM_PRECISION * np.cumsum(importance)
    rows = np.flatnonzero(safe)
    return float(probability[order[rows[-1]]]) if len(rows) else NEVER


def _threshold_for_new(probability: Float64Array, right: BoolArray) -> float:
    """Return the lowest probability at which claims about new collections are right often enough.

    Photos of collections that the model knows must not outvote the others. Up to FEW_CLAIMS are
    allowed without proof, because photos of known collections support them; none where the surest
    of them would be wrong.
    """
    order = np.argsort(-probability, kind="stable")
    made, correct = np.arange(1, len(order) + 1), np.cumsum(right[order], dtype=np.int64)
    proved = wilson_lower(correct, made, NEW_WILSON_Z) >= CLAIM_PRECISION
    rows = np.flatnonzero(proved | ((made <= FEW_CLAIMS) & (correct == made)))
    if not len(rows):
        return float(np.nextafter(probability[order[0]], NEVER))
    return float(probability[order[rows[-1]]])


def fit_place(
    mass: Float32Array, evidence: Float32Array, right: BoolArray, weights: Float32Array
) -> PlaceProbability:
    """Fit the probability that a photo was taken within 25 km of a place.

    Args:
        mass: (N, P) belief around each of the first places; 0 for none.
        evidence: (N, EVIDENCE).
        right: (N, P) whether the photo was taken within 25 km.
        weights: (N,) photo weights.
    """
    photo, place = np.nonzero(mass > 0.0)
    logit = mass_logits(mass[photo, place])
    inputs = np.column_stack([logit, evidence[photo]])
    # the slope is 1 plus its coefficient, so that the ridge draws it towards 1
    least = np.full(inputs.shape[1], -np.inf)
    least[0] = _LEAST_SLOPE - 1.0
    fitted = fit_logistic(
        inputs, right[photo, place], weights[photo], _RIDGE, given=logit, least=least
    )
    return PlaceProbability(1.0 + float(fitted[0]), _floats(fitted[1:]))


def wilson_lower(
    successes: npt.NDArray[np.number], trials: npt.NDArray[np.integer], z: float = WILSON_Z
) -> Float64Array:
    """Return the lower bounds (N,) of one-sided Wilson intervals."""
    share = successes / trials
    z2 = z**2 / trials
    centre = share + z2 / 2.0
    margin = np.sqrt(share * (1.0 - share) * z2 + z2**2 / 4.0)
    lower: Float64Array = (centre - margin) / (1.0 + z2)
    return lower


def _floats(values: npt.NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(map(float, values))
