"""Honesty: how much to trust each source, how wide the radius, and what may be claimed.

`training.calibrate.fit` fits these few numbers on photos that the heads and members never saw.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.belief.heads import softmax
from geoloc.errors import BundleError
from geoloc.guess import Confidence
from geoloc.retrieval.reranker import Reranker
from geoloc.types import Float32Array, Float64Array

LEVELS = ("50", "80", "95")
"""Percent of photos whose truth a radius holds."""

CLAIMS: tuple[Confidence, ...] = ("city", "region", "country")
"""What may be claimed, finest first: right within 25 km, within 200 km, the right country."""

CLAIM_KM = {"city": 25.0, "region": 200.0}

SIGNALS = 7
"""Length of what `signals` returns for a photo."""

EVIDENCE = SIGNALS + 11
"""Length of what `evidence` returns for a photo."""


def signals(
    classifier: Float32Array, votes: Float32Array, similarity: Float32Array
) -> Float32Array:
    """What tells a photo of a known place from one of an unknown place.

    Args:
        classifier: (N, C) belief of the geocell head.
        votes: (N, C) belief of the neighbours.
        similarity: (N, k) of the neighbours, descending.

    Returns:
        (N, SIGNALS) float32 of order 1: a constant, similarity of the first and of the tenth
        neighbour, entropy of classifier and votes, the classifier's top probability, agreement.
    """
    tenth = min(9, similarity.shape[1] - 1)
    columns = [
        np.ones(len(classifier)),
        5.0 * similarity[:, 0],
        5.0 * similarity[:, tenth],
        _entropy(classifier),
        _entropy(votes),
        3.0 * classifier.max(axis=1),
        3.0 * (classifier * votes).sum(axis=1),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _entropy(belief: Float32Array) -> Float32Array:
    return np.asarray(-(belief * np.log(belief + 1e-9)).sum(axis=1), np.float32)


@dataclass(frozen=True)
class Radius:
    """Calibrated radius of one level: a regression of the distance's quantile, then conformal."""

    weights: tuple[float, ...]
    """Of the linear quantile regression of log km on the evidence."""
    predicted_km: tuple[float, ...]
    """Knots: what the regression said, ascending."""
    radius_km: tuple[float, ...]
    """The radius that held the truth of the wanted share of held-out photos near each knot."""

    def __call__(self, evidence: Float32Array) -> Float32Array:
        """Radii (N,) in km from evidence (N, EVIDENCE); a line in logs between the knots."""
        predicted = evidence @ np.asarray(self.weights, np.float64)
        knots, values = np.log(self.predicted_km), np.log(self.radius_km)
        return np.asarray(np.exp(np.interp(predicted, knots, values)), np.float32)


@dataclass(frozen=True)
class Claim:
    """When a statement about a photo may be made."""

    weights: tuple[float, ...]
    """Of a logistic regression on the evidence."""
    threshold: float
    """Least probability at which held-out photos were right often enough; over 1: never."""


@dataclass(frozen=True)
class Calibration:
    """All that was fitted on held-out photos."""

    temperature: float
    """The classifier's logits are divided by it."""
    sharpness: float
    """Votes of similar clusters weigh exp(sharpness * similarity)."""
    gate: tuple[tuple[float, ...], ...]
    """(SIGNALS, 3): logits of the weights of prior, classifier and votes."""
    reranker: Reranker
    """Which candidate is the answer."""
    region: dict[str, float]
    """By level: a cell belongs to the credible region if the more probable cells together hold at
    most this belief (conformal; Romano et al. 2020)."""
    radius: dict[str, Radius]
    """By level."""
    claims: dict[str, Claim]
    """By claim."""

    def source_weights(self, signal: Float32Array) -> Float32Array:
        """(N, SIGNALS) -> (N, 3), rows sum to 1."""
        return softmax(signal @ np.asarray(self.gate, np.float32))

    def judge(self, evidence: Float32Array) -> tuple[Float32Array, list[Confidence]]:
        """How far off the answers may be, and what may be claimed.

        A claim says that at least 8 of 10 such photos are right, so that no radius of 80 % or less
        is wider than what is claimed.

        Args:
            evidence: (N, EVIDENCE).

        Returns:
            Radii (N, len(LEVELS)) in km, not decreasing along a row, and the finest claim that each
            photo allows.
        """
        radii = np.stack([self.radius[name](evidence) for name in LEVELS], axis=1)
        radii = np.maximum.accumulate(radii, axis=1)
        claims = self._claims(evidence)
        limit = np.array([CLAIM_KM.get(claim, np.inf) for claim in claims], np.float32)
        at_most_80 = [int(name) <= 80 for name in LEVELS]
        radii[:, at_most_80] = np.minimum(radii[:, at_most_80], limit[:, None])
        return radii, claims

    def localisability(self, evidence: Float32Array) -> Float32Array:
        """Chance (N,) that an answer is right within 200 km, from evidence (N, EVIDENCE).

        What the photo itself tells of its place; abstaining where it is least leaves the answers
        with the least risk.
        """
        return np.asarray(self._chances(evidence)[:, CLAIMS.index("region")], np.float32)

    def _chances(self, evidence: Float32Array) -> Float64Array:
        """Probability (N, len(CLAIMS)) that each claim is right."""
        weights = np.asarray([self.claims[name].weights for name in CLAIMS], np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-evidence @ weights.T)))

    def _claims(self, evidence: Float32Array) -> list[Confidence]:
        thresholds = np.asarray([self.claims[name].threshold for name in CLAIMS])
        return [
            CLAIMS[int(np.argmax(allowed))] if allowed.any() else "not sure"
            for allowed in self._chances(evidence) >= thresholds
        ]

    def write(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read what `write` wrote; raises BundleError."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path}: no readable calibration ({error}); fetch or make the bundle again"
            ) from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """The inverse of `dataclasses.asdict`."""
        return cls(
            temperature=float(values["temperature"]),
            sharpness=float(values["sharpness"]),
            gate=tuple(tuple(row) for row in values["gate"]),
            reranker=Reranker(tuple(tuple(row) for row in values["reranker"]["weights"])),
            region={name: float(values["region"][name]) for name in LEVELS},
            radius={
                name: Radius(*(tuple(radius[field.name]) for field in fields(Radius)))
                for name, radius in values["radius"].items()
            },
            claims={
                name: Claim(tuple(claim["weights"]), float(claim["threshold"]))
                for name, claim in values["claims"].items()
            },
        )


def evidence(
    signal: Float32Array, weights: Float32Array, mass: Float32Array, spread_km: Float32Array
) -> Float32Array:
    """All that radius and claims are judged by.

    Args:
        signal: (N, SIGNALS).
        weights: (N, 3) trust in prior, classifier and votes.
        mass: (N, 5) belief within the two distances of CLAIM_KM of the answer and in its country,
            and the share of the neighbours' votes within these distances.
        spread_km: (N, len(LEVELS)) radii that hold these shares of the belief.

    Returns:
        (N, EVIDENCE) float32 of order 1; masses as logits, spreads as logarithms.
    """
    share = np.clip(mass, 0.0, 1.0)
    logits = np.log(share + 1e-3) - np.log1p(1e-3 - share)
    return np.column_stack([signal, weights, logits, np.log(spread_km + 1.0)]).astype(np.float32)
