"""Stretches of photos without a known position: their posterior over candidate places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geocells.sphere import pairwise_km
from geoloc.trips.model import motion
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.places import CandidatePlaces, answer, propose, tempered
from geoloc.trips.model.smoothing import smooth
from geoloc.types import Float64Array

MOST_PHOTOS = 1000
"""Photos of one stretch; longer ones are cut at their longest gap."""

LONG_GAP_S = 14 * 86400.0
"""After so long nothing is known about the place of the next photo."""


@dataclass(frozen=True, eq=False)
class Known:
    """A position before or after a stretch."""

    latlon: Float64Array
    """(2,) degrees."""
    gap_s: float


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers for the N photos of a stretch."""

    latlon: Float64Array
    """(N, 2) degrees."""
    spread_km: Float64Array
    """(N, 3) uncalibrated; see `places.answer`."""
    log_evidence: float
    places: CandidatePlaces
    posterior: Float64Array
    """(N, S)"""

    def mass_near(self, latlon: Float64Array, km: float) -> Float64Array:
        """Return the share (N,) of the posterior that answers rest on, near points (N, 2)."""
        posterior = tempered(self.posterior)
        near = pairwise_km(latlon, self.places.latlon) <= km
        return np.asarray((posterior * near).sum(axis=1))


def cut(time_s: Float64Array) -> Iterator[slice]:
    """Yield slices of photos (N,) in order of time, none longer than MOST_PHOTOS."""
    gaps = np.diff(time_s)
    edges = [0, *(np.flatnonzero(gaps > LONG_GAP_S) + 1).tolist(), len(time_s)]
    waiting = list(pairwise(edges))[::-1]
    while waiting:
        start, end = waiting.pop()
        if end - start <= MOST_PHOTOS:
            yield slice(start, end)
            continue
        quarter = (end - start) // 4
        middle = start + quarter + int(np.argmax(gaps[start + quarter : end - quarter])) + 1
        waiting += [(middle, end), (start, middle)]


def locate(
    evidence: Evidence,
    time_s: Float64Array,
    parameters: TripParameters,
    before: Known | None = None,
    after: Known | None = None,
    exponent: Float64Array | None = None,
    near: Float64Array | None = None,
) -> Answers:
    """Smooth one stretch of N photos.

    Args:
        evidence: of the photos.
        time_s: (N,) ascending.
        parameters: of the model.
        before: the last known position, if any.
        after: the next known position, if any.
        exponent: (N,) of the evidence; None for that of these photos, see `Evidence.exponents`.
        near: (2,) degrees of a place that is possible whatever the pictures say.
    """
    if exponent is None:
        exponent = evidence.exponents(time_s, parameters.alpha)
    places = propose(evidence, exponent, near)
    likelihood = evidence.log_likelihood(places.cell, exponent, parameters.nowhere)
    step, gaps = motion.bins(np.diff(time_s))
    matrices = [
        motion.transition(places.distance_km, gap, places.prior, parameters, places.extent_km)
        for gap in gaps
    ]
    start = places.prior if before is None else _reached(places, before, parameters)
    end = None if after is None else _reaching(places, after, parameters)
    smoothed = smooth(likelihood, matrices, step, start, end)
    point, _, spread = answer(places, smoothed.posterior)
    return Answers(point, spread, smoothed.log_evidence, places, smoothed.posterior)


def _reached(places: CandidatePlaces, known: Known, parameters: TripParameters) -> Float64Array:
    """Return (S,) the probability of the places after a known position."""
    km = pairwise_km(known.latlon[None], places.latlon)
    one = motion.transition(km, known.gap_s, places.prior, parameters, places.extent_km)
    return np.asarray(one[0], np.float64)


def _reaching(places: CandidatePlaces, known: Known, parameters: TripParameters) -> Float64Array:
    """Return (S,) the likelihood of a known position after the places."""
    reached = _reached(places, known, parameters)
    return np.asarray(reached / places.prior, np.float64)
