"""Held-out photos run through models that never saw them: the inputs of every calibration fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from geocells.neighbours import NearestPoints
from geocells.sphere import haversine_km, unit_vectors
from geoloc.answer.calibration import EVIDENCE, SIGNALS
from geoloc.answer.ranker import NEIGHBOURS, Ranker
from geoloc.belief.fusion import mass_before
from geoloc.belief.heads import softmax, tempered
from geoloc.retrieval.reranker import FEATURES, GATING_FEATURES
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.calibrate.fit import SHARPNESSES, TEMPERATURES
from training.calibrate.rerank import utility
from training.heads.losses import smoothed_labels

BATCH = 256

NEAR_KM = 25.0
"""Length scale of the label smoothing that defines the cells near the truth."""


@dataclass(frozen=True, eq=False)
class FoldRankers:
    """N held-out photos, and for each fold a ranker that never saw the photos of that fold."""

    rankers: Sequence[Ranker]
    fold: IndexArray
    """(N,) the row of `rankers` that answers each photo."""
    embeddings: Float32Array
    """(N, D)"""
    latlon: Float64Array
    """(N, 2) degrees."""

    def batches(self) -> Iterator[tuple[Ranker, IndexArray]]:
        """Yield each ranker with the rows of its photos, BATCH at a time."""
        for number, ranker in enumerate(self.rankers):
            rows = np.flatnonzero(self.fold == number)
            for start in range(0, len(rows), BATCH):
                yield ranker, rows[start : start + BATCH]

    def take(self, rows: IndexArray) -> FoldRankers:
        """Return the same rankers with some of the photos."""
        return FoldRankers(self.rankers, self.fold[rows], self.embeddings[rows], self.latlon[rows])


def likelihood_by_scale(folds: FoldRankers) -> tuple[Float32Array, Float32Array]:
    """Return the probability near the truth for each temperature and for each sharpness.

    Returns:
        (N, len(TEMPERATURES)) of the classifier, and (N, len(SHARPNESSES)) of the votes.
    """
    count = len(folds.fold)
    classifier = np.empty((count, len(TEMPERATURES)), np.float32)
    votes = np.empty((count, len(SHARPNESSES)), np.float32)
    for ranker, rows in folds.batches():
        features = ranker.heads.features(folds.embeddings[rows])
        posterior = ranker.heads.classify(features)
        labels = _labels(folds.latlon[rows], ranker)
        for column, temperature in enumerate(TEMPERATURES):
            classifier[rows, column] = (tempered(posterior, temperature) * labels).sum(axis=1)
        found = ranker.gallery.search(features, posterior, NEIGHBOURS)
        cell = ranker.gallery.clusters.cell[np.maximum(found.cluster, 0)]
        near = np.take_along_axis(labels, cell.astype(np.int64), axis=1)
        for column, sharpness in enumerate(SHARPNESSES):
            share = softmax(np.where(found.cluster < 0, -np.inf, found.similarity * sharpness))
            votes[rows, column] = (share * near).sum(axis=1)
    return classifier, votes


def likelihood_by_source(folds: FoldRankers) -> tuple[Float32Array, Float32Array]:
    """Return the signals (N, SIGNALS), and the probability (N, 3) near the truth of each source."""
    count = len(folds.fold)
    signal = np.empty((count, SIGNALS), np.float32)
    near = np.empty((count, 3), np.float32)
    for ranker, rows in folds.batches():
        sources = ranker.sources(folds.embeddings[rows])
        labels = _labels(folds.latlon[rows], ranker)
        signal[rows] = sources.signal
        near[rows] = np.stack([(b * labels).sum(axis=1) for b in sources.beliefs], axis=1)
    return signal, near


@dataclass(frozen=True, eq=False)
class CandidateTable:
    """The candidates of N photos, described for the re-ranker."""

    features: Float32Array
    """(N, P, FEATURES)"""
    gating: Float32Array
    """(N, GATING_FEATURES) gating features of the photos."""
    valid: BoolArray
    """(N, P) whether there is such a candidate."""
    utility: Float32Array
    """(N, P) of each candidate as the answer."""

    def take(self, rows: IndexArray) -> CandidateTable:
        """Return the candidates of some photos."""
        parts = self.features, self.gating, self.valid, self.utility
        return CandidateTable(*(part[rows] for part in parts))


def candidate_table(folds: FoldRankers) -> CandidateTable:
    """Return the candidates of every photo with their utility.

    Rankers may return different numbers of candidates; the missing ones are not valid.
    """
    parts: list[tuple[IndexArray, CandidateTable]] = []
    for ranker, rows in folds.batches():
        sources = ranker.sources(folds.embeddings[rows])
        scored = ranker.score(sources.features, sources.nearest, ranker.believe(sources))
        distance = haversine_km(folds.latlon[rows, None], scored.candidates.latlon)
        part = CandidateTable(
            scored.features, scored.gating, scored.candidates.valid, utility(distance)
        )
        parts.append((rows, part))
    count, width = len(folds.fold), max(part.valid.shape[1] for _, part in parts)
    table = CandidateTable(
        np.zeros((count, width, FEATURES), np.float32),
        np.empty((count, GATING_FEATURES), np.float32),
        np.zeros((count, width), bool),
        np.zeros((count, width), np.float32),
    )
    for rows, part in parts:
        columns = slice(part.valid.shape[1])
        table.features[rows, columns], table.utility[rows, columns] = part.features, part.utility
        table.valid[rows, columns] = part.valid
        table.gating[rows] = part.gating
    return table


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to N photos by several methods."""

    by_method: dict[str, Float64Array]
    """(N, 2) degrees of the full pipeline and of its parts alone."""
    evidence: Float32Array
    """(N, EVIDENCE) evidence of radius and claims."""
    mass_before: Float32Array
    """(N,) posterior mass of the cells more probable than the true one."""
    nearest_km: Float64Array
    """(N,) distance to the nearest photo of the ranker's gallery."""


def answer(folds: FoldRankers, methods: Sequence[str]) -> Answers:
    """Answer every photo with its calibrated ranker, by five methods.

    Args:
        folds: photos and rankers.
        methods: names of the five methods, in the order of `training.calibrate.crossval.METHODS`.
    """
    count = len(folds.fold)
    result = Answers(
        {name: np.empty((count, 2)) for name in methods},
        np.empty((count, EVIDENCE), np.float32),
        np.empty(count, np.float32),
        np.empty(count),
    )
    for ranker, rows in folds.batches():
        truth, centroids = folds.latlon[rows], ranker.cells.centroids
        ranking = ranker.rank(folds.embeddings[rows])
        features = ranker.heads.features(folds.embeddings[rows])
        posterior = ranker.heads.classify(features)
        prior = ranker.space.expected_utility(ranker.heads.prior[None]).argmax()
        members = ranker.gallery.members.latlon
        points_by_method = (
            centroids[[prior] * len(rows)],
            centroids[posterior.argmax(axis=1)],
            members[np.maximum(ranking.neighbour[:, 0], 0)],
            centroids[ranking.belief.argmax(axis=1)],
            ranking.latlon[:, 0],
        )
        for name, points in zip(methods, points_by_method, strict=True):
            result.by_method[name][rows] = points
        result.evidence[rows] = ranking.evidence
        cell = ranker.cells.locate(truth).astype(np.int64)
        result.mass_before[rows] = mass_before(ranking.belief, cell)
        result.nearest_km[rows] = NearestPoints(members).query(truth)[0][:, 0]
    return result


def _labels(latlon: Float64Array, ranker: Ranker) -> Float32Array:
    """Return smoothed labels (N, C): 1 for the cell nearest to each photo, less farther away."""
    places = (torch.from_numpy(unit_vectors(x)) for x in (latlon, ranker.cells.centroids))
    return np.asarray(smoothed_labels(*places, NEAR_KM))
