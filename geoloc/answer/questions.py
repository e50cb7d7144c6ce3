"""`Judges`: the calibration that belongs to each of N questions asked at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.answer.calibration import Calibration, Question
from geoloc.answer.judge import CLAIM_KM, CLAIMS, LEVELS, Judge, limit_radii
from geoloc.belief.fusion import ConstraintMask
from geoloc.guess import Confidence
from geoloc.types import BoolArray, Float32Array, Float64Array


@dataclass(frozen=True, eq=False)
class Judges:
    """The judges of N questions, which are about single photos or about several photos."""

    photo: Judge
    place: Judge
    several: BoolArray
    """(N,) whether a question is about several informative photos of one place."""
    calibrated: BoolArray
    """(N,) whether the judge of a question was fitted."""
    witness: Judge
    """Of questions with evidence of witnesses."""
    witnessed: BoolArray
    """(N,) whether a question has such evidence, and a judge was fitted for it. Its claims and
    probabilities are the smaller of those of both judges."""
    larger: BoolArray
    """(N,) whether its radii are the larger of both: the judge of witnesses was fitted on single
    photos without a constraint, whose radii are its own."""

    @classmethod
    def of(
        cls,
        calibration: Calibration,
        several: BoolArray,
        constraint: ConstraintMask | None,
        evidence: Float32Array | None = None,
    ) -> Judges:
        """Return the judges of N questions.

        Args:
            calibration: of the ranker.
            several: (N,) see `Judges.several`.
            constraint: of all of them.
            evidence: (N, C) of witnesses; rows of 0 have none.
        """
        witnessed, within = np.zeros(len(several), bool), constraint is not None
        if evidence is not None and "witness" in calibration.judges:
            witnessed = np.asarray(evidence.any(axis=1))
        photo: Question = "photo within" if within else "photo"
        place: Question = "place within" if within else "place"
        fitted = [name in calibration.judges for name in (photo, place)]
        return cls(
            calibration.judge(photo),
            calibration.judge(place),
            several,
            np.where(several, fitted[1], fitted[0]),
            calibration.judge("witness"),
            witnessed,
            several | within,
        )

    def probability(self, mass: Float32Array, evidence: Float32Array) -> Float32Array:
        """Return the probability (N, P) that a photo was taken within 25 km of each place.

        Args:
            mass: (N, P) belief around each place.
            evidence: (N, EVIDENCE).
        """
        one, many = (judge.place(mass, evidence) for judge in (self.photo, self.place))
        usual = np.where(self.several[:, None], many, one)
        told = np.minimum(self.witness.place(mass, evidence), usual)
        return np.where(self.witnessed[:, None], told, usual)

    def localisability(self, evidence: Float32Array) -> Float32Array:
        """Return the probability (N,) that an answer is right within 200 km."""
        one, many = (judge.localisability(evidence) for judge in (self.photo, self.place))
        usual = np.where(self.several, many, one)
        told = np.minimum(self.witness.localisability(evidence), usual)
        return np.where(self.witnessed, told, usual)

    def judge(
        self, evidence: Float32Array, allowed: BoolArray, reach_km: Float32Array
    ) -> tuple[Float32Array, list[Confidence]]:
        """Return radii (N, len(LEVELS)) in km and claims (N,).

        Args:
            evidence: (N, EVIDENCE).
            allowed: (N, len(CLAIMS)) claims that may be made.
            reach_km: (N,) distance from the answer to the farthest point of the constraint.
        """
        one, many = (judge.claim(evidence, allowed) for judge in (self.photo, self.place))
        claims = [
            b if several else a for a, b, several in zip(one, many, self.several, strict=True)
        ]
        one_km, many_km = (judge.radii_km(evidence) for judge in (self.photo, self.place))
        radii = np.where(self.several[:, None], many_km, one_km)
        if self.witnessed.any():
            told = self.witness.claim(evidence, allowed)
            claims = [
                coarser(a, b) if witnessed else a
                for a, b, witnessed in zip(claims, told, self.witnessed, strict=True)
            ]
            told_km = self.witness.radii_km(evidence)
            told_km = np.where(self.larger[:, None], np.maximum(told_km, radii), told_km)
            radii = np.where(self.witnessed[:, None], told_km, radii)
        return limit_radii(radii, claims, reach_km), claims

    def region_limits(self) -> Float64Array:
        """Return the belief (N, len(LEVELS)) at which the credible regions end."""
        one, many = (
            np.array([judge.region[name] for name in LEVELS]) for judge in (self.photo, self.place)
        )
        return np.where(self.several[:, None], many, one)


def coarser(first: Confidence, second: Confidence) -> Confidence:
    """Return the coarser of two claims; "not sure" is the coarsest."""
    order: tuple[Confidence, ...] = (*CLAIMS, "not sure")
    return max(first, second, key=order.index)


def claim_limits(
    constraint: ConstraintMask | None, country: npt.NDArray[np.str_], answer: Float64Array
) -> tuple[Float32Array, BoolArray]:
    """Return how far the constraint reaches from each answer, and the claims that may be made.

    A claim that follows from the constraint itself is none.

    Args:
        constraint: None for none.
        country: (C,) country of each cell.
        answer: (N, 2) degrees.

    Returns:
        (N,) km and (N, len(CLAIMS)).
    """
    claimable = np.ones((len(answer), len(CLAIMS)), bool)
    if constraint is None:
        return np.full(len(answer), np.inf, np.float32), claimable
    reach = constraint.reach_km(answer)
    for column, claim in enumerate(CLAIMS):
        if claim == "country":
            claimable[:, column] = len(set(country[constraint.share > 0.0])) > 1
        else:
            claimable[:, column] = reach > CLAIM_KM[claim]
    return reach, claimable
