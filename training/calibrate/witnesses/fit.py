"""Fit of witnesses on photos of collections that their rankers never saw.

The reliability of a witness maximises the belief near the true place. The judge of answers with
witnesses is fitted on answers whose evidence is mistaken as often as MISTAKEN says, so that a wrong
sign or clock is within what radii and claims expect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np

from geoloc.answer.judge import UNCALIBRATED, Judge
from geoloc.belief.fusion import update_rows
from geoloc.belief.witnesses.weighing import Reliability, Weights
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.calibrate.answers import Answers, record, unanswered
from training.calibrate.heldout import HeldOut
from training.calibrate.questions import every_photo
from training.calibrate.scoring import labels_near
from training.calibrate.witnesses.simulated import Simulated

EXPONENTS = (0.25, 0.5, 0.7, 0.85, 1.0)
WRONG = (0.02, 0.05, 0.1, 0.2, 0.35)

LEAST_GAIN = 0.005
"""Nats that a larger exponent must gain to be chosen: too sure is worse than too unsure."""

MISTAKEN = 0.2
"""Share of mistakes in simulated evidence that calibration is fitted for."""


@dataclass(frozen=True, eq=False)
class Believed:
    """What held-out photos are believed to show before any witness."""

    held_out: HeldOut
    belief: Float32Array
    """(N, C)"""
    near: Float32Array
    """(N, C) labels near the truth."""

    @classmethod
    def of(cls, held_out: HeldOut) -> Believed:
        """Compute the beliefs of N photos, each by its ranker."""
        shape = len(held_out), len(held_out.rankers[0].cells)
        belief, near = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for ranker, rows in held_out.batches():
            sources = ranker.sources(
                held_out.embeddings[rows], None, held_out.left_out(ranker, rows)
            )
            belief[rows] = ranker.believe(sources)
            near[rows] = labels_near(held_out.latlon[rows], ranker)
        return cls(held_out, belief, near)

    def log_belief(self, evidence: Simulated, reliability: Reliability) -> Float64Array:
        """Return the log of the belief near the truth, in nats, of each photo with evidence."""
        index = np.flatnonzero(evidence.log_likelihood.any(axis=1))
        told = tempered(evidence.log_likelihood[index], reliability, self._prior)
        after = (update_rows(self.belief[index], told) * self.near[index]).sum(axis=1)
        return np.asarray(np.log(after.astype(np.float64) + 1e-9))

    @property
    def _prior(self) -> Float32Array:
        return self.held_out.rankers[0].heads.prior


def tempered(
    log_likelihood: Float32Array, reliability: Reliability, prior: Float32Array
) -> Float32Array:
    """Return tempered evidence (N, C); rows without evidence stay 0."""
    rows = [
        reliability.temper(row, prior) if np.ptp(row) > 0.0 else np.zeros(len(prior))
        for row in log_likelihood
    ]
    return np.asarray(np.reshape(rows, log_likelihood.shape), np.float32)


def fit_reliability(believed: Believed, evidence: Simulated) -> Reliability:
    """Return the reliability under which photos are believed where they are.

    Of those that are as good as the best within LEAST_GAIN, the least sure one is chosen.
    """
    options = [Reliability(e, w) for e, w in product(EXPONENTS, WRONG)]
    value = np.array([believed.log_belief(evidence, each).mean() for each in options])
    good = np.flatnonzero(value >= value.max() - LEAST_GAIN)
    return min((options[i] for i in good), key=lambda each: (each.exponent, -each.wrong))


def answers_with(
    held_out: HeldOut, evidence: Float32Array, rows: IndexArray | None = None
) -> Answers:
    """Answer questions about single photos with tempered evidence (N, C) of witnesses."""
    asked = every_photo(held_out)
    result = unanswered(held_out, asked)
    for ranker, index in held_out.batches():
        ranking = ranker.rank(
            held_out.embeddings[index], None, held_out.left_out(ranker, index),
            evidence=evidence[index],
        )  # fmt: skip
        record(result, index, ranker, None, ranking, held_out.latlon[index])
    return result if rows is None else result.take(rows)


def fit_weights(
    held_out: HeldOut,
    evidence: Sequence[Simulated],
    known: Mapping[str, Reliability] | None = None,
) -> Weights:
    """Return the reliability of each witness, and the judge of answers with any of them.

    Args:
        held_out: N photos, whose rankers are calibrated for single photos.
        evidence: of witnesses, for all N photos; rows of 0 for photos without.
        known: reliabilities that were fitted on other photos.
    """
    believed, known = Believed.of(held_out), known or {}
    reliability = {
        each.witness: known.get(each.witness) or fit_reliability(believed, each)
        for each in evidence
    }
    return replace(Weights(reliability), judge=asdict(fit_judge(held_out, evidence, reliability)))


def fit_judge(
    held_out: HeldOut, evidence: Sequence[Simulated], reliability: dict[str, Reliability]
) -> Judge:
    """Return the judge of answers with the evidence of one of several witnesses, each as often."""
    prior = held_out.rankers[0].heads.prior
    turn = np.random.default_rng(0).integers(len(evidence), size=len(held_out))
    mixed = np.zeros_like(evidence[0].log_likelihood)
    for number, each in enumerate(evidence):
        own = turn == number
        mixed[own] = tempered(each.log_likelihood[own], reliability[each.witness], prior)
    told = np.flatnonzero(mixed.any(axis=1))
    places = answers_with(held_out, mixed, told).fit_places(UNCALIBRATED)
    _give(held_out, places)  # the probability of places decides which point is answered
    judge = answers_with(held_out, mixed, told).fit_judge(places)
    _give(held_out, judge)
    return judge


def _give(held_out: HeldOut, judge: Judge) -> None:
    for ranker in held_out.rankers:
        judges = {**ranker.calibration.judges, "witness": judge}
        ranker.calibration = replace(ranker.calibration, judges=judges)
