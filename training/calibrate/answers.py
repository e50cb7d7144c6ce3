"""`Answers`: what rankers answered to held-out questions, and the judges fitted on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.judge import CLAIM_KM, CLAIMS, LEVELS, Judge, limit_radii
from geoloc.answer.questions import claim_limits
from geoloc.answer.ranker import Ranker
from geoloc.answer.ranking import Ranking
from geoloc.answer.signals import EVIDENCE
from geoloc.belief.fusion import ConstraintMask, mass_before
from geoloc.guess import Confidence
from geoloc.metrics import same_country
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int32Array
from training.calibrate.fit import fit_claim, fit_place, fit_radius, fit_region
from training.calibrate.heldout import HeldOut
from training.calibrate.questions import Asked, Masks, rankings

PLACES = 10
"""First places of a ranking whose probability is fitted."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to Q questions, not yet judged."""

    asked: Asked
    point: Float64Array
    """(Q, 2) degrees."""
    km: Float64Array
    """(Q,) distance to the truth."""
    right_country: BoolArray
    """(Q,)"""
    evidence: Float32Array
    """(Q, EVIDENCE)"""
    place_evidence: Float32Array
    """(Q, EVIDENCE)"""
    place_mass: Float32Array
    """(Q, PLACES); 0 for none."""
    place_right: BoolArray
    """(Q, PLACES) whether the truth is within 25 km."""
    mass_before: Float32Array
    """(Q,) belief in cells more probable than the true one."""
    reach_km: Float32Array
    """(Q,) distance from the answer to the farthest point of the constraint."""
    claimable: BoolArray
    """(Q, len(CLAIMS)) claims that do not follow from the question."""
    weights: Float32Array
    """(Q,)"""
    collection: Int32Array
    """(Q,)"""
    new: BoolArray
    """(Q,) whether the ranker knows no photo of the collection."""
    several: BoolArray
    """(Q,) whether the answer is one about several informative photos that agree."""
    answered: BoolArray
    """(Q,) False for questions whose constraint holds no cell."""

    def take(self, rows: IndexArray | BoolArray) -> Answers:
        """Return some answers."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        parts = {f.name: getattr(self, f.name)[index] for f in fields(self)[1:]}
        return Answers(self.asked.take(np.asarray(index)), **parts)

    def fit_places(self, start: Judge) -> Judge:
        """Return `start` with the probability of places fitted on these answers."""
        place = fit_place(self.place_mass, self.place_evidence, self.place_right, self.weights)
        return replace(start, place=place)

    def fit_judge(self, start: Judge) -> Judge:
        """Return `start` with region, radii and claims fitted on these answers."""
        right = {name: self.km <= km for name, km in CLAIM_KM.items()}
        right["country"] = self.right_country
        return replace(
            start,
            region=fit_region(self.mass_before, self.weights),
            radius={
                name: fit_radius(self.evidence, self.km, self.weights, int(name) / 100)
                for name in LEVELS
            },
            claims={
                name: fit_claim(self.evidence, right[name], self.weights, self.collection, self.new)
                for name in CLAIMS
            },
        )

    def judged(self, judge: Judge) -> tuple[Float32Array, list[Confidence]]:
        """Return radii (Q, len(LEVELS)) and claims (Q,) under a judge."""
        claims = judge.claim(self.evidence, self.claimable)
        return limit_radii(judge.radii_km(self.evidence), claims, self.reach_km), claims


def collect(held_out: HeldOut, asked: Asked, masks: Masks) -> Answers:
    """Answer questions with rankers that never saw their photos."""
    result = unanswered(held_out, asked)
    truth = held_out.latlon[asked.first]
    for index, ranker, mask, ranking in rankings(held_out, asked, masks):
        record(result, index, ranker, mask, ranking, truth[index])
    return result


def unanswered(held_out: HeldOut, asked: Asked) -> Answers:
    """Return answers to Q questions that `record` has yet to fill in."""
    count = len(asked)
    return Answers(
        asked,
        np.zeros((count, 2)),
        np.zeros(count),
        np.zeros(count, bool),
        np.zeros((count, EVIDENCE), np.float32),
        np.zeros((count, EVIDENCE), np.float32),
        np.zeros((count, PLACES), np.float32),
        np.zeros((count, PLACES), bool),
        np.zeros(count, np.float32),
        np.full(count, np.inf, np.float32),
        np.ones((count, len(CLAIMS)), bool),
        asked.weights,
        held_out.collection[asked.first],
        held_out.new[asked.first],
        np.zeros(count, bool),
        np.zeros(count, bool),
    )


def record(
    result: Answers,
    index: IndexArray,
    ranker: Ranker,
    mask: ConstraintMask | None,
    ranking: Ranking,
    truth: Float64Array,
) -> None:
    """Write the rankings of some questions into their rows."""
    result.answered[index], result.several[index] = True, ranking.several
    result.point[index] = ranking.answer
    result.km[index] = haversine_km(ranking.answer, truth)
    result.right_country[index] = same_country(ranking.answer, truth)
    result.evidence[index], result.place_evidence[index] = ranking.evidence, ranking.place_evidence
    width = min(PLACES, ranking.cell.shape[1])
    km = haversine_km(ranking.latlon[:, :width], truth[:, None])
    result.place_mass[index, :width] = ranking.place_mass[:, :width]
    result.place_right[index, :width] = km <= CLAIM_KM["city"]
    result.mass_before[index] = mass_before(
        ranking.belief, ranker.cells.locate(truth).astype(np.int64)
    )
    reach, claimable = claim_limits(mask, ranker.cells.country, ranking.answer)
    result.reach_km[index] = reach
    result.claimable[index] = claimable & ~ranking.contradictory[:, None]


@dataclass(frozen=True, eq=False)
class Judged:
    """Answers with radii and claims that were calibrated on other photos."""

    answers: Answers
    radii_km: Float32Array
    """(Q, len(LEVELS))"""
    claims: list[Confidence]
    """(Q,)"""
    chance: Float32Array
    """(Q,) probability of an error below 200 km."""
    in_region: BoolArray
    """(Q, len(LEVELS)) whether the credible cells held the truth."""


def judge_answers(
    answers: Answers, held_out: HeldOut, photo: Sequence[Judge], place: Sequence[Judge]
) -> Judged:
    """Judge each answer under the judges of its ranker.

    Args:
        answers: to Q questions.
        held_out: the photos that they are about.
        photo: (R,) judges of single photos.
        place: (R,) judges of several photos.
    """
    count = len(answers.asked)
    ranker = held_out.ranker[answers.asked.first]
    radii = np.zeros((count, len(LEVELS)), np.float32)
    region = np.zeros((count, len(LEVELS)), bool)
    chance = np.zeros(count, np.float32)
    claims: list[Confidence] = ["not sure"] * count
    for judges, several in ((photo, False), (place, True)):
        for number, judge in enumerate(judges):
            rows = np.flatnonzero((ranker == number) & (answers.several == several))
            part = answers.take(rows)
            radii[rows], own = part.judged(judge)
            limits = np.array([judge.region[name] for name in LEVELS])
            region[rows] = part.mass_before[:, None] <= limits
            chance[rows] = judge.localisability(part.evidence)
            for row, claim in zip(rows, own, strict=True):
                claims[row] = claim
    return Judged(answers, radii, claims, chance, region)
