"""What models say of photos they never saw, batch by batch: the raw material of calibration."""

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
from geoloc.retrieval.reranker import FEATURES, MOODS
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.calibrate.fit import SHARPNESSES, TEMPERATURES
from training.calibrate.rerank import worth
from training.heads.losses import smoothed_labels

BATCH = 256

NEAR_KM = 25.0
"""Belief near the truth is belief in the cells around it, smoothed on this scale."""


@dataclass(frozen=True, eq=False)
class Rankers:
    """Models, and which of them never saw each of N photos."""

    models: Sequence[Ranker]
    fold: IndexArray
    """(N,) rows of `models`."""
    embeddings: Float32Array
    """(N, D)"""
    latlon: Float64Array
    """(N, 2) degrees."""

    def batches(self) -> Iterator[tuple[Ranker, IndexArray]]:
        """Each model with the photos it is asked about, some at a time."""
        for number, ranker in enumerate(self.models):
            rows = np.flatnonzero(self.fold == number)
            for start in range(0, len(rows), BATCH):
                yield ranker, rows[start : start + BATCH]

    def take(self, rows: IndexArray) -> Rankers:
        """The same models for some of the photos."""
        return Rankers(self.models, self.fold[rows], self.embeddings[rows], self.latlon[rows])


def tried_near(asked: Rankers) -> tuple[Float32Array, Float32Array]:
    """Belief near the truth (N, tried) of the classifier by temperature, of votes by sharpness."""
    classified = np.empty((len(asked.fold), len(TEMPERATURES)), np.float32)
    voted = np.empty((len(asked.fold), len(SHARPNESSES)), np.float32)
    for ranker, rows in asked.batches():
        features = ranker.heads.features(asked.embeddings[rows])
        belief = ranker.heads.classify(features)
        labels = _labels(asked.latlon[rows], ranker)
        for column, temperature in enumerate(TEMPERATURES):
            classified[rows, column] = (tempered(belief, temperature) * labels).sum(axis=1)
        found = ranker.gallery.search(features, belief, NEIGHBOURS)
        cell = ranker.gallery.clusters.cell[np.maximum(found.cluster, 0)]
        near = np.take_along_axis(labels, cell.astype(np.int64), axis=1)
        for column, sharpness in enumerate(SHARPNESSES):
            share = softmax(np.where(found.cluster < 0, -np.inf, found.similarity * sharpness))
            voted[rows, column] = (share * near).sum(axis=1)
    return classified, voted


def signals_near(asked: Rankers) -> tuple[Float32Array, Float32Array]:
    """Signals (N, SIGNALS), and the belief (N, 3) that each source puts near the truth."""
    signal = np.empty((len(asked.fold), SIGNALS), np.float32)
    near = np.empty((len(asked.fold), 3), np.float32)
    for ranker, rows in asked.batches():
        sources = ranker.sources(asked.embeddings[rows])
        labels = _labels(asked.latlon[rows], ranker)
        signal[rows] = sources.signal
        near[rows] = np.stack([(b * labels).sum(axis=1) for b in sources.beliefs], axis=1)
    return signal, near


@dataclass(frozen=True, eq=False)
class Described:
    """Candidates of N photos as the re-ranker sees them."""

    features: Float32Array
    """(N, P, FEATURES)"""
    mood: Float32Array
    """(N, MOODS)"""
    valid: BoolArray
    """(N, P)"""
    worth: Float32Array
    """(N, P) of each candidate as an answer."""

    def take(self, rows: IndexArray) -> Described:
        """Some photos."""
        parts = self.features, self.mood, self.valid, self.worth
        return Described(*(part[rows] for part in parts))


def described(asked: Rankers) -> Described:
    """Candidates of every photo with what they are worth.

    Models may have candidates of different numbers; the missing ones are not valid.
    """
    parts: list[tuple[IndexArray, Described]] = []
    for ranker, rows in asked.batches():
        sources = ranker.sources(asked.embeddings[rows])
        belief = ranker.believe(sources)
        scored = ranker.score(sources.features, sources.found, belief)
        truth = asked.latlon[rows]
        off = haversine_km(truth[:, None], scored.candidates.latlon)
        valid = scored.candidates.valid
        parts.append((rows, Described(scored.features, scored.mood, valid, worth(off))))
    count, width = len(asked.fold), max(part.valid.shape[1] for _, part in parts)
    whole = Described(
        np.zeros((count, width, FEATURES), np.float32),
        np.empty((count, MOODS), np.float32),
        np.zeros((count, width), bool),
        np.zeros((count, width), np.float32),
    )
    for rows, part in parts:
        columns = slice(part.valid.shape[1])
        whole.features[rows, columns], whole.worth[rows, columns] = part.features, part.worth
        whole.valid[rows, columns] = part.valid
        whole.mood[rows] = part.mood
    return whole


@dataclass(frozen=True, eq=False)
class Answers:
    """What was answered for N photos."""

    by_method: dict[str, Float64Array]
    """(N, 2) degrees of the full pipeline and of its parts alone."""
    evidence: Float32Array
    """(N, EVIDENCE)"""
    before: Float32Array
    """(N,) belief of the cells more probable than the true one."""
    nearest_km: Float64Array
    """(N,) distance to the nearest photo that the model had seen."""


def answers(asked: Rankers, methods: Sequence[str]) -> Answers:
    """The answers of calibrated models, and those of prior, classifier and most similar photo."""
    count = len(asked.fold)
    found = Answers(
        {name: np.empty((count, 2)) for name in methods},
        np.empty((count, EVIDENCE), np.float32),
        np.empty(count, np.float32),
        np.empty(count),
    )
    for ranker, rows in asked.batches():
        truth, centroids = asked.latlon[rows], ranker.cells.centroids
        ranking = ranker.rank(asked.embeddings[rows])
        features = ranker.heads.features(asked.embeddings[rows])
        classified = ranker.heads.classify(features)
        prior = ranker.space.expected_utility(ranker.heads.prior[None]).argmax()
        members = ranker.gallery.members.latlon
        given = (
            centroids[[prior] * len(rows)],
            centroids[classified.argmax(axis=1)],
            members[np.maximum(ranking.neighbour[:, 0], 0)],
            centroids[ranking.belief.argmax(axis=1)],
            ranking.latlon[:, 0],
        )
        for name, points in zip(methods, given, strict=True):
            found.by_method[name][rows] = points
        found.evidence[rows] = ranking.evidence
        cell = ranker.cells.locate(truth).astype(np.int64)
        found.before[rows] = mass_before(ranking.belief, cell)
        found.nearest_km[rows] = NearestPoints(members).query(truth)[0][:, 0]
    return found


def _labels(latlon: Float64Array, ranker: Ranker) -> Float32Array:
    """How near (N, C) each cell is to each photo, the nearest 1."""
    places = (torch.from_numpy(unit_vectors(x)) for x in (latlon, ranker.cells.centroids))
    return np.asarray(smoothed_labels(*places, NEAR_KM))
