"""Answers for photos held out: what calibration is fitted on and results are measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.calibration import CLAIM_KM, CLAIMS, LEVELS, Calibration
from geoloc.answer.ranker import Ranker
from geoloc.metrics import same_country
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.calibrate.fit import (
    SHARPNESSES,
    TEMPERATURES,
    UNFITTED,
    fit_claim,
    fit_gate,
    fit_radius,
    fit_region,
    most_likely,
)
from training.calibrate.rerank import MOST_PHOTOS, fit_reranker
from training.calibrate.scoring import (
    Answers,
    Described,
    Rankers,
    answers,
    described,
    signals_near,
    tried_near,
)
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.data.split import group_weights
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.fit import fit_heads

METHODS = ("prior", "classifier", "nearest photo", "cell", "full")
"""Ways to answer: the middle of the world, of the classifier's cell, the most similar photo, the
middle of the cell believed in most, and everything together."""

FITTED_ON = 12_000
"""Photos that calibration is fitted on, at most."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was answered for each of N photos by models that never saw its group."""

    answers: dict[str, Float64Array]
    """(N, 2) degrees by method; see METHODS."""
    radii_km: Float32Array
    """(N, len(LEVELS)), calibrated on other photos than those they are given to."""
    in_region: BoolArray
    """(N, len(LEVELS)) whether the credible cells held the truth, likewise."""
    confidence: StrArray
    """(N,) claims, likewise."""
    localisability: Float32Array
    """(N,) chance of being right within 200 km, likewise."""
    nearest_km: Float64Array
    """(N,) distance to the nearest photo that the model had seen."""


def make_ranker(
    manifest: Manifest,
    embeddings: Float32Array,
    cells: CellTable,
    prior: Float32Array,
    calibration: Calibration = UNFITTED,
    config: HeadConfig | None = None,
) -> Ranker:
    """Heads and gallery from all given photos."""
    weights = group_weights(manifest.group)
    heads, _ = fit_heads(Examples(embeddings, manifest.latlon, weights), cells, prior, config)
    gallery = build_gallery(manifest, heads.features(embeddings), cells)
    return Ranker(cells, heads, gallery, calibration)


def cross_validate(
    manifest: Manifest,
    embeddings: Float32Array,
    fold: IndexArray,
    cells: CellTable,
    prior: Float32Array,
    progress: Callable[[str], None] = lambda stage: None,
    config: HeadConfig | None = None,
) -> tuple[Calibration, HeldOut]:
    """Answer every photo by a model of the other folds, and calibrate on these answers.

    The calibration that judges a photo is in turn fitted on the other folds only; the calibration
    returned, for the bundle, is fitted on all.

    Args:
        manifest: N photos.
        embeddings: (N, D) of them.
        fold: (N,) from `assign_folds`.
        cells: geocells.
        prior: (C,) belief before a photo is seen.
        progress: called with the name of each stage.
        config: of the heads.
    """
    rankers = []
    for number in np.unique(fold):
        progress(f"fold {number + 1}")
        seen = np.flatnonzero(fold != number)
        rankers.append(
            make_ranker(manifest.take(seen), embeddings[seen], cells, prior, config=config)
        )
    progress("calibration")
    asked = Rankers(rankers, fold, embeddings, manifest.latlon)
    return calibrate(asked, group_weights(manifest.group))


def calibrate(asked: Rankers, weights: Float32Array) -> tuple[Calibration, HeldOut]:
    """Calibrate models on photos they never saw, fold by fold; see `cross_validate`.

    Args:
        asked: a model for each fold, and N photos.
        weights: (N,) of the photos.
    """
    fold, latlon = asked.fold, asked.latlon
    calibration = _fit_answers(asked, weights)
    given = answers(asked, METHODS)
    judge = _Judge(given, latlon, weights)
    held_out = judge.nothing_yet(given)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        judge.fill(held_out, rows, judge.fit(UNFITTED, np.flatnonzero(fold != number)))
    return judge.fit(calibration, np.arange(len(fold))), held_out


def hold_out(
    ranker: Ranker,
    calibration_set: tuple[Manifest, Float32Array],
    test_set: tuple[Manifest, Float32Array],
) -> tuple[Calibration, HeldOut]:
    """Calibrate a model on photos it never saw, and answer others.

    Args:
        ranker: trained; it is given the calibration.
        calibration_set: photos and their (N, D) embeddings.
        test_set: photos that neither training nor calibration saw, and their embeddings.

    Returns:
        The calibration, and what was answered for the test photos.
    """
    return calibrate_alone(ranker, *calibration_set), answer_all(ranker, *test_set)


def calibrate_alone(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> Calibration:
    """Calibrate a model on photos it never saw; it is given the calibration."""
    weights = group_weights(manifest.group)
    alone = np.zeros(len(manifest), np.intp)
    asked = Rankers([ranker], alone, embeddings, manifest.latlon)
    ranker.calibration = _fit_answers(asked, weights)
    given = answers(asked, METHODS)
    ranker.calibration = _Judge(given, manifest.latlon, weights).fit(
        ranker.calibration, np.arange(len(manifest))
    )
    return ranker.calibration


def answer_all(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> HeldOut:
    """What a calibrated model answers for photos, by every method."""
    alone = np.zeros(len(manifest), np.intp)
    given = answers(Rankers([ranker], alone, embeddings, manifest.latlon), METHODS)
    judge = _Judge(given, manifest.latlon, np.ones(len(manifest), np.float32))
    held_out = judge.nothing_yet(given)
    judge.fill(held_out, np.arange(len(manifest)), ranker.calibration)
    return held_out


def _fit_answers(asked: Rankers, weights: Float32Array) -> Calibration:
    """Fit all that answers depend on; each model gets what was fitted without its own photos.

    Returns:
        The calibration fitted on all photos.
    """
    count = len(asked.fold)
    chosen = np.arange(count)
    if count > FITTED_ON:
        chosen = np.sort(np.random.default_rng(0).choice(count, FITTED_ON, replace=False))
    some, weight = asked.take(chosen), weights[chosen]
    others = [np.flatnonzero(some.fold != number) for number in range(len(asked.models))]
    if len(asked.models) == 1:
        others = [np.arange(len(chosen))]
    everything = np.arange(len(chosen))

    tried = tried_near(some)

    def scales(rows: IndexArray) -> Calibration:
        return replace(
            UNFITTED,
            temperature=most_likely(tried[0][rows], TEMPERATURES, weight[rows]),
            sharpness=most_likely(tried[1][rows], SHARPNESSES, weight[rows]),
        )

    for ranker, rows in zip(asked.models, others, strict=True):
        ranker.calibration = scales(rows)
    signal, near = signals_near(some)

    def gated(rows: IndexArray) -> Calibration:
        return replace(scales(rows), gate=fit_gate(signal[rows], near[rows], weight[rows]))

    for ranker, rows in zip(asked.models, others, strict=True):
        ranker.calibration = gated(rows)
    table = described(some)
    for ranker, rows in zip(asked.models, others, strict=True):
        ranker.calibration = _reranked(ranker.calibration, table, weight, rows)
    return _reranked(gated(everything), table, weight, everything)


def _reranked(
    calibration: Calibration, table: Described, weights: Float32Array, rows: IndexArray
) -> Calibration:
    """The calibration with a re-ranker fitted on some photos."""
    if len(rows) > MOST_PHOTOS:
        rows = np.sort(np.random.default_rng(1).choice(rows, MOST_PHOTOS, replace=False))
    part = table.take(rows)
    reranker = fit_reranker(part.features, part.mood, part.valid, part.worth, weights[rows])
    return replace(calibration, reranker=reranker)


class _Judge:
    """Fits how far off answers may be, on some photos, and judges others by it."""

    def __init__(self, given: Answers, truth: Float64Array, weights: Float32Array) -> None:
        """Take N answers, where the photos really are, and their weights."""
        answer = given.by_method["full"]
        self._given, self._weights = given, weights
        self._distance = haversine_km(answer, truth)
        self._right = {name: self._distance <= km for name, km in CLAIM_KM.items()}
        self._right["country"] = same_country(answer, truth)

    def fit(self, start: Calibration, rows: IndexArray) -> Calibration:
        """`start` with regions, radii and claims fitted on some photos."""
        evidence, distance = self._given.evidence[rows], self._distance[rows]
        return replace(
            start,
            region=fit_region(self._given.before[rows]),
            radius={name: fit_radius(evidence, distance, int(name) / 100) for name in LEVELS},
            claims={
                name: fit_claim(evidence, self._right[name][rows], self._weights[rows])
                for name in CLAIMS
            },
        )

    def nothing_yet(self, given: Answers) -> HeldOut:
        """Answers with no judgement of them."""
        count = len(given.nearest_km)
        return HeldOut(
            given.by_method,
            np.empty((count, len(LEVELS)), np.float32),
            np.empty((count, len(LEVELS)), bool),
            np.empty(count, dtype=object),
            np.empty(count, np.float32),
            given.nearest_km,
        )

    def fill(self, held_out: HeldOut, rows: IndexArray, by: Calibration) -> None:
        """Judge some of the answers."""
        evidence = self._given.evidence[rows]
        held_out.radii_km[rows], held_out.confidence[rows] = by.judge(evidence)
        held_out.localisability[rows] = by.localisability(evidence)
        limits = np.array([by.region[name] for name in LEVELS])
        held_out.in_region[rows] = self._given.before[rows, None] <= limits
