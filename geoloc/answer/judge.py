"""`Judge`: calibrated radii, claims and probabilities for one kind of question."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from geoloc.answer.signals import EVIDENCE
from geoloc.guess import Confidence
from geoloc.types import BoolArray, Float32Array, Float64Array

LEVELS = ("50", "80", "95")
"""Coverage of the radii, in percent of photos."""

CLAIMS: tuple[Confidence, ...] = ("city", "region", "country")
"""Claims, finest first: right within 25 km, right within 200 km, the right country."""

CLAIM_KM = {"city": 25.0, "region": 200.0}

FARTHEST_KM = 20015.1
"""Half the Earth's circumference: the radius that always holds the truth."""


@dataclass(frozen=True)
class Radius:
    """Calibrated radius of one level: a quantile regression, then a conformal correction."""

    weights: tuple[float, ...]
    """Of the linear quantile regression of log km on the evidence vector."""
    predicted_km: tuple[float, ...]
    """Knots: predictions of the regression, ascending."""
    radius_km: tuple[float, ...]
    """Radius with the nominal coverage of held-out photos near each knot."""

    def __call__(self, evidence: Float32Array) -> Float32Array:
        """Return radii (N,) in km from evidence (N, EVIDENCE); log-linear between the knots."""
        predicted = evidence @ np.asarray(self.weights, np.float64)
        knots, values = np.log(self.predicted_km), np.log(self.radius_km)
        return np.asarray(np.exp(np.interp(predicted, knots, values)), np.float32)


@dataclass(frozen=True)
class Claim:
    """A statement about a photo, made if its probability reaches a threshold."""

    weights: tuple[float, ...]
    """Of a logistic regression on the evidence vector."""
    threshold: float
    """Smallest probability at which held-out photos were right often enough; above 1: never."""


@dataclass(frozen=True)
class PlaceProbability:
    """Probability that a photo was taken within 25 km of a place."""

    slope: float
    """Of the logit of the belief within 25 km of the place; positive."""
    weights: tuple[float, ...]
    """Of the evidence vector: a logistic regression."""

    def __call__(self, mass: Float32Array, evidence: Float32Array) -> Float32Array:
        """Return the probability (N, P) of places, which rises with the belief around them.

        Args:
            mass: (N, P) belief within 25 km of each place.
            evidence: (N, EVIDENCE).
        """
        offset = evidence @ np.asarray(self.weights, np.float64)
        logit = self.slope * mass_logits(mass) + offset[:, None]
        return np.asarray(1.0 / (1.0 + np.exp(-logit)), np.float32)


def mass_logits(mass: Float32Array) -> Float64Array:
    """Return the logits of beliefs, bounded."""
    share = np.clip(mass, 1e-4, 1.0 - 1e-4).astype(np.float64)
    logits: Float64Array = np.log(share) - np.log1p(-share)
    return logits


@dataclass(frozen=True)
class Judge:
    """Calibration of one kind of question, fitted on held-out questions of that kind."""

    region: dict[str, float]
    """By level: a cell belongs to the credible region if the more probable cells together hold at
    most this belief (conformal prediction; Romano et al. 2020)."""
    radius: dict[str, Radius]
    """By level."""
    claims: dict[str, Claim]
    """By claim."""
    place: PlaceProbability

    def radii_km(self, evidence: Float32Array) -> Float32Array:
        """Return radii (N, len(LEVELS)) in km, not decreasing along a row."""
        radii = np.stack([self.radius[name](evidence) for name in LEVELS], axis=1)
        return np.maximum.accumulate(radii, axis=1)

    def claim(self, evidence: Float32Array, allowed: BoolArray) -> list[Confidence]:
        """Return the finest claim (N,) whose threshold is reached, among those that are allowed.

        Args:
            evidence: (N, EVIDENCE).
            allowed: (N, len(CLAIMS)) False for a claim that follows from the question itself.
        """
        thresholds = np.asarray([self.claims[name].threshold for name in CLAIMS])
        made = (self._probabilities(evidence) >= thresholds) & allowed
        return [CLAIMS[int(np.argmax(row))] if row.any() else "not sure" for row in made]

    def localisability(self, evidence: Float32Array) -> Float32Array:
        """Return the probability (N,) that an answer is right within 200 km.

        Abstaining from the photos with the smallest values keeps the answers with the least risk.
        """
        return np.asarray(self._probabilities(evidence)[:, CLAIMS.index("region")], np.float32)

    def _probabilities(self, evidence: Float32Array) -> Float64Array:
        """Return the probability (N, len(CLAIMS)) that each claim is right."""
        weights = np.asarray([self.claims[name].weights for name in CLAIMS], np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-evidence @ weights.T)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Judge:
        """Return the judge of a dict made by `dataclasses.asdict`."""
        return cls(
            region={name: float(values["region"][name]) for name in LEVELS},
            radius={
                name: Radius(*(tuple(radius[field.name]) for field in fields(Radius)))
                for name, radius in values["radius"].items()
            },
            claims={
                name: Claim(tuple(claim["weights"]), float(claim["threshold"]))
                for name, claim in values["claims"].items()
            },
            place=PlaceProbability(
                float(values["place"]["slope"]), tuple(values["place"]["weights"])
            ),
        )


def limit_radii(
    radii_km: Float32Array, claims: list[Confidence], reach_km: Float32Array
) -> Float32Array:
    """Return radii (N, len(LEVELS)) that contradict neither the claim nor the constraint.

    A claim means that at least 8 of 10 such photos are right. Radii of 80 % coverage or less are
    therefore limited to the distance that is claimed.

    Args:
        radii_km: (N, len(LEVELS)).
        claims: (N,).
        reach_km: (N,) distance from the answer to the farthest point of the constraint.
    """
    claimed = np.array([CLAIM_KM.get(claim, np.inf) for claim in claims], np.float32)
    limited = radii_km.copy()
    at_most_80 = [int(name) <= 80 for name in LEVELS]
    limited[:, at_most_80] = np.minimum(limited[:, at_most_80], claimed[:, None])
    return np.asarray(np.minimum(limited, reach_km[:, None]), np.float32)


NEVER = 2.0
"""Threshold of a claim that is never made: no probability reaches it."""

UNCALIBRATED = Judge(
    region={name: int(name) / 100 for name in LEVELS},
    radius={name: Radius((0.0,) * EVIDENCE, (1.0,), (FARTHEST_KM,)) for name in LEVELS},
    claims={name: Claim((0.0,) * EVIDENCE, NEVER) for name in CLAIMS},
    place=PlaceProbability(1.0, (0.0,) * EVIDENCE),
)
"""No claims, radii of the whole Earth, and beliefs as probabilities: nothing was fitted."""
