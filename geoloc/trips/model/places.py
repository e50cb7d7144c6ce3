"""Candidate places of a stretch of photos, and the point that answers a posterior over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km, latlon_from_vectors, pairwise_km, unit_vectors
from geoloc.trips.model.evidence import Evidence
from geoloc.types import Float32Array, Float64Array, IndexArray

BLOCK = 24
"""Photos in a row whose common evidence proposes places."""

PER_BLOCK = 24
MOST_PLACES = 240

NEAREST = 3
"""Cells of a known place that are proposed."""

REFINE_KM = 15.0
"""The answer is the mean of the posterior this near the best place."""

TOGETHER = 0.5
"""Exponent of the posterior that the answer rests on: the photos of a journey err together, which
smoothing does not know, so that it is too sure of one of two regions."""

FAR_KM = 2500.0
"""Farther is no worse."""

LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True, eq=False)
class CandidatePlaces:
    """S places with the distances between them."""

    cell: IndexArray
    """(S,) rows of the cell table."""
    latlon: Float64Array
    """(S, 2) degrees."""
    distance_km: Float32Array
    """(S, S)"""
    extent_km: Float64Array
    """(S,) half the distance to the nearest other place."""
    prior: Float64Array
    """(S,) sums to 1."""


def propose(
    evidence: Evidence, alpha: Float64Array, near: Float64Array | None = None
) -> CandidatePlaces:
    """Return the cells that the pictures of a stretch of N photos, in order, support most.

    Args:
        evidence: of the stretch.
        alpha: (N,) exponents of the evidence of the photos.
        near: (2,) degrees of a place whose nearest cells are proposed whatever the pictures say.
    """
    count = len(evidence.centroids)
    total = np.zeros(count)
    chosen: list[IndexArray] = []
    for start in range(0, len(evidence), BLOCK):
        cell = evidence.cell[start : start + BLOCK]
        belief = evidence.belief[start : start + BLOCK]
        score = np.zeros(count)
        support = np.log(np.maximum(belief * count, 1.0)) * alpha[start : start + BLOCK, None]
        if evidence.stated is not None:
            support = support + evidence.stated[start : start + BLOCK, :-1]
        np.add.at(score, cell, support)
        chosen.append(np.argpartition(-score, min(PER_BLOCK, count) - 1)[:PER_BLOCK])
        np.maximum(total, score, out=total)
    cells = np.unique(np.concatenate(chosen))
    if len(cells) > MOST_PLACES:
        cells = np.sort(cells[np.argsort(-total[cells], kind="stable")[:MOST_PLACES]])
    if near is not None:
        away_km = haversine_km(evidence.centroids, near)
        cells = np.union1d(cells, np.argsort(away_km, kind="stable")[:NEAREST])
    latlon = evidence.centroids[cells]
    distance = pairwise_km(latlon, latlon, np.float32)
    nearest = np.where(np.eye(len(cells), dtype=bool), np.inf, distance).min(axis=1)
    extent = np.where(np.isfinite(nearest), nearest, 0.0) / 2.0
    prior = np.maximum(evidence.prior[cells].astype(np.float64), 1e-9)
    flat = np.full(len(cells), 1.0 / len(cells))
    return CandidatePlaces(cells, latlon, distance, extent, 0.5 * prior / prior.sum() + 0.5 * flat)


def answer(
    places: CandidatePlaces, posterior: Float64Array
) -> tuple[Float64Array, IndexArray, Float64Array]:
    """Return the point of each photo with the least expected distance to the truth.

    Args:
        places: S candidates.
        posterior: (N, S).

    Returns:
        (N, 2) degrees; (N,) the best candidate; and (N, len(LEVELS)) the distances from the point
        within which the tempered posterior has its shares, in km, uncalibrated.
    """
    posterior = tempered(posterior)
    best = (posterior @ np.minimum(places.distance_km, FAR_KM)).argmin(axis=1)
    near = np.exp(-((places.distance_km / REFINE_KM) ** 2))[best] * posterior
    near += 1e-12 * (np.arange(posterior.shape[1]) == best[:, None])
    point = latlon_from_vectors(near @ unit_vectors(places.latlon))
    return point, best, spread_km(places, posterior, point)


def tempered(posterior: Float64Array) -> Float64Array:
    """Return the posterior (N, S) that answers rest on, see TOGETHER."""
    root = posterior**TOGETHER
    return np.asarray(root / root.sum(axis=1, keepdims=True))


def spread_km(
    places: CandidatePlaces, posterior: Float64Array, point: Float64Array
) -> Float64Array:
    """Return the distance (N, len(LEVELS)) from each point that holds each share."""
    distance = pairwise_km(point, places.latlon)
    order = np.argsort(distance, axis=1)
    mass = np.cumsum(np.take_along_axis(posterior, order, axis=1), axis=1)
    ascending = np.take_along_axis(distance, order, axis=1)
    columns = []
    for level in LEVELS:
        at = np.minimum((mass < level).sum(axis=1), mass.shape[1] - 1)
        columns.append(np.take_along_axis(ascending, at[:, None], axis=1)[:, 0])
    return np.stack(columns, axis=1)
