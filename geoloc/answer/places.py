"""Places: the best candidate of each cell, ranked by the belief around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.belief.heads import softmax
from geoloc.retrieval.candidates import Candidates
from geoloc.retrieval.tables import Members
from geoloc.types import Float32Array, Float64Array, Int64Array

MAX_CANDIDATES = 40
"""Upper limit on places of a ranking."""

CITY_SCALE_KM = 25.0
"""Scale of the kernel that sums the belief around a place, about the size of a city."""

MANY = 64
"""Rank of a gallery photo that is similar as many are."""

TIE = 0.05
"""Beliefs whose logarithms differ by less than this are equal; the re-ranker decides then."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates with the input of the re-ranker."""

    candidates: Candidates
    features: Float32Array
    """(N, P, FEATURES)"""
    gating: Float32Array
    """(N, GATING_FEATURES)"""
    share: Float32Array
    """(N, P) share of the belief, see `votes`."""
    neighbour: Int64Array
    """(N, k) most similar gallery photos; -1 beyond the last."""
    similarity: Float32Array
    """(N, k) similarities of these photos, descending."""


def blended(scored: Scored, value: Float32Array, gallery: Float32Array) -> Float32Array:
    """Return the shares (N, P) of candidates: a mean of those of the belief and the re-ranker.

    The belief tells cells apart, the re-ranker also the candidates of one region. Its weight is
    that of the gallery, which is small for photos from elsewhere.

    Args:
        scored: candidates of N photos.
        value: (N, P) scores of the re-ranker.
        gallery: (N,) weight of the gallery among the sources of the belief, 0 to 1.
    """
    chosen = softmax(np.where(scored.candidates.valid, value, -np.inf))
    weight = gallery[:, None]
    return np.asarray((1.0 - weight) * scored.share + weight * chosen, np.float32)


def rank_places(
    scored: Scored, value: Float32Array, share: Float32Array, belief: Float32Array
) -> tuple[Int64Array, Float64Array, Float32Array]:
    """Keep the best candidate of each cell, and sort them by the belief around them.

    Args:
        scored: candidates of N photos.
        value: (N, P) scores of the re-ranker.
        share: (N, P) from `blended`.
        belief: (N, C).

    Returns:
        (N, P) cells without repetition, -1 beyond the last; (N, P, 2) degrees; and the belief
        (N, P) within about 25 km, not ascending, 0 beyond the last.
    """
    candidates = scored.candidates
    value = np.where(candidates.valid, value, -np.inf)
    by_value = np.argsort(-value, axis=1, kind="stable")
    cell = np.take_along_axis(candidates.cell, by_value, axis=1)
    earlier = np.tril(np.ones((cell.shape[1],) * 2, bool), -1)
    repeated = ((cell[:, :, None] == cell[:, None, :]) & earlier).any(axis=2)
    repeated |= np.isneginf(np.take_along_axis(value, by_value, axis=1))
    repeated[:, 0] = False
    kernel = np.exp(candidates.apart_km / np.float32(-CITY_SCALE_KM))
    held = share * held_belief(candidates, belief)[:, None]
    around = np.einsum("npq,nq->np", kernel, held)
    mass = np.take_along_axis(around, by_value, axis=1)
    step = np.floor(np.log(np.maximum(mass, 1e-9)) / TIE)
    order = np.argsort(np.where(repeated, np.inf, -step), axis=1, kind="stable")
    order = order[:, :MAX_CANDIDATES]
    row = np.take_along_axis(by_value, order, axis=1)
    points = np.take_along_axis(candidates.latlon, row[..., None], axis=1)
    distinct = np.take_along_axis(np.where(repeated, -1, cell), order, axis=1)
    level = np.exp(TIE * np.take_along_axis(step, order, axis=1))
    return distinct, points, np.asarray(np.where(distinct < 0, 0.0, level), np.float32)


def held_belief(candidates: Candidates, belief: Float32Array) -> Float32Array:
    """Return the belief (N,) in all cells that have a candidate."""
    included = np.zeros(belief.shape, bool)
    row = np.nonzero(candidates.valid)[0]
    included[row, candidates.cell[candidates.valid]] = True
    return np.asarray((belief * included).sum(axis=1), np.float32)


def belief_near(
    scored: Scored, share: Float32Array, belief: Float32Array, answer: Float64Array
) -> Float32Array:
    """Return the belief (N, 1) within about 25 km of the answer, as `rank_places` computes it."""
    distance = haversine_km(answer[:, None], scored.candidates.latlon)
    kernel = np.exp(-distance / CITY_SCALE_KM)
    around = (share * kernel).sum(axis=1) * held_belief(scored.candidates, belief)
    return np.asarray(around[:, None], np.float32)


def support(
    scored: Scored, members: Members, answer: Float64Array, city_km: float, region_km: float
) -> Float32Array:
    """Return how much the most similar gallery photos support each answer.

    Args:
        scored: with the most similar gallery photos of N photos.
        members: the gallery photos.
        answer: (N, 2) degrees.
        city_km: reach of the city around an answer.
        region_km: reach of the region.

    Returns:
        (N, 2) float32 of order 1: the highest similarity in the city less the highest outside the
        region, and less that of the MANY-th photo, where 0 stands for none.
    """
    row, similarity = np.maximum(scored.neighbour, 0), np.maximum(scored.similarity, 0.0)
    distance = haversine_km(answer[:, None], members.latlon[row])
    inside = np.where(distance <= city_km, similarity, 0.0).max(axis=1)
    outside = np.where(distance > region_km, similarity, 0.0).max(axis=1)
    many = similarity[:, min(MANY, similarity.shape[1]) - 1]
    return np.column_stack([5.0 * (inside - outside), 5.0 * (inside - many)]).astype(np.float32)
