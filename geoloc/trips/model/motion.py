"""Motion between two photos: staying, walking, driving, a train, or a flight, by the gap."""

from __future__ import annotations

import numpy as np

from geoloc.trips.model.pace import GAPS_S
from geoloc.trips.model.parameters import MODES, TripParameters
from geoloc.types import Float32Array, Float64Array, Int64Array

SPEED_KM_H = {"staying": 0.3, "walking": 4.0, "driving": 45.0, "train": 110.0}

HOURS_A_DAY = {"staying": 1.0, "walking": 6.0, "driving": 5.0, "train": 6.0}
"""Hours in which one moves on a day; longer gaps are a random walk of days."""

LEAST_KM = 0.05
BINS_PER_OCTAVE = 1.0
LONGEST_S = 10 * 365 * 86400.0


def bins(gap_s: Float64Array) -> tuple[Int64Array, Float64Array]:
    """Return the bin (N,) of each gap, and the gaps (B,) in seconds that stand for the bins."""
    number = np.round(np.log2(np.clip(gap_s, 1.0, LONGEST_S)) * BINS_PER_OCTAVE).astype(np.int64)
    used, back = np.unique(number, return_inverse=True)
    return back, np.exp2(used / BINS_PER_OCTAVE)


def scales_km(gap_s: float) -> Float64Array:
    """Return the typical distance (MODES,) of each mode after a gap."""
    hours = gap_s / 3600.0
    days = max(hours / 24.0, 1.0)
    return np.array(
        [
            LEAST_KM + SPEED_KM_H[mode] * min(hours, HOURS_A_DAY[mode]) * np.sqrt(days)
            for mode in MODES
        ]
    )


def shares(gap_s: float, parameters: TripParameters) -> tuple[Float64Array, float]:
    """Return the share (MODES,) of each mode after a gap, and the probability of a flight."""
    at, knots = np.log(max(gap_s, 1.0)), np.log(GAPS_S)
    by_mode = np.array([np.interp(at, knots, column) for column in np.asarray(parameters.motion).T])
    flight = np.exp(np.interp(at, knots, np.log(parameters.flight)))
    return by_mode / by_mode.sum(), float(flight)


def transition(
    distance_km: Float32Array | Float64Array,
    gap_s: float,
    prior: Float64Array,
    parameters: TripParameters,
    extent_km: Float64Array | float = 0.0,
) -> Float64Array:
    """Return the probability (R, S) of S places after a gap, from each of R places.

    Each mode reaches places with exp(-distance / scale). A flight reaches them by their prior.

    Args:
        distance_km: (R, S).
        gap_s: seconds, not negative.
        prior: (S,) of the places, sums to 1.
        parameters: shares of the modes.
        extent_km: (S,) half the distance to the next place: motion within it is none.
    """
    share, flight = shares(gap_s, parameters)
    beyond = np.maximum(np.asarray(distance_km, np.float64) - extent_km, 0.0)
    total = np.zeros_like(beyond)
    for weight, scale in zip(share, scales_km(gap_s), strict=True):
        kernel = np.exp(-beyond / scale) + 1e-12
        total += weight * kernel / kernel.sum(axis=1, keepdims=True)
    return np.asarray((1.0 - flight) * total + flight * prior)
