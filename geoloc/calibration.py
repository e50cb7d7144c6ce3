"""Honesty: how much to trust each source, how wide the radius, and what may be claimed.

`training.calibrate` fits these few numbers on photos that the heads and members never saw.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.encoder import FloatArray
from geoloc.errors import BundleError
from geoloc.guess import Confidence
from geoloc.heads import softmax

LEVELS = ("50", "80", "95")
"""Percent of photos whose truth a radius holds."""

CLAIMS: tuple[Confidence, ...] = ("city", "region", "country")
"""What may be claimed, finest first: right within 25 km, within 200 km, the right country."""

CLAIM_KM = {"city": 25.0, "region": 200.0}

SIGNALS = 7
"""Number of signals a photo is judged by; see `signals`."""


def signals(classifier: FloatArray, votes: FloatArray, similarity: FloatArray) -> FloatArray:
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


def _entropy(belief: FloatArray) -> FloatArray:
    return np.asarray(-(belief * np.log(belief + 1e-9)).sum(axis=1), np.float32)


@dataclass(frozen=True)
class RadiusTable:
    """Calibrated radius as a function of the spread of the belief: a monotone line in logs."""

    spread_km: tuple[float, ...]
    """Knots: uncalibrated radii, ascending."""
    radius_km: tuple[float, ...]
    """Radius at each knot that held the truth for the wanted share of held-out photos."""

    def __call__(self, spread_km: npt.ArrayLike) -> FloatArray:
        """Calibrated radii in km for uncalibrated ones; constant beyond the outer knots."""
        knots, values = np.log(self.spread_km), np.log(self.radius_km)
        spread = np.maximum(np.asarray(spread_km, np.float64), 1e-3)
        return np.asarray(np.exp(np.interp(np.log(spread), knots, values)), np.float32)


@dataclass(frozen=True)
class Claim:
    """When a statement about a photo may be made."""

    weights: tuple[float, ...]
    """Of a logistic regression on the claim features; see `claim_features`."""
    threshold: float
    """Least probability at which held-out photos were right often enough; over 1: never."""


@dataclass(frozen=True)
class Calibration:
    """All that was fitted on held-out photos."""

    sharpness: float
    """Votes of neighbours weigh exp(sharpness * similarity)."""
    gate: tuple[tuple[float, ...], ...]
    """(SIGNALS, 3): logits of the weights of prior, classifier and votes."""
    radius: dict[str, RadiusTable]
    """By level."""
    claims: dict[str, Claim]
    """By claim."""

    def source_weights(self, signal: FloatArray) -> FloatArray:
        """(N, SIGNALS) -> (N, 3), rows sum to 1."""
        return softmax(signal @ np.asarray(self.gate, np.float32))

    def radii_km(self, spread_km: FloatArray) -> FloatArray:
        """Calibrated radii of LEVELS.

        Args:
            spread_km: (N, len(LEVELS)) uncalibrated.

        Returns:
            (N, len(LEVELS)), not decreasing along a row.
        """
        columns = [self.radius[name](spread_km[:, i]) for i, name in enumerate(LEVELS)]
        return np.maximum.accumulate(np.stack(columns, axis=1), axis=1)

    def chances(self, features: FloatArray) -> FloatArray:
        """Probability (N, len(CLAIMS)) that each claim would be right, from `claim_features`."""
        weights = np.asarray([self.claims[name].weights for name in CLAIMS], np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-features @ weights.T)), np.float32)

    def confidence(self, features: FloatArray) -> list[Confidence]:
        """The finest claim each photo allows."""
        thresholds = np.array([self.claims[name].threshold for name in CLAIMS])
        allowed = self.chances(features) >= thresholds
        return [CLAIMS[int(np.argmax(row))] if row.any() else "not sure" for row in allowed]

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
            sharpness=float(values["sharpness"]),
            gate=tuple(tuple(row) for row in values["gate"]),
            radius={
                name: RadiusTable(tuple(table["spread_km"]), tuple(table["radius_km"]))
                for name, table in values["radius"].items()
            },
            claims={
                name: Claim(tuple(claim["weights"]), float(claim["threshold"]))
                for name, claim in values["claims"].items()
            },
        )


def claim_features(
    signal: FloatArray, weights: FloatArray, mass: FloatArray, country_mass: FloatArray
) -> FloatArray:
    """What the claims are judged by.

    Args:
        signal: (N, SIGNALS).
        weights: (N, 3) trust in prior, classifier and votes.
        mass: (N, 2) belief within the distances of CLAIM_KM of the answer.
        country_mass: (N,) belief in the cells of the answer's country.

    Returns:
        (N, SIGNALS + 6).
    """
    shares = np.column_stack([mass, country_mass])
    logits = np.log(shares + 1e-3) - np.log1p(1e-3 - np.minimum(shares, 1.0))
    return np.column_stack([signal, weights, logits]).astype(np.float32)
