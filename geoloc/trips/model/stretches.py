"""Stretches of photos without a known position: their posterior over places, and its worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geocells.sphere import pairwise_km
from geoloc.answer.judge import FARTHEST_KM
from geoloc.trips.model import motion
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import RADIUS_FEATURES, TripParameters
from geoloc.trips.model.places import CandidatePlaces, answer, propose, tempered
from geoloc.trips.model.smoothing import smooth
from geoloc.types import BoolArray, Float64Array

MOST_PHOTOS = 1000
"""Photos of one stretch; longer ones are cut at their longest gap."""

LONG_GAP_S = 14 * 86400.0
"""After so long nothing is known about the place of the next photo."""

STAY_GAP_S = 8 * 3600.0
"""After so long a photo may have been taken at another place."""

CONTINENT_KM, HALF_KM = 2500.0, 10_007.5
"""Photos whose 80 % radius alone is larger than the first do not know their continent: known
positions are believed before they are. A circle of the second holds half the Earth; see `lost`."""


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


def unknown(alone_km: Float64Array) -> BoolArray:
    """Return which photos (N,) do not know their continent, by their 80 % radii alone."""
    return told(alone_km) & (alone_km > CONTINENT_KM)


def lost(alone_km: Float64Array, spread_km: Float64Array) -> BoolArray:
    """Return which photos (N,) do not know their continent alone, and not together either.

    Agreement is no proof: photos of a country that the bundle does not know can agree on a wrong
    one. Of journeys that the models never saw, all that this rule does not call lost were placed on
    the right continent, and 3 in 5 of those that it does.

    Args:
        alone_km: (N,) 80 % radii of the photos of the stay alone.
        spread_km: (N,) distance that holds as much of the posterior of the journey.
    """
    return unknown(alone_km) & ((alone_km > HALF_KM) | (spread_km > CONTINENT_KM))


def of_stays(time_s: Float64Array, evidence: Evidence) -> Float64Array:
    """Return the radii (N, 3) of the median photo alone of each stay.

    A photo of which a witness said something, as of a sign, has its own if they are smaller.
    """
    alone_km, middle = evidence.radii_km, np.zeros((len(time_s), 3))
    ends = np.flatnonzero(np.diff(time_s) > STAY_GAP_S) + 1
    for rows in np.split(np.arange(len(time_s)), ends):
        middle[rows] = np.median(alone_km[rows], axis=0)
    if evidence.stated is not None:
        said = np.ptp(evidence.stated, axis=1) > 0.0
        middle[said] = np.minimum(middle[said], alone_km[said])
    return middle


def told(radii_km: Float64Array) -> BoolArray:
    """Return which radii say something; a bundle without calibration has the largest for all."""
    return np.asarray(radii_km < np.float32(FARTHEST_KM))


def guessed_features(answers: Answers, alone_km: Float64Array) -> Float64Array:
    """Return (N, 3, RADIUS_FEATURES): 1, log km of the spread, log km of the photos alone.

    Args:
        answers: for N photos.
        alone_km: (N, 3) radii of the photos of their stays alone: where these know little, as of a
            country that the bundle does not know, the photos may agree on a wrong place.
    """
    features = np.zeros((len(answers.latlon), 3, RADIUS_FEATURES))
    features[:, :, 0] = 1.0
    features[:, :, 1] = np.log(answers.spread_km + 2.0)
    known = told(alone_km)
    features[:, :, 2] = np.log(np.where(known, np.maximum(alone_km, 1.0), answers.spread_km + 2.0))
    return features
