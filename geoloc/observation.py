"""`Observation`: the evidence that one witness found in one photo or its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from geoloc.guess import Finding
from geoloc.types import Float32Array


@dataclass(frozen=True, eq=False)
class Observation:
    """What one witness found in a photo, and what that means for its place."""

    witness: str
    """Name of the witness: "text", "file", "sun"; its reliability is fitted under this name."""
    findings: tuple[Finding, ...]
    """What was found, for people."""
    log_likelihood: Float32Array | None = None
    """(C,) log-likelihood of the findings in each cell, up to a constant; 0 in every cell is no
    evidence. None if the findings are shown and are not evidence."""

    @property
    def counted(self) -> bool:
        """Whether the observation is evidence."""
        return self.log_likelihood is not None

    def shown_only(self) -> Observation:
        """Return the same findings, which are no evidence."""
        findings = tuple(replace(each, used=False) for each in self.findings)
        return replace(self, findings=findings, log_likelihood=None)

    @property
    def key(self) -> tuple[str, ...]:
        """Identify observations that say the same, such as two photos of one sign."""
        return (self.witness, *(f"{each.kind} {each.reading}" for each in self.findings))


def evidence_rows(observations: Iterable[Observation]) -> dict[str, list[Float32Array]]:
    """Return the log-likelihoods (C,) of each witness, those that say the same only once."""
    rows: dict[str, list[Float32Array]] = {}
    distinct = {each.key: each for each in observations}
    for each in distinct.values():
        if each.log_likelihood is not None and np.ptp(each.log_likelihood) > 0.0:
            rows.setdefault(each.witness, []).append(each.log_likelihood)
    return rows
