"""`Sources` and `Ranking`: what a `Ranker` computes for N photos."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from threadpoolctl import ThreadpoolController

from geoloc.guess import Confidence
from geoloc.retrieval.gallery import NearestClusters
from geoloc.types import BoolArray, Float32Array, Float64Array, Int64Array


@dataclass(frozen=True, eq=False)
class Sources:
    """Beliefs from each source for N photos, before they are weighted."""

    features: Float32Array
    """(N, K) retrieval features."""
    beliefs: tuple[Float32Array, ...]
    """SOURCES beliefs (N, C): the prior; classifier and votes under the prior of the training
    photos; classifier and votes under the prior of use."""
    signal: Float32Array
    """(N, SIGNALS) see `signals`."""
    nearest: NearestClusters
    """The most similar clusters of the gallery."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Answers and ranked places for N photos, or for N groups of photos."""

    belief: Float32Array
    """(N, C)"""
    answer: Float64Array
    """(N, 2) degrees: the first place if the photo is localised, else the point with the highest
    expected score."""
    answer_cell: Int64Array
    """(N,) the cell of the answer."""
    answer_probability: Float32Array
    """(N,) calibrated probability that the photo was taken within 25 km of the answer."""
    cell: Int64Array
    """(N, P) cells of the places, most probable place first, without repetition; -1 beyond the
    last."""
    latlon: Float64Array
    """(N, P, 2) degrees: the best place inside each of these cells."""
    probability: Float32Array
    """(N, P) calibrated probability that the photo was taken within 25 km; not ascending."""
    radii_km: Float32Array
    """(N, len(LEVELS)) calibrated radii around the answer."""
    confidence: list[Confidence]
    """(N,) the finest claim whose threshold is reached."""
    localisability: Float32Array
    """(N,) probability that the answer is right within 200 km."""
    region_limits: Float64Array
    """(N, len(LEVELS)) belief at which the credible regions end; see `Judge.region`."""
    several: BoolArray
    """(N,) whether the answer is one about several informative photos that agree."""
    calibrated: BoolArray
    """(N,) whether radii, claims and probabilities are calibrated for the question asked."""
    evidence: Float32Array
    """(N, EVIDENCE) input of the calibrated radii and claims."""
    place_evidence: Float32Array
    """(N, EVIDENCE) input of the calibrated probabilities: the evidence around the first place."""
    place_mass: Float32Array
    """(N, P) belief within 25 km of each place, uncalibrated."""
    features: Float32Array
    """(N, K) retrieval features."""
    source_weights: Float32Array
    """(N, SOURCES) weights of the sources; rows sum to 1."""
    agreement: Float32Array
    """(N,) probability that the photos of a group show one place; 1 for single photos."""
    contradictory: BoolArray
    """(N,) whether the photos of a group contradict each other."""
    neighbour: Int64Array
    """(N, k) most similar gallery photos, rows of the member table; -1 beyond the last."""
    similarity: Float32Array
    """(N, k) similarities of these photos, descending."""
    known: Int64Array
    """(N,) the gallery photo that a photo is a copy of, or whose scene it shows, and whose place is
    the answer; -1 for none. See `geoloc.answer.copies`."""
    is_copy: BoolArray
    """(N,) whether it is a copy of it."""


def nothing_known(count: int) -> dict[str, Any]:
    """Return the columns `known` and `is_copy` of a ranking before known photos are looked for."""
    return {"known": np.full(count, -1, np.int64), "is_copy": np.zeros(count, bool)}


def single_threaded_blas() -> AbstractContextManager[Any]:
    """Limit matrix products to one thread.

    BLAS threads spin briefly after each product, on the cores that encode the next photos.
    """
    return cast("AbstractContextManager[Any]", _thread_pools().limit(limits=1, user_api="blas"))


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()
