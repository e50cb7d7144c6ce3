"""Weights of witnesses: how the evidence of each is tempered before it multiplies the belief.

Witness w reports likelihoods L(c). With probability `wrong` its report has nothing to do with the
place: the sign names a far town, the clock was left at home. The tempered likelihood is

    L'(c) = (1 - wrong) L(c)^exponent / Z + wrong,   Z = sum of prior(c) L(c)^exponent,

so that no witness excludes a cell, and the ratio of two cells is bounded. The more the photo itself
contradicts a witness, the less of the belief it moves; agreement makes both count in full.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.belief.fusion import logsumexp
from geoloc.errors import BundleError
from geoloc.observation import Observation, evidence_rows
from geoloc.types import Float32Array, Float64Array


@dataclass(frozen=True)
class Reliability:
    """How far one witness is trusted, fitted on collections that were held out."""

    exponent: float = 0.7
    """Of its likelihoods: below 1 where it is surer than it should be."""
    wrong: float = 0.1
    """Probability that its report has nothing to do with the place."""

    def temper(self, log_likelihood: Float32Array, prior: Float32Array) -> Float64Array:
        """Return log L' (C,) from log L (C,), with a mean likelihood of 1 under the prior (C,)."""
        scaled = self.exponent * log_likelihood.astype(np.float64)
        share = prior.astype(np.float64) / prior.sum(dtype=np.float64)
        with np.errstate(divide="ignore"):
            total = logsumexp(scaled + np.log(share))
        if not np.isfinite(total):  # impossible everywhere: the report is wrong
            return np.zeros(len(scaled))
        right = np.log1p(-self.wrong) + scaled - total
        return np.asarray(np.logaddexp(right, np.log(self.wrong)))


@dataclass(frozen=True)
class Weights:
    """The reliabilities of all witnesses."""

    reliability: Mapping[str, Reliability]
    """By name of the witness; others have the default reliability."""
    judge: Mapping[str, Any] | None = None
    """The `geoloc.answer.judge.Judge` of answers with witnesses, as plain values; None if it was
    not fitted."""

    def combine(
        self, observations: Sequence[Observation], prior: Float32Array, without: str = ""
    ) -> Float32Array:
        """Return the evidence (C,) of observations of one photo, or of photos of one place.

        Witnesses are independent of each other. Several reports of one witness are not, because
        one camera has one clock and one street one language: n of them count as the square root
        of n.

        Args:
            observations: those that are not counted are left out.
            prior: (C,) the world's photo density.
            without: name of a witness that is left out.
        """
        total = np.zeros(len(prior))
        for name, rows in evidence_rows(observations).items():
            if name == without:
                continue
            trusted = self.reliability.get(name, Reliability())
            total += sum(trusted.temper(row, prior) for row in rows) / np.sqrt(len(rows))
        return np.asarray(total, np.float32)

    def write(self, path: Path) -> None:
        """Write a JSON file."""
        values = {
            "reliability": {name: asdict(each) for name, each in self.reliability.items()},
            "judge": self.judge,
        }
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Weights:
        """Read a file that `write` wrote; raise BundleError if it is damaged."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            reliability = {n: Reliability(**each) for n, each in values["reliability"].items()}
            found = cls(reliability, values["judge"])
            usable = [0 < r.wrong < 1 and r.exponent >= 0 for r in found.reliability.values()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(
                f"{path}: no readable weights of witnesses ({error}); make the bundle again"
            ) from error
        if not all(usable):
            raise BundleError(f"{path}: a weight is out of range; make the bundle again")
        return found


UNFITTED = Weights({})
"""The default reliability for every witness: nothing was fitted."""
