"""The order of a calibration: scales, gate and re-ranker, consensus, then a judge by question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from geoloc.answer.calibration import Calibration, Question
from geoloc.answer.judge import UNCALIBRATED, Judge
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.calibrate.answers import Answers, Judged, collect, judge_answers
from training.calibrate.consensus import ConsensusFit
from training.calibrate.fit import (
    SHARPNESSES,
    TEMPERATURES,
    UNFITTED,
    fit_gate,
    most_likely,
)
from training.calibrate.heldout import HeldOut
from training.calibrate.questions import (
    Asked,
    Masks,
    constrained,
    drawn,
    every_photo,
    groups_of_photos,
    mixed_groups,
    some_photos,
)
from training.calibrate.rerank import MAX_PHOTOS, fit_reranker
from training.calibrate.scoring import (
    CandidateTable,
    candidate_table,
    likelihood_by_scale,
    likelihood_by_source,
)

FITTED_ON = 8_000
"""Photos that scales, gate and re-ranker are fitted on, at most."""

MOST_GROUPS, MOST_WITHIN, MOST_GROUPS_WITHIN = 2000, 1600, 500
"""Questions of each kind, at most. At most a third of the photos and groups are asked about with a
constraint, because it takes long to lay one over the cells."""

PLACES_FITTED_ON = 2_000
"""Photos that the probability of places is fitted on, at most."""

FEWEST_QUESTIONS = 60
"""A kind of question with fewer answers stays uncalibrated."""

Fit = Callable[[BoolArray], Calibration]
"""Returns a calibration fitted on some of the photos, (N,)."""


def fit_answers(held_out: HeldOut) -> Calibration:
    """Fit what the beliefs depend on: temperature, sharpness, gate and re-ranker.

    Each ranker is given the calibration fitted on the photos that are apart from its own.

    Returns:
        The calibration fitted on all photos.
    """
    photos = held_out.sample(FITTED_ON, 0)
    weight = photos.weights
    everything = np.ones(len(photos), bool)
    classifier, votes = likelihood_by_scale(photos)
    start = replace(UNFITTED, refinement=held_out.rankers[0].calibration.refinement)

    def with_scales(rows: BoolArray) -> Calibration:
        return replace(
            start,
            temperature=most_likely(classifier[rows], TEMPERATURES, weight[rows]),
            sharpness=most_likely(votes[rows], SHARPNESSES, weight[rows]),
        )

    _give(photos, with_scales)
    signal, near = likelihood_by_source(photos)

    def with_gate(rows: BoolArray) -> Calibration:
        return replace(with_scales(rows), gate=fit_gate(signal[rows], near[rows], weight[rows]))

    _give(photos, with_gate)
    table = candidate_table(photos)

    def with_reranker(rows: BoolArray) -> Calibration:
        return _with_reranker(with_gate(rows), table, weight, np.flatnonzero(rows))

    _give(photos, with_reranker)
    return with_reranker(everything)


def _give(photos: HeldOut, fit: Fit) -> None:
    """Give each ranker the calibration fitted on the photos that are apart from its own."""
    for ranker, apart in zip(photos.rankers, photos.apart, strict=True):
        ranker.calibration = fit(apart)


def _with_reranker(
    calibration: Calibration, table: CandidateTable, weights: Float32Array, rows: IndexArray
) -> Calibration:
    """Return the calibration with a re-ranker fitted on some photos."""
    if len(rows) > MAX_PHOTOS:
        rows = np.sort(np.random.default_rng(1).choice(rows, MAX_PHOTOS, replace=False))
    part = table.take(rows)
    reranker = fit_reranker(part.features, part.gating, part.valid, part.utility, weights[rows])
    return replace(calibration, reranker=reranker)


def fit_consensus(held_out: HeldOut, same: Asked, calibration: Calibration) -> Calibration:
    """Fit how several photos are combined, and give it to the rankers.

    Returns:
        The calibration with the consensus fitted on all groups.
    """
    if not len(same):
        return calibration
    mixed = mixed_groups(held_out, same, 2)
    fit = ConsensusFit.of(held_out, same, mixed)
    for number, ranker in enumerate(held_out.rankers):
        apart = held_out.apart[number]
        consensus = fit.fit(_questions_apart(same, apart), _questions_apart(mixed, apart))
        ranker.calibration = replace(ranker.calibration, consensus=consensus)
    every = np.ones(len(same), bool), np.ones(len(mixed), bool)
    return replace(calibration, consensus=fit.fit(*every))


def _questions_apart(asked: Asked, apart: BoolArray) -> BoolArray:
    """Return (Q,) whether all photos of a question are apart."""
    return np.array([bool(apart[rows].all()) for rows in asked.rows], bool)


@dataclass(frozen=True, eq=False)
class JudgedQuestions:
    """The answers to held-out questions by kind, judged with calibrations of other photos."""

    photo: Judged
    others: dict[Question, Judged]
    """By question; kinds with fewer than FEWEST_QUESTIONS answers are missing."""


def _kinds_of(held_out: HeldOut, same: Asked) -> dict[Question, Asked]:
    """Return the questions of each kind about held-out photos and groups of one place."""
    count = min(MOST_WITHIN, len(held_out) // 3)
    groups = drawn(same, min(MOST_GROUPS_WITHIN, len(same) // 3), 7)
    return {
        "photo": every_photo(held_out),
        "photo within": constrained(some_photos(held_out, count, 3), held_out, 4),
        "place": same,
        "place within": constrained(groups, held_out, 5),
    }


def fit_judges(
    held_out: HeldOut, kinds: dict[Question, Asked], masks: Masks, calibration: Calibration
) -> tuple[Calibration, JudgedQuestions]:
    """Fit radii and claims for each kind of question.

    Args:
        held_out: photos, whose rankers have all other parts of their calibration.
        kinds: questions about them.
        masks: of their constraints.
        calibration: all other parts, of the bundle.
    """
    judged: dict[Question, Judged] = {}
    photo_judges: dict[bool, list[Judge]] = {}
    for kind, asked in kinds.items():
        if kind not in calibration.judges:
            continue
        answers = _collected(held_out, asked, masks)
        several = kind.startswith("place")
        fitted_on = answers.several == several
        judges = []
        for number, ranker in enumerate(held_out.rankers):
            apart = _questions_apart(answers.asked, held_out.apart[number])
            start = ranker.calibration.judges[kind]
            judges.append(answers.take(apart & fitted_on).fit_judge(start))
        final = answers.take(fitted_on).fit_judge(calibration.judges[kind])
        calibration = replace(calibration, judges={**calibration.judges, kind: final})
        within = kind.endswith("within")
        if not several:
            photo_judges[within] = judges
        judged[kind] = judge_answers(answers, held_out, photo_judges[within], judges)
    return calibration, JudgedQuestions(judged.pop("photo"), judged)


def _collected(held_out: HeldOut, asked: Asked, masks: Masks) -> Answers:
    answers = collect(held_out, asked, masks)
    return answers if answers.answered.all() else answers.take(answers.answered)


def _fit_places(
    held_out: HeldOut, kinds: dict[Question, Asked], masks: Masks, calibration: Calibration
) -> Calibration:
    """Fit the probability of places for each kind of question with enough answers."""
    for kind, asked in kinds.items():
        answers = _collected(held_out, asked, masks)
        usable = answers.several == kind.startswith("place")
        needed = FEWEST_QUESTIONS if kind != "photo" else 1
        if usable.sum() < needed:
            continue
        for number, ranker in enumerate(held_out.rankers):
            apart = _questions_apart(answers.asked, held_out.apart[number]) & usable
            judge = answers.take(apart).fit_places(UNCALIBRATED)
            ranker.calibration = replace(
                ranker.calibration, judges={**ranker.calibration.judges, kind: judge}
            )
        judge = answers.take(usable).fit_places(UNCALIBRATED)
        calibration = replace(calibration, judges={**calibration.judges, kind: judge})
    return calibration


def answer_photos(held_out: HeldOut) -> Float64Array:
    """Return the points (N, 2) that rankers of folds answer to photos, without radii and claims.

    Only what decides the point is fitted, each time on other photos; experiments that compare
    answers take a third of the time of `calibrate`.
    """
    calibration = fit_answers(held_out)
    masks, every = Masks(held_out.rankers[0].cells), every_photo(held_out)
    some: dict[Question, Asked] = {"photo": some_photos(held_out, PLACES_FITTED_ON, 6)}
    _fit_places(held_out, some, masks, calibration)
    return collect(held_out, every, masks).point


def calibrate(
    fitting: HeldOut, judging: HeldOut | None = None
) -> tuple[Calibration, JudgedQuestions]:
    """Calibrate rankers on photos they never saw; see the stages above.

    The probability of places comes before radii and claims, because it decides which point is
    answered.

    Args:
        fitting: photos that decide what is answered.
        judging: photos that radii and claims are fitted on, of other authors and places. If they
            are the same, which is the default, the rankers must be those of folds, so that radii
            and claims are about answers that other photos decided.

    Returns:
        The calibration fitted on all photos, and the answers to the questions about `judging`, each
        judged with a calibration of other photos if there are folds.
    """
    calibration = fit_answers(fitting)
    same = groups_of_photos(fitting, MOST_GROUPS, 1)
    calibration = fit_consensus(fitting, same, calibration)
    masks = Masks(fitting.rankers[0].cells)
    kinds = _kinds_of(fitting, same)
    some = {**kinds, "photo": some_photos(fitting, PLACES_FITTED_ON, 6)}
    calibration = _fit_places(fitting, some, masks, calibration)
    if judging is None:
        return fit_judges(fitting, kinds, masks, calibration)
    kinds = _kinds_of(judging, groups_of_photos(judging, MOST_GROUPS, 1))
    return fit_judges(judging, kinds, masks, calibration)


def judge_photos(held_out: HeldOut) -> Judged:
    """Judge the answers to single photos with the calibrations that the rankers have."""
    answers = collect(held_out, every_photo(held_out), Masks(held_out.rankers[0].cells))
    judges = [ranker.calibration.judge("photo") for ranker in held_out.rankers]
    return judge_answers(answers, held_out, judges, judges)
