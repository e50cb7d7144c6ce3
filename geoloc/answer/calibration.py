"""Calibration: the few parameters that `training.calibrate` fits on held-out photos."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geoloc.answer.judge import UNCALIBRATED, Judge
from geoloc.answer.signals import SIGNALS
from geoloc.belief.heads import softmax
from geoloc.errors import BundleError
from geoloc.retrieval.frames import Frames
from geoloc.retrieval.pigeon import Refinement
from geoloc.retrieval.reranker import Reranker
from geoloc.types import Float32Array, Float64Array

Question = Literal["photo", "photo within", "place", "place within", "witness"]
"""A single photo or several photos of one place, anywhere or within a constraint; and any of these
with evidence of witnesses, which may be mistaken."""


@dataclass(frozen=True)
class Consensus:
    """How several photos of one place are combined."""

    correlation: float = 1.0
    """0..1, of the errors of photos of one place: photos of one photographer err together. 1: many
    photos have the evidence of one, their mean; 0: each adds its own."""
    same_place: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Logistic regression of "all photos show one place"; see `geoloc.answer.together`."""
    sizes: tuple[float, ...] = (1.0,)
    """Numbers of informative photos, ascending from 1."""
    threshold: tuple[float, ...] = (-1e9,)
    """By size: score below which photos contradict each other, with 5 % false alarms."""

    def exponents(self, photos: Float32Array) -> Float64Array:
        """Return the exponent (G,) of each photo's likelihood in groups of so many (G,).

        The photos together have the evidence of n / (1 + (n - 1) correlation) independent ones
        (Kish's design effect), which is never more than 1 / correlation.
        """
        return np.asarray(1.0 / (1.0 + (photos.astype(np.float64) - 1.0) * self.correlation))

    def thresholds(self, photos: Float32Array) -> Float64Array:
        """Return the thresholds (G,) of `same_place` for groups of so many photos (G,)."""
        return _interpolate(photos, self.sizes, self.threshold)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Consensus:
        """Return the consensus of a dict made by `dataclasses.asdict`."""
        return cls(
            float(values["correlation"]),
            *(tuple(map(float, values[name])) for name in ("same_place", "sizes", "threshold")),
        )


def _interpolate(
    photos: Float32Array, sizes: tuple[float, ...], values: tuple[float, ...]
) -> Float64Array:
    """Interpolate values in the logarithm of the size; beyond the last size they stay."""
    return np.asarray(np.interp(np.log(np.maximum(photos, 1.0)), np.log(sizes), values))


@dataclass(frozen=True)
class Calibration:
    """All parameters fitted on held-out photos."""

    temperature: float
    """Divides the classifier's logits."""
    sharpness: float
    """The votes of the nearest clusters have weights exp(sharpness * similarity)."""
    gate: tuple[tuple[float, ...], ...]
    """(SIGNALS, SOURCES) linear map to the logits of the weights of the sources."""
    reranker: Reranker
    """Scores the candidates."""
    judges: dict[Question, Judge] = field(default_factory=dict)
    """By question; a question without a judge is answered uncalibrated."""
    consensus: Consensus = Consensus()
    copy_chance: float = 0.99
    """Probability that a photo found to be a copy was taken where the known photo was."""
    frames: Frames | None = None
    """Recognition of frames of known scenes; None: none are recognised."""
    refinement: Refinement | None = None
    """PIGEON's refinement, as published, whose place is the answer if it is given."""

    def source_weights(self, signal: Float32Array) -> Float32Array:
        """Return the weights (N, SOURCES) of the sources from signals (N, SIGNALS)."""
        return softmax(signal @ np.asarray(self.gate, np.float32))

    def judge(self, question: Question) -> Judge:
        """Return the judge of a question; that of nothing if there is none."""
        return self.judges.get(question, UNCALIBRATED)

    def with_witnesses(self, values: Mapping[str, Any] | None) -> Calibration:
        """Return the calibration with the judge of answers with witnesses, from plain values.

        Raises:
            BundleError: they are no judge.
        """
        if values is None:
            return self
        try:
            judge = Judge.from_dict(dict(values))
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"witnesses.json: no judge ({error}); make it again") from error
        return replace(self, judges={**self.judges, "witness": judge})

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
        gate = tuple(tuple(row) for row in values["gate"])
        if len(gate) != SIGNALS:
            raise ValueError(f"{len(gate)} signals, expected {SIGNALS}")
        return cls(
            temperature=float(values["temperature"]),
            sharpness=float(values["sharpness"]),
            gate=gate,
            reranker=Reranker(tuple(tuple(row) for row in values["reranker"]["weights"])),
            judges={name: Judge.from_dict(judge) for name, judge in values["judges"].items()},
            consensus=Consensus.from_dict(values["consensus"]),
            copy_chance=float(values["copy_chance"]),
            frames=Frames.from_dict(found) if (found := values["frames"]) else None,
            refinement=Refinement(**refined) if (refined := values.get("refinement")) else None,
        )
