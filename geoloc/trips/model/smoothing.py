"""Exact forward-backward smoothing over a sparse set of places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.types import Float64Array, IndexArray

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The posterior of a chain of N photos over S places."""

    posterior: Float64Array
    """(N, S) rows sum to 1."""
    log_evidence: float
    """Logarithm of the probability of all observations, to compare models of one chain."""


def smooth(
    log_likelihood: Float64Array,
    transitions: Sequence[Float64Array],
    step: IndexArray,
    start: Float64Array,
    end: Float64Array | None = None,
) -> Smoothed:
    """Return the posterior of every photo given all photos (Baum et al. 1970; Rabiner 1989).

    Time is O(N S²) and memory O(N S).

    Args:
        log_likelihood: (N, S) of each photo in each place.
        transitions: (S, S) matrices, rows sum to 1: probability of the next place.
        step: (N - 1,) the transition between each photo and the next.
        start: (S,) probability of the first place.
        end: (S,) likelihood of what follows the last photo; None for nothing.
    """
    peak = log_likelihood.max(axis=1, keepdims=True)
    likelihood = np.exp(log_likelihood - peak)
    forward, backward = np.empty_like(likelihood), np.empty_like(likelihood)
    log_evidence = float(peak.sum())
    belief = start
    for row in range(len(likelihood)):
        if row:
            belief = forward[row - 1] @ transitions[step[row - 1]]
        belief = belief * likelihood[row]
        total = max(float(belief.sum()), TINY)
        log_evidence += np.log(total)
        forward[row] = belief / total
    message = np.ones_like(start) if end is None else end / max(float(end.max()), TINY)
    log_evidence += float(np.log(max(float(forward[-1] @ message), TINY)))
    for row in range(len(likelihood) - 1, -1, -1):
        backward[row] = message
        if row:
            message = transitions[step[row - 1]] @ (likelihood[row] * message)
            message = message / max(float(message.max()), TINY)
    posterior = forward * backward
    total_mass = posterior.sum(axis=1, keepdims=True)
    posterior = np.where(total_mass > 0.0, posterior / np.maximum(total_mass, TINY), forward)
    return Smoothed(posterior, log_evidence)
