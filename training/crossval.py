"""Answers for photos held out: what calibration is fitted on and results are measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from geocells.neighbours import NearestPoints
from geocells.sphere import haversine_km, unit_vectors
from geocells.table import CellTable
from geoloc.calibration import CLAIM_KM, CLAIMS, EVIDENCE, LEVELS, Calibration
from geoloc.encoder import FloatArray
from geoloc.metrics import same_country
from geoloc.ranker import Ranker
from training.calibrate import UNFITTED, fit_claim, fit_gate, fit_radius
from training.cluster import build_gallery
from training.fit_heads import Examples, fit_heads
from training.head_config import HeadConfig
from training.losses import smoothed_labels
from training.manifest import Manifest
from training.split import group_weights

LatLon = npt.NDArray[np.float64]

BATCH = 512

METHODS = ("prior", "classifier", "nearest photo", "full")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was answered for each of N photos by models that never saw its group."""

    answers: dict[str, LatLon]
    """(N, 2) degrees by method; see METHODS."""
    radii_km: FloatArray
    """(N, len(LEVELS)), calibrated on other photos than those they are given to."""
    confidence: npt.NDArray[np.object_]
    """(N,) claims, likewise."""
    nearest_km: npt.NDArray[np.float64]
    """(N,) distance to the nearest photo that the model had seen."""


@dataclass(frozen=True, eq=False)
class _Pass:
    """Arrays over all photos, filled fold by fold."""

    signal: FloatArray
    near: FloatArray
    answers: dict[str, LatLon]
    nearest_km: npt.NDArray[np.float64]


def make_ranker(
    manifest: Manifest,
    embeddings: FloatArray,
    cells: CellTable,
    prior: FloatArray,
    calibration: Calibration = UNFITTED,
) -> Ranker:
    """Heads and gallery from all given photos."""
    weights = group_weights(manifest.group)
    heads, _ = fit_heads(Examples(embeddings, manifest.latlon, weights), cells, prior)
    gallery = build_gallery(manifest, heads.features(embeddings), cells)
    return Ranker(cells, heads, gallery, calibration)


def cross_validate(
    manifest: Manifest,
    embeddings: FloatArray,
    fold: npt.NDArray[np.intp],
    cells: CellTable,
    prior: FloatArray,
    progress: Callable[[str], None] = lambda stage: None,
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
    """
    weights = group_weights(manifest.group)
    rankers = []
    for number in np.unique(fold):
        progress(f"fold {number + 1}")
        seen = np.flatnonzero(fold != number)
        rankers.append(make_ranker(manifest.take(seen), embeddings[seen], cells, prior))
    progress("calibration")
    first = _ask(rankers, manifest, embeddings, fold)

    for number, ranker in enumerate(rankers):
        gate = fit_gate(*(a[fold != number] for a in (first.signal, first.near, weights)))
        ranker.calibration = replace(UNFITTED, gate=gate)
    evidence = _answer(rankers, embeddings, fold, first.answers["full"])
    judge = partial(_fit_judgement, evidence, manifest.latlon, first.answers["full"], weights)

    radii = np.empty((len(fold), len(LEVELS)), np.float32)
    confidence = np.empty(len(fold), dtype=object)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        calibration = judge(UNFITTED, np.flatnonzero(fold != number))
        radii[rows], confidence[rows] = calibration.judge(evidence[rows])
    gated = replace(UNFITTED, gate=fit_gate(first.signal, first.near, weights))
    calibration = judge(gated, np.arange(len(fold)))
    return calibration, HeldOut(first.answers, radii, confidence, first.nearest_km)


def hold_out(
    ranker: Ranker,
    calibration_set: tuple[Manifest, FloatArray],
    test_set: tuple[Manifest, FloatArray],
) -> tuple[Calibration, HeldOut]:
    """Calibrate a model on photos it never saw, and answer others.

    Args:
        ranker: trained; it is given the calibration.
        calibration_set: photos and their (N, D) embeddings.
        test_set: photos that neither training nor calibration saw, and their embeddings.

    Returns:
        The calibration, and what was answered for the test photos.
    """
    manifest, embeddings = calibration_set
    weights = group_weights(manifest.group)
    alone = np.zeros(len(manifest), np.intp)
    first = _ask([ranker], manifest, embeddings, alone)
    gated = replace(UNFITTED, gate=fit_gate(first.signal, first.near, weights))
    ranker.calibration = gated
    answer = first.answers["full"]
    evidence = _answer([ranker], embeddings, alone, answer)
    rows = np.arange(len(manifest))
    calibration = _fit_judgement(evidence, manifest.latlon, answer, weights, gated, rows)
    ranker.calibration = calibration
    return calibration, answer_all(ranker, *test_set)


def answer_all(ranker: Ranker, manifest: Manifest, embeddings: FloatArray) -> HeldOut:
    """What a calibrated model answers for photos, by every method."""
    alone = np.zeros(len(manifest), np.intp)
    found = _ask([ranker], manifest, embeddings, alone)
    evidence = _answer([ranker], embeddings, alone, found.answers["full"])
    radii, confidence = ranker.calibration.judge(evidence)
    return HeldOut(found.answers, radii, np.array(confidence, dtype=object), found.nearest_km)


def _ask(
    rankers: list[Ranker], manifest: Manifest, embeddings: FloatArray, fold: npt.NDArray[np.intp]
) -> _Pass:
    """Sources and baselines for every photo from the ranker of its fold."""
    count = len(manifest)
    result = _Pass(
        signal=np.empty((count, len(UNFITTED.gate)), np.float32),
        near=np.empty((count, 3), np.float32),
        answers={name: np.empty((count, 2)) for name in METHODS},
        nearest_km=np.empty(count),
    )
    for ranker, rows in _batches(rankers, fold):
        centroids = ranker.cells.centroids
        sources = ranker.sources(embeddings[rows])
        labels = _labels(manifest.latlon[rows], centroids)
        result.signal[rows] = sources.signal
        result.near[rows] = np.stack(
            [(belief * labels).sum(axis=1) for belief in sources.beliefs], axis=1
        )
        prior, classifier, _ = sources.beliefs
        guess = ranker.space.expected_utility(prior[:1]).argmax(axis=1)
        result.answers["prior"][rows] = centroids[guess]
        result.answers["classifier"][rows] = centroids[classifier.argmax(axis=1)]
        members = ranker.gallery.members.latlon
        result.answers["nearest photo"][rows] = members[sources.neighbour[:, 0]]
        result.nearest_km[rows] = _nearest_km(manifest.latlon[rows], members)
    return result


def _labels(latlon: LatLon, centroids: LatLon) -> FloatArray:
    """How near (N, C) each cell is to each photo, as the classifier was taught."""
    vectors = (torch.from_numpy(unit_vectors(places)) for places in (latlon, centroids))
    return np.asarray(smoothed_labels(*vectors, HeadConfig().tau_km))


def _answer(
    rankers: list[Ranker], embeddings: FloatArray, fold: npt.NDArray[np.intp], answer: LatLon
) -> FloatArray:
    """Fill in the full pipeline's answers (N, 2); returns the evidence (N, EVIDENCE)."""
    evidence = np.empty((len(fold), EVIDENCE), np.float32)
    for ranker, rows in _batches(rankers, fold):
        ranking = ranker.rank(embeddings[rows])
        answer[rows] = ranking.latlon[:, 0]
        evidence[rows] = ranking.evidence
    return evidence


def _fit_judgement(
    evidence: FloatArray,
    truth: LatLon,
    answer: LatLon,
    weights: FloatArray,
    start: Calibration,
    rows: npt.NDArray[np.intp],
) -> Calibration:
    """`start` with radii and claims fitted on some photos."""
    distance = haversine_km(answer[rows], truth[rows])
    right = {name: distance <= km for name, km in CLAIM_KM.items()}
    right["country"] = same_country(answer[rows], truth[rows])
    radius = {name: fit_radius(evidence[rows], distance, int(name) / 100) for name in LEVELS}
    claims = {name: fit_claim(evidence[rows], right[name], weights[rows]) for name in CLAIMS}
    return replace(start, radius=radius, claims=claims)


def _batches(
    rankers: list[Ranker], fold: npt.NDArray[np.intp]
) -> Iterator[tuple[Ranker, npt.NDArray[np.intp]]]:
    for number, ranker in enumerate(rankers):
        rows = np.flatnonzero(fold == number)
        for start in range(0, len(rows), BATCH):
            yield ranker, rows[start : start + BATCH]


def _nearest_km(latlon: LatLon, known: LatLon) -> npt.NDArray[np.float64]:
    """Distance (N,) to the nearest of the known coordinates."""
    return NearestPoints(known).query(latlon)[0][:, 0]
