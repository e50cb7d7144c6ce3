"""Is a system as sure as it should be? Calibration of chances, radii and regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.sphere import EARTH_RADIUS_KM
from geoloc.answer.calibration import LEVELS
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.scores import Marks
from geoloc.types import BoolArray, Float64Array

RIGHT_KM = 200.0
"""What a claimed chance is about: being right within so many km."""

BINS = 10
"""Of equal width, of claimed chances."""

CURVE_POINTS = 101
AREAS_KM2 = np.geomspace(1.0, 510e6, CURVE_POINTS)
"""From a square kilometre to the whole Earth."""


def honesty(answers: Predictions, marks: Marks) -> dict[str, Any]:
    """All that answers claim of themselves, held against the truth.

    Returns:
        Plain values, ready for JSON: "chances" (ECE, Brier score, reliability, selective risk),
        "radii" and "regions" (coverage, sharpness), and "area" (recall by area). What the system
        does not claim is None.
    """
    return {
        "chances": _chances(answers, marks),
        "radii": _radii(answers, marks),
        "regions": _regions(answers),
        "area": _areas(answers, marks),
    }


def _chances(answers: Predictions, marks: Marks) -> dict[str, Any] | None:
    right = marks.distance_km < RIGHT_KM
    told = marks.answered & ~np.isnan(answers.chance)
    if not told.any():
        return None
    return {
        "photos": int(told.sum()),
        **calibration(answers.chance[told], right[told]),
        "selective_risk": selective_risk(np.where(told, answers.chance, np.nan), right),
    }


def calibration(chance: Float64Array, right: BoolArray) -> dict[str, Any]:
    """Expected calibration error (Guo et al. 2017), Brier score, and the reliability diagram.

    Args:
        chance: (N,) claimed, 0..1.
        right: (N,)

    Returns:
        ece: mean over photos of |share right - mean chance| in the photo's bin; brier: mean squared
        error; bins: of BINS equal widths, [photos, mean chance, share right], empty ones left out.
    """
    chance, truth = np.asarray(chance, np.float64), right.astype(np.float64)
    bin_of = np.minimum((chance * BINS).astype(np.intp), BINS - 1)
    photos = np.bincount(bin_of, minlength=BINS)
    some = np.flatnonzero(photos)
    claimed = np.bincount(bin_of, chance, BINS)[some] / photos[some]
    held = np.bincount(bin_of, truth, BINS)[some] / photos[some]
    return {
        "ece": float((photos[some] * np.abs(held - claimed)).sum() / len(chance)),
        "brier": float(((chance - truth) ** 2).mean()),
        "bins": np.column_stack([photos[some], claimed, held]).tolist(),
    }


def selective_risk(chance: Float64Array, right: BoolArray) -> dict[str, Any]:
    """Share of wrong answers if only the surest are given (El-Yaniv and Wiener 2010).

    Args:
        chance: (N,) by which photos are ordered; NaN, a refusal or no claim, comes last.
        right: (N,)

    Returns:
        curve: [share answered, share wrong of these] from none to all; area: its mean height.
    """
    order = np.argsort(-np.nan_to_num(chance, nan=-1.0), kind="stable")
    risk = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    share = np.linspace(0.01, 1.0, CURVE_POINTS - 1)
    row = np.maximum(np.round(share * len(order)).astype(np.intp) - 1, 0)
    curve = np.column_stack([share, risk[row]])
    return {"curve": curve.tolist(), "area": float(risk.mean())}


def _radii(answers: Predictions, marks: Marks) -> dict[str, dict[str, float]] | None:
    """By level: how many claimed a radius, the share it held the truth of, its median."""
    rows = {}
    for column, level in enumerate(LEVELS):
        radius = answers.radii_km[:, column]
        told = marks.answered & ~np.isnan(radius)
        if told.any():
            held = marks.distance_km[told] <= radius[told]
            rows[level] = {
                "photos": int(told.sum()),
                "coverage": float(held.mean()),
                "median_km": float(np.median(radius[told])),
            }
    return rows or None


def _regions(answers: Predictions) -> dict[str, dict[str, float]] | None:
    """By level: how many claimed a region, the share it held the truth of, its median area."""
    rows = {}
    for column, level in enumerate(LEVELS):
        area, holds = answers.region_km2[:, column], answers.region_holds[:, column]
        told = ~np.isnan(area)
        if told.any():
            rows[level] = {
                "photos": int(told.sum()),
                "coverage": float(holds[told].mean()),
                "median_km2": float(np.median(area[told])),
            }
    return rows or None


def _areas(answers: Predictions, marks: Marks) -> dict[str, list[list[float]]]:
    """Recall by area: share of photos whose truth lies in the likeliest part of so many km².

    "point" takes circles around the answer, "region" what the system itself believes in.
    """
    point = cap_km2(marks.distance_km)
    curves = {"point": _reached(np.where(marks.answered, point, np.inf))}
    if not np.isnan(answers.needed_km2).all():
        curves["region"] = _reached(np.nan_to_num(answers.needed_km2, nan=np.inf))
    return curves


def _reached(area: Float64Array) -> list[list[float]]:
    share = np.searchsorted(np.sort(area), AREAS_KM2, "right") / len(area)
    return [list(row) for row in zip(AREAS_KM2.tolist(), share.tolist(), strict=True)]


def cap_km2(radius_km: npt.ArrayLike) -> Float64Array:
    """Area (...) of the circle of so many km (...) on the sphere."""
    angle = np.asarray(radius_km, np.float64) / EARTH_RADIUS_KM
    half = np.sin(np.minimum(angle, np.pi) / 2.0)
    return np.asarray(4.0 * np.pi * EARTH_RADIUS_KM**2 * half**2, np.float64)
