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

    @classmethod
    def of(cls, calibration: Calibration, several: BoolArray, *, within: bool) -> Judges:
        """Return the judges of questions, all of them with or all of them without a constraint."""
        photo: Question = "photo within" if within else "photo"
        place: Question = "place within" if within else "place"
        fitted = [name in calibration.judges for name in (photo, place)]
        return cls(
            calibration.judge(photo),
            calibration.judge(place),
            several,
            np.where(several, fitted[1], fitted[0]),
        )

    def probability(self, mass: Float32Array, evidence: Float32Array) -> Float32Array:
        """Return the probability (N, P) that a photo was taken within 25 km of each place.

        Args:
            mass: (N, P) belief around each place.
            evidence: (N, EVIDENCE).
        """
        one, many = (judge.place(mass, evidence) for judge in (self.photo, self.place))
        return np.where(self.several[:, None], many, one)

    def localisability(self, evidence: Float32Array) -> Float32Array:
        """Return the probability (N,) that an answer is right within 200 km."""
        one, many = (judge.localisability(evidence) for judge in (self.photo, self.place))
        return np.where(self.several, many, one)

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
        return limit_radii(radii, claims, reach_km), claims

    def region_limits(self) -> Float64Array:
        """Return the belief (N, len(LEVELS)) at which the credible regions end."""
        one, many = (
            np.array([judge.region[name] for name in LEVELS]) for judge in (self.photo, self.place)
        )
        return np.where(self.several[:, None], many, one)


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
