"""Calibration of a system: claimed probabilities, radii and regions compared with the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.sphere import EARTH_RADIUS_KM
from geoloc.answer.judge import LEVELS
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.scores import PhotoScores
from geoloc.types import BoolArray, Float64Array

RIGHT_KM = 200.0
"""A claimed probability is that of an error below this distance."""

BINS = 10
"""Bins of claimed probabilities, of equal width."""

CURVE_POINTS = 101
AREAS_KM2 = np.geomspace(1.0, 510e6, CURVE_POINTS)
"""From one square kilometre to the whole Earth."""


NO_CALIBRATION: dict[str, Any] = {"chances": None, "radii": None, "regions": None, "area": None}
"""The values of `assess_calibration` where the true coordinates are unknown."""


def assess_calibration(answers: Predictions, scores: PhotoScores) -> dict[str, Any]:
    """Compare all that answers claim with the truth.

    Returns:
        Values for JSON: "chances" (ECE, Brier score, reliability, selective risk), "radii" and
        "regions" (coverage, median size), and "area" (recall by area). Claims that the system does
        not make are None.
    """
    return {
        "chances": _chances(answers, scores),
        "radii": _radii(answers, scores),
        "regions": _regions(answers),
        "area": _areas(answers, scores),
    }


def _chances(answers: Predictions, scores: PhotoScores) -> dict[str, Any] | None:
    right = scores.distance_km < RIGHT_KM
    claimed = scores.answered & ~np.isnan(answers.chance)
    if not claimed.any():
        return None
    return {
        "photos": int(claimed.sum()),
        **probability_calibration(answers.chance[claimed], right[claimed]),
        "selective_risk": selective_risk(np.where(claimed, answers.chance, np.nan), right),
    }


def probability_calibration(chance: Float64Array, right: BoolArray) -> dict[str, Any]:
    """Return expected calibration error (Guo et al. 2017), Brier score and reliability diagram.

    Args:
        chance: (N,) claimed probabilities, 0..1.
        right: (N,) whether the answer was right.

    Returns:
        "ece": mean over photos of |share right - mean claimed| in the photo's bin; "brier": mean
        squared error; "bins": [photos, mean claimed, share right] of each of BINS bins that is not
        empty.
    """
    chance, outcome = np.asarray(chance, np.float64), right.astype(np.float64)
    bin_of = np.minimum((chance * BINS).astype(np.intp), BINS - 1)
    photos = np.bincount(bin_of, minlength=BINS)
    used = np.flatnonzero(photos)
    claimed = np.bincount(bin_of, chance, BINS)[used] / photos[used]
    measured = np.bincount(bin_of, outcome, BINS)[used] / photos[used]
    return {
        "ece": float((photos[used] * np.abs(measured - claimed)).sum() / len(chance)),
        "brier": float(((chance - outcome) ** 2).mean()),
        "bins": np.column_stack([photos[used], claimed, measured]).tolist(),
    }


def selective_risk(chance: Float64Array, right: BoolArray) -> dict[str, Any]:
    """Return the risk–coverage curve (El-Yaniv and Wiener 2010).

    Args:
        chance: (N,) claimed probabilities, by which photos are ordered; NaN, for a refusal or no
            claim, comes last.
        right: (N,) whether the answer was right.

    Returns:
        "curve": [share answered, share wrong among these], from few photos to all; "area": mean
        share wrong over all numbers of answered photos.
    """
    order = np.argsort(-np.nan_to_num(chance, nan=-1.0), kind="stable")
    risk = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    share = np.linspace(0.01, 1.0, CURVE_POINTS - 1)
    row = np.maximum(np.round(share * len(order)).astype(np.intp) - 1, 0)
    curve = np.column_stack([share, risk[row]])
    return {"curve": curve.tolist(), "area": float(risk.mean())}


def _radii(answers: Predictions, scores: PhotoScores) -> dict[str, dict[str, float]] | None:
    """Return by level the number of claimed radii, their coverage and their median."""
    rows = {}
    for column, level in enumerate(LEVELS):
        radius = answers.radii_km[:, column]
        claimed = scores.answered & ~np.isnan(radius)
        if claimed.any():
            covered = scores.distance_km[claimed] <= radius[claimed]
            rows[level] = {
                "photos": int(claimed.sum()),
                "coverage": float(covered.mean()),
                "median_km": float(np.median(radius[claimed])),
            }
    return rows or None


def _regions(answers: Predictions) -> dict[str, dict[str, float]] | None:
    """Return by level the number of claimed regions, their coverage and their median area."""
    rows = {}
    for column, level in enumerate(LEVELS):
        area, holds = answers.region_km2[:, column], answers.region_holds[:, column]
        claimed = ~np.isnan(area)
        if claimed.any():
            rows[level] = {
                "photos": int(claimed.sum()),
                "coverage": float(holds[claimed].mean()),
                "median_km2": float(np.median(area[claimed])),
            }
    return rows or None


def _areas(answers: Predictions, scores: PhotoScores) -> dict[str, list[list[float]]]:
    """Return recall by area: [km², share of photos whose true place the area contains].

    "point" takes circles around the answer, "region" the most probable cells of the system.
    """
    point = cap_km2(scores.distance_km)
    curves = {"point": _recall(np.where(scores.answered, point, np.inf))}
    if not np.isnan(answers.needed_km2).all():
        curves["region"] = _recall(np.nan_to_num(answers.needed_km2, nan=np.inf))
    return curves


def _recall(area: Float64Array) -> list[list[float]]:
    """Return [km², share of photos with a smaller `area`] for AREAS_KM2."""
    share = np.searchsorted(np.sort(area), AREAS_KM2, "right") / len(area)
    return [list(row) for row in zip(AREAS_KM2.tolist(), share.tolist(), strict=True)]


def cap_km2(radius_km: npt.ArrayLike) -> Float64Array:
    """Return the areas (...) of circles on the sphere with radii (...) in km."""
    angle = np.asarray(radius_km, np.float64) / EARTH_RADIUS_KM
    half = np.sin(np.minimum(angle, np.pi) / 2.0)
    return np.asarray(4.0 * np.pi * EARTH_RADIUS_KM**2 * half**2, np.float64)
