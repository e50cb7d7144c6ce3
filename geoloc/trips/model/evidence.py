"""Visual evidence of N photos: the sparse part of their beliefs, and their answers when alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.answer.ranking import Ranking
from geoloc.geolocator import Geolocator
from geoloc.types import Float32Array, Float64Array, IndexArray, Int32Array

KEPT_CELLS = 256
"""Cells of each photo's belief that are kept; the others share the rest."""

BATCH = 512


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the pictures of N photos say, in memory that does not grow with the number of cells."""

    cell: Int32Array
    """(N, K) most probable cells."""
    belief: Float32Array
    """(N, K) their belief."""
    features: Float32Array
    """(N, F) retrieval features, unit vectors."""
    answer: Float64Array
    """(N, 2) degrees: the answer for the photo alone."""
    radii_km: Float32Array
    """(N, 3) its calibrated radii."""
    probability: Float32Array
    """(N,) calibrated probability that it is right within 25 km."""
    centroids: Float64Array
    """(C, 2) degrees."""
    prior: Float32Array
    """(C,) probability of each cell before a photo is seen."""

    def __len__(self) -> int:
        return len(self.answer)

    def take(self, rows: IndexArray) -> Evidence:
        """Return the evidence of some photos."""
        return replace(
            self,
            cell=self.cell[rows],
            belief=self.belief[rows],
            features=self.features[rows],
            answer=self.answer[rows],
            radii_km=self.radii_km[rows],
            probability=self.probability[rows],
        )

    def log_likelihood(self, cells: IndexArray, alpha: float, nowhere: float) -> Float64Array:
        """Return the tempered evidence (N, S) of each photo in some cells (S,).

        It is log((1 - nowhere) (belief / flat)^alpha + nowhere): the belief of classifier and votes
        already rests on cells of equal numbers of photos, so the flat belief is their prior. The
        constant is the explicit state "not a place": a photo without a place, or a misleading one,
        cannot exclude any.

        Args:
            cells: rows of the cell table, without repetition.
            alpha: exponent below 1, because the photos of a journey err together.
            nowhere: probability that a photo shows no place.
        """
        count = len(self.centroids)
        column = np.full(count, -1)
        column[cells] = np.arange(len(cells))
        rest = np.maximum(1.0 - self.belief.sum(axis=1, dtype=np.float64), 1e-4)
        ratio = np.repeat(rest[:, None] * count / max(count - KEPT_CELLS, 1), len(cells), axis=1)
        row, kept = np.nonzero(column[self.cell] >= 0)
        ratio[row, column[self.cell[row, kept]]] = self.belief[row, kept] * float(count)
        tempered = np.power(np.maximum(ratio, 1e-6), alpha)
        return np.asarray(np.log((1.0 - nowhere) * tempered + nowhere))


def gather(
    locator: Geolocator,
    embeddings: Float32Array,
    progress: Callable[[int], None] = lambda done: None,
) -> Evidence:
    """Rank N photos and keep what the model of a journey needs.

    Args:
        locator: with the bundle.
        embeddings: (N, D) unit vectors.
        progress: called after each batch with its number of photos.
    """
    parts = []
    for start in range(0, len(embeddings), BATCH):
        ranking = locator.rank(embeddings[start : start + BATCH])
        parts.append(of_ranking(locator.bundle.ranker, ranking))
        progress(len(parts[-1]))
    names = ("cell", "belief", "features", "answer", "radii_km", "probability")
    columns = {name: np.concatenate([getattr(each, name) for each in parts]) for name in names}
    return replace(parts[0], **columns)


def of_ranking(ranker: Ranker, ranking: Ranking) -> Evidence:
    """Return the evidence of the photos of one ranking."""
    kept = min(KEPT_CELLS, ranking.belief.shape[1])
    cell = np.argpartition(-ranking.belief, kept - 1, axis=1)[:, :kept]
    return Evidence(
        cell.astype(np.int32),
        np.take_along_axis(ranking.belief, cell, axis=1),
        ranking.features,
        ranking.answer,
        ranking.radii_km,
        ranking.answer_probability,
        ranker.cells.centroids,
        ranker.heads.prior,
    )
