"""Answers for photos held out: what calibration is fitted on and results are measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geocells.neighbours import NearestPoints
from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.calibration import CLAIM_KM, CLAIMS, LEVELS, Calibration
from geoloc.encoder import FloatArray
from geoloc.metrics import same_country
from geoloc.ranker import Ranker
from training.calibrate import UNFITTED, fit_claim, fit_gate, fit_radius
from training.cluster import build_gallery
from training.fit_heads import SMOOTHING_KM, fit_heads, smoothed_labels
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
    heads = fit_heads(embeddings, manifest.latlon, weights, cells, prior)
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

    answer = first.answers["full"]
    spread = np.empty((len(fold), len(LEVELS)), np.float32)
    for number, ranker in enumerate(rankers):
        gate = fit_gate(*(a[fold != number] for a in (first.signal, first.near, weights)))
        ranker.calibration = replace(UNFITTED, gate=gate)
    claims = _rank(rankers, embeddings, fold, answer, spread)
    distance = haversine_km(answer, manifest.latlon)
    right = _right(answer, manifest.latlon, distance)

    radii = np.empty_like(spread)
    confidence = np.empty(len(fold), dtype=object)
    for number in np.unique(fold):
        rows, others = fold == number, fold != number
        judge = _calibrate(
            UNFITTED.gate,
            spread[others],
            distance[others],
            claims[others],
            right[others],
            weights[others],
        )
        radii[rows] = judge.radii_km(spread[rows])
        confidence[rows] = judge.confidence(claims[rows])
    gate = fit_gate(first.signal, first.near, weights)
    calibration = _calibrate(gate, spread, distance, claims, right, weights)
    return calibration, HeldOut(first.answers, radii, confidence, first.nearest_km)


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
        labels = smoothed_labels(manifest.latlon[rows], centroids, SMOOTHING_KM)
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


def _rank(
    rankers: list[Ranker],
    embeddings: FloatArray,
    fold: npt.NDArray[np.intp],
    answer: LatLon,
    spread: FloatArray,
) -> FloatArray:
    """Fill in the full answers and their spreads; returns the claim features (N, F)."""
    claims = np.empty((len(fold), SIGNALS_AND_MORE), np.float32)
    for ranker, rows in _batches(rankers, fold):
        ranking = ranker.rank(embeddings[rows])
        answer[rows] = ranking.latlon[:, 0]
        spread[rows] = ranking.spread_km
        claims[rows] = ranking.claims
    return claims


SIGNALS_AND_MORE = len(UNFITTED.claims["city"].weights)


def _right(
    answer: LatLon, truth: LatLon, distance_km: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Whether each claim would be true, (N, len(CLAIMS))."""
    columns = [distance_km <= km for km in CLAIM_KM.values()]
    return np.stack([*columns, same_country(answer, truth)], axis=1)


def _calibrate(
    gate: tuple[tuple[float, ...], ...],
    spread: FloatArray,
    distance: npt.NDArray[np.float64],
    claims: FloatArray,
    right: npt.NDArray[np.bool_],
    weights: FloatArray,
) -> Calibration:
    return Calibration(
        sharpness=UNFITTED.sharpness,
        gate=gate,
        radius={
            name: fit_radius(spread[:, i], distance, int(name) / 100)
            for i, name in enumerate(LEVELS)
        },
        claims={name: fit_claim(claims, right[:, i], weights) for i, name in enumerate(CLAIMS)},
    )


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
