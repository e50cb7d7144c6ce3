"""Calibration: source weights, radii and claim thresholds.

`training.calibrate.fit` fits these few parameters on photos held out from heads and gallery.
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
from geoloc.retrieval.pigeon import Refinement
from geoloc.retrieval.reranker import Reranker
from geoloc.types import Float32Array, Float64Array

LEVELS = ("50", "80", "95")
"""Coverage of the radii, in percent of photos."""

CLAIMS: tuple[Confidence, ...] = ("city", "region", "country")
"""Claims, finest first: right within 25 km, right within 200 km, the right country."""

CLAIM_KM = {"city": 25.0, "region": 200.0}

SIGNALS = 7
"""Number of signals of a photo, see `signals`."""

EVIDENCE = SIGNALS + 11
"""Length of the evidence vector of a photo, see `evidence_vectors`."""


def signals(
    classifier: Float32Array, votes: Float32Array, similarity: Float32Array
) -> Float32Array:
    """Return the signals that the weights of the sources depend on.

    Args:
        classifier: (N, C) belief of the geocell head.
        votes: (N, C) belief of the nearest clusters.
        similarity: (N, k) of the nearest clusters, descending.

    Returns:
        (N, SIGNALS) float32 of order 1: a constant, the similarity of the first and of the tenth
        cluster, the entropies of classifier and votes, the classifier's largest probability, and
        the inner product of classifier and votes.
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
class Calibration:
    """All parameters fitted on held-out photos."""

    temperature: float
    """Divides the classifier's logits."""
    sharpness: float
    """The votes of the nearest clusters have weights exp(sharpness * similarity)."""
    gate: tuple[tuple[float, ...], ...]
    """(SIGNALS, 3) linear map to the logits of the weights of prior, classifier and votes."""
    reranker: Reranker
    """Scores the candidates."""
    region: dict[str, float]
    """By level: a cell belongs to the credible region if the more probable cells together hold at
    most this belief (conformal prediction; Romano et al. 2020)."""
    radius: dict[str, Radius]
    """By level."""
    claims: dict[str, Claim]
    """By claim."""
    refinement: Refinement | None = None
    """PIGEON's refinement, as published, which answers instead of the re-ranker if given."""

    def source_weights(self, signal: Float32Array) -> Float32Array:
        """Return the weights (N, 3) of prior, classifier and votes from signals (N, SIGNALS)."""
        return softmax(signal @ np.asarray(self.gate, np.float32))

    def judge(self, evidence: Float32Array) -> tuple[Float32Array, list[Confidence]]:
        """Return calibrated radii, and the finest claim that each photo allows.

        A claim means that at least 8 of 10 such photos are right. Radii of 80 % coverage or less
        are therefore limited to the distance that is claimed.

        Args:
            evidence: (N, EVIDENCE).

        Returns:
            Radii (N, len(LEVELS)) in km, not decreasing along a row, and claims (N,).
        """
        radii = np.stack([self.radius[name](evidence) for name in LEVELS], axis=1)
        radii = np.maximum.accumulate(radii, axis=1)
        claims = self._claims(evidence)
        limit = np.array([CLAIM_KM.get(claim, np.inf) for claim in claims], np.float32)
        at_most_80 = [int(name) <= 80 for name in LEVELS]
        radii[:, at_most_80] = np.minimum(radii[:, at_most_80], limit[:, None])
        return radii, claims

    def localisability(self, evidence: Float32Array) -> Float32Array:
        """Return the probability (N,) that an answer is right within 200 km.

        Abstaining from the photos with the smallest values keeps the answers with the least risk.

        Args:
            evidence: (N, EVIDENCE).
        """
        return np.asarray(self._probabilities(evidence)[:, CLAIMS.index("region")], np.float32)

    def _probabilities(self, evidence: Float32Array) -> Float64Array:
        """Return the probability (N, len(CLAIMS)) that each claim is right."""
        weights = np.asarray([self.claims[name].weights for name in CLAIMS], np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-evidence @ weights.T)))

    def _claims(self, evidence: Float32Array) -> list[Confidence]:
        thresholds = np.asarray([self.claims[name].threshold for name in CLAIMS])
        return [
            CLAIMS[int(np.argmax(allowed))] if allowed.any() else "not sure"
            for allowed in self._probabilities(evidence) >= thresholds
        ]

    def write(self, path: Path) -> None:
        """Write a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read a file that `write` wrote; raise BundleError if it is damaged."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path}: not a readable calibration ({error}); fetch or make the bundle again"
            ) from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Return the calibration of a dict made by `dataclasses.asdict`."""
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
            refinement=Refinement(**refined) if (refined := values.get("refinement")) else None,
        )


def evidence_vectors(
    signal: Float32Array, weights: Float32Array, mass: Float32Array, spread_km: Float32Array
) -> Float32Array:
    """Return the evidence vectors, the input of the calibrated radii and claims.

    Args:
        signal: (N, SIGNALS).
        weights: (N, 3) of prior, classifier and votes.
        mass: (N, 5) belief within the two distances of CLAIM_KM around the answer, belief in its
            country, and votes of the nearest clusters within the two distances.
        spread_km: (N, len(LEVELS)) radii that contain these shares of the belief.

    Returns:
        (N, EVIDENCE) float32 of order 1, with masses as logits and spreads as logarithms.
    """
    share = np.clip(mass, 0.0, 1.0)
    logits = np.log(share + 1e-3) - np.log1p(1e-3 - share)
    return np.column_stack([signal, weights, logits, np.log(spread_km + 1.0)]).astype(np.float32)
