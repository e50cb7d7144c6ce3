"""Metrics of answers: accuracy within distances, country accuracy, coverage, GeoGuessr points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import haversine_km
from geoloc.types import BoolArray, Float64Array, Int32Array, Int64Array

THRESHOLDS_KM = (1.0, 5.0, 25.0, 200.0, 750.0, 2500.0)
"""Street (1 and 5 km), city, region, country and continent."""

GEOGUESSR_SCALE_KM = 1492.7
"""World map: 5000 * exp(-d / 1492.7) points at a distance of d km (PIGEON, section 6.1)."""

MOST_POINTS = 5000
"""Points of a perfect guess."""

WORLD_MAX_ERROR_KM = 14_916.862
"""`maxErrorDistance` of GeoGuessr's world map, as used by most tools."""

BULLSEYE_KM = 0.025
"""Distance below which GeoGuessr gives all points on any map."""


def geoscore(distance_km: npt.ArrayLike) -> Float64Array:
    """Return the points 0..5000 of guesses at distances (...), without rounding (as OSV-5M does).

    PIGEON rounds the points of each guess; for the game itself see `geoguessr_points`.
    """
    distance = np.asarray(distance_km, np.float64)
    return np.asarray(MOST_POINTS * np.exp(-distance / GEOGUESSR_SCALE_KM), np.float64)


def geoguessr_points(
    distance_km: npt.ArrayLike, max_error_km: float = WORLD_MAX_ERROR_KM
) -> Int64Array:
    """Return the whole points 0..5000 that GeoGuessr gives guesses at distances (...).

    They are round(5000 * exp(-10 * d / max_error_km)), and 5000 for distances below 25 m.

    Args:
        distance_km: (...) from guess to truth; infinite without a guess.
        max_error_km: `maxErrorDistance` of the map.
    """
    distance = np.asarray(distance_km, np.float64)
    points = np.round(MOST_POINTS * np.exp(-10.0 * distance / max_error_km)).astype(np.int64)
    return np.where(distance < BULLSEYE_KM, np.int64(MOST_POINTS), points)


@dataclass(frozen=True)
class Accuracy:
    """One row of a results table."""

    photos: int
    median_km: float
    within: dict[str, float]
    """Share of photos closer than each threshold, by its km as text; NaN without photos. Photos
    whose own coordinates are less precise than a threshold do not count for it."""
    country: float
    """Share of photos whose answer lies in the true country."""
    geoscore: float
    """Mean GeoGuessr points, 0..5000."""


def score(
    answer: npt.ArrayLike,
    truth: npt.ArrayLike,
    precision_km: npt.ArrayLike | None = None,
) -> Accuracy:
    """Return the metrics of N answers.

    Args:
        answer: (N, 2) degrees.
        truth: (N, 2) degrees.
        precision_km: (N,) uncertainty of each truth; None if all are exact.
    """
    guess, true = np.asarray(answer, np.float64), np.asarray(truth, np.float64)
    if len(guess) == 0:
        nothing = {f"{km:g}": float("nan") for km in THRESHOLDS_KM}
        return Accuracy(0, float("nan"), nothing, float("nan"), float("nan"))
    distance = haversine_km(guess, true)
    precision = np.zeros(len(guess)) if precision_km is None else np.asarray(precision_km)
    points = np.round(geoscore(distance))
    return Accuracy(
        photos=len(guess),
        median_km=float(np.median(distance)),
        within={f"{km:g}": _share(distance[precision <= km] < km) for km in THRESHOLDS_KM},
        country=_share(same_country(guess, true)),
        geoscore=float(points.mean()),
    )


def country_and_region(latlon: npt.ArrayLike) -> Int32Array:
    """Return the country and the region that coordinates are assigned to when answers are compared.

    Truth and answer follow the same rule: the polygon that covers the coordinate, or else the
    nearest one on the sphere, at any distance. A correct answer at sea is therefore in the right
    country.

    Args:
        latlon: (N, 2) degrees.

    Returns:
        (N, 2) rows of `embedded_boundaries().country` and `.region`.
    """
    return embedded_boundaries().locate(latlon)[:, :2]


def same_country(a: npt.ArrayLike, b: npt.ArrayLike) -> BoolArray:
    """Return whether coordinates (N, 2) and (N, 2) are in one country; see `country_and_region`."""
    same: BoolArray = country_and_region(a)[:, 0] == country_and_region(b)[:, 0]
    return same


def coverage(answer: npt.ArrayLike, truth: npt.ArrayLike, radius_km: npt.ArrayLike) -> float:
    """Return the share of photos whose truth lies within the radius (N,) of the answer (N, 2)."""
    return _share(haversine_km(answer, truth) <= np.asarray(radius_km))


def _share(right: BoolArray) -> float:
    return float(right.mean()) if len(right) else float("nan")
