"""Held-out photos run through the parts of the pipeline: the inputs of scales, gate, re-ranker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.neighbours import NearestPoints
from geocells.sphere import EARTH_RADIUS_KM, haversine_km, unit_vectors
from geoloc.answer.ranker import Ranker
from geoloc.answer.signals import SIGNALS, SOURCES
from geoloc.belief.heads import softmax, tempered
from geoloc.retrieval.reranker import FEATURES, GATING_FEATURES
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.calibrate.fit import SHARPNESSES, TEMPERATURES
from training.calibrate.heldout import HeldOut
from training.calibrate.rerank import utility

PARTS = ("prior", "classifier", "nearest photo", "cell")
"""Parts of the pipeline that answer alone, see `answers_by_part`."""

NEAR_KM = 25.0
"""Length scale of the label smoothing that defines the cells near the truth."""


def likelihood_by_scale(held_out: HeldOut) -> tuple[Float32Array, Float32Array]:
    """Return the probability near the truth for each temperature and for each sharpness.

    Returns:
        (N, len(TEMPERATURES)) of the classifier, and (N, len(SHARPNESSES)) of the votes.
    """
    count = len(held_out)
    classifier = np.empty((count, len(TEMPERATURES)), np.float32)
    votes = np.empty((count, len(SHARPNESSES)), np.float32)
    for ranker, rows in held_out.batches():
        features = ranker.heads.features(held_out.embeddings[rows])
        posterior = ranker.heads.classify(features)
        labels = labels_near(held_out.latlon[rows], ranker)
        for column, temperature in enumerate(TEMPERATURES):
            classifier[rows, column] = (tempered(posterior, temperature) * labels).sum(axis=1)
        found = held_out.nearest_of(ranker, rows)
        cell = ranker.gallery.clusters.cell[np.maximum(found.cluster, 0)]
        near = np.take_along_axis(labels, cell.astype(np.int64), axis=1)
        for column, sharpness in enumerate(SHARPNESSES):
            share = softmax(np.where(found.cluster < 0, -np.inf, found.similarity * sharpness))
            votes[rows, column] = (share * near).sum(axis=1)
    return classifier, votes


def likelihood_by_source(held_out: HeldOut) -> tuple[Float32Array, Float32Array]:
    """Return the signals (N, SIGNALS), and the probability near the truth (N, SOURCES)."""
    count = len(held_out)
    signal = np.empty((count, SIGNALS), np.float32)
    near = np.empty((count, SOURCES), np.float32)
    for ranker, rows in held_out.batches():
        sources = held_out.sources(ranker, rows)
        labels = labels_near(held_out.latlon[rows], ranker)
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
        return CandidateTable(
            self.features[rows], self.gating[rows], self.valid[rows], self.utility[rows]
        )


def candidate_table(held_out: HeldOut) -> CandidateTable:
    """Return the candidates of every photo with their utility.

    Rankers may return different numbers of candidates; the missing ones are not valid.
    """
    parts: list[tuple[IndexArray, CandidateTable]] = []
    for ranker, rows in held_out.batches():
        sources = held_out.sources(ranker, rows)
        scored = ranker.score(sources.features, sources.nearest, ranker.believe(sources))
        distance = haversine_km(held_out.latlon[rows, None], scored.candidates.latlon)
        part = CandidateTable(
            scored.features, scored.gating, scored.candidates.valid, utility(distance)
        )
        parts.append((rows, part))
    count, width = len(held_out), max(part.valid.shape[1] for _, part in parts)
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


def answers_by_part(held_out: HeldOut) -> tuple[dict[str, Float64Array], Float64Array]:
    """Answer every photo by single parts of the pipeline, which answer with centroids of cells.

    Returns:
        (N, 2) degrees by part: the best cell under the prior, the classifier's best cell, the most
        similar photo, and the cell with the largest belief; and the distance (N,) in km to the
        nearest photo of the ranker's gallery.
    """
    count = len(held_out)
    result = {name: np.empty((count, 2)) for name in PARTS}
    nearest_km = np.empty(count)
    for ranker, rows in held_out.batches():
        centroids, members = ranker.cells.centroids, ranker.gallery.members.latlon
        sources = held_out.sources(ranker, rows)
        belief = ranker.believe(sources)
        prior = ranker.space.expected_utility(ranker.heads.prior[None]).argmax()
        scored = ranker.score(sources.features, sources.nearest, belief)
        points = (
            centroids[[prior] * len(rows)],
            centroids[sources.beliefs[1].argmax(axis=1)],
            members[np.maximum(scored.neighbour[:, 0], 0)],
            centroids[belief.argmax(axis=1)],
        )
        for name, point in zip(PARTS, points, strict=True):
            result[name][rows] = point
        nearest_km[rows] = NearestPoints(members).query(held_out.latlon[rows])[0][:, 0]
    return result, nearest_km


def labels_near(latlon: Float64Array, ranker: Ranker) -> Float32Array:
    """Return smoothed labels (N, C): 1 for the cell nearest to each photo, less farther away.

    They are those of `training.heads.losses.smoothed_labels`, in numpy: calibrating a bundle of
    others needs no torch.
    """
    places, centroids = unit_vectors(latlon), unit_vectors(ranker.cells.centroids)
    # in float64, as the cosine of a near place is too close to 1 for float32
    haversine = np.clip(0.5 - 0.5 * (places @ centroids.T), 0.0, 1.0)
    km = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(haversine))
    return np.asarray(np.exp((km.min(axis=1, keepdims=True) - km) / NEAR_KM), np.float32)
