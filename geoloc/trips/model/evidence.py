"""Visual evidence of N photos: the sparse part of their beliefs, and their answers when alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from geoloc.answer.calibration import Consensus
from geoloc.answer.ranker import Ranker
from geoloc.answer.ranking import Ranking
from geoloc.geolocator import Geolocator
from geoloc.photos.decode import Photo
from geoloc.types import Float32Array, Float64Array, IndexArray, Int32Array

STAY_S = 600.0
"""Photos this near in time are of one stay."""

KEPT_CELLS = 256
"""Cells of each photo's belief that are kept; the others share the rest."""

BATCH = 512


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the pictures of N photos say, in memory that does not grow with the number of cells."""

    cell: Int32Array
    """(N, K) most probable cells."""
    belief: Float32Array
    """(N, K) their belief by the picture alone."""
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
    stated: Float32Array | None = None
    """(N, K + 1) log-likelihood of what witnesses found in each cell, last in all others; None if
    there are no witnesses. It counts in full: signs of two photos do not err together."""
    consensus: Consensus = field(default_factory=Consensus)
    """How much several photos of one place say together."""

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
            stated=None if self.stated is None else self.stated[rows],
        )

    def exponents(self, time_s: Float64Array, alpha: float) -> Float64Array:
        """Return the exponent (N,) of the evidence of each photo.

        The photos of a stay, which are those within STAY_S, share one question, as those that are
        located together.

        Args:
            time_s: (N,) ascending.
            alpha: the largest, as all photos of a journey err together: in a country, say, that the
                bundle does not know.
        """
        first = np.searchsorted(time_s, time_s - STAY_S, side="left")
        photos = np.searchsorted(time_s, time_s + STAY_S, side="right") - first
        return np.minimum(alpha, self.consensus.exponents(photos.astype(np.float32)))

    def log_likelihood(
        self, cells: IndexArray, alpha: float | Float64Array, nowhere: float
    ) -> Float64Array:
        """Return the tempered evidence (N, S) of each photo in some cells (S,).

        It is log((1 - nowhere) (belief / flat)^alpha stated + nowhere). The belief of classifier
        and votes already rests on cells of equal numbers of photos, so the flat belief is their
        prior. The constant is the explicit state "not a place": a photo without a place, or a
        misleading one, cannot exclude any.

        Args:
            cells: rows of the cell table, without repetition.
            alpha: exponents (N,), or one for all, below 1: the photos of a journey err together.
            nowhere: probability that a photo shows no place.
        """
        count = len(self.centroids)
        column = np.full(count, -1)
        column[cells] = np.arange(len(cells))
        rest = np.maximum(1.0 - self.belief.sum(axis=1, dtype=np.float64), 1e-4)
        ratio = np.repeat(rest[:, None] * count / max(count - KEPT_CELLS, 1), len(cells), axis=1)
        row, kept = np.nonzero(column[self.cell] >= 0)
        ratio[row, column[self.cell[row, kept]]] = self.belief[row, kept] * float(count)
        exponent = np.broadcast_to(alpha, len(ratio))[:, None]
        tempered = np.power(np.maximum(ratio, 1e-6), exponent)
        if self.stated is not None:
            said = np.repeat(self.stated[:, -1:].astype(np.float64), len(cells), axis=1)
            said[row, column[self.cell[row, kept]]] = self.stated[row, kept]
            tempered *= np.exp(said)
        return np.asarray(np.log((1.0 - nowhere) * tempered + nowhere))


def gather(
    locator: Geolocator, embeddings: Float32Array, photos: Sequence[Photo] | None = None
) -> Evidence:
    """Rank N photos and keep what the model of a journey needs.

    Args:
        locator: with the bundle.
        embeddings: (N, D) unit vectors.
        photos: (N,) with the observations of witnesses; None if none were asked.
    """
    parts = []
    for start in range(0, len(embeddings), BATCH):
        rows = slice(start, start + BATCH)
        ranking = locator.rank(embeddings[rows], photos=None if photos is None else photos[rows])
        said = None if photos is None else _said(locator, photos[rows])
        parts.append(of_ranking(locator.bundle.ranker, ranking, said))
    return joined(parts)


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Return the evidence of the photos of several parts, in their order."""
    names = ["cell", "belief", "features", "answer", "radii_km", "probability"]
    names += [] if parts[0].stated is None else ["stated"]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(each, name) for each in parts]) for name in names
    }
    return replace(parts[0], **columns)


def _said(locator: Geolocator, photos: Sequence[Photo]) -> Float32Array:
    """Return the tempered log-likelihoods (N, C) of the observations of photos."""
    weights, prior = locator.bundle.witness_weights, locator.bundle.ranker.heads.prior
    said = np.zeros((len(photos), len(prior)), np.float32)
    for row, photo in enumerate(photos):
        counted = [each for each in photo.observations if each.counted]
        if counted:
            said[row] = weights.combine(counted, prior)
    return said


def of_ranking(ranker: Ranker, ranking: Ranking, said: Float32Array | None = None) -> Evidence:
    """Return the evidence of the N photos of one ranking.

    Args:
        ranker: whose ranking it is.
        ranking: with the evidence of witnesses.
        said: (N, C) that evidence; None for none.
    """
    kept = min(KEPT_CELLS, ranking.belief.shape[1])
    cell = np.argpartition(-ranking.belief, kept - 1, axis=1)[:, :kept]
    belief, stated = ranking.belief, None
    if said is not None:
        belief = belief * np.exp(-said)
        belief = belief / belief.sum(axis=1, keepdims=True)
        others = np.maximum(1.0 - np.take_along_axis(belief, cell, axis=1).sum(axis=1), 1e-6)
        inside = np.take_along_axis(ranking.belief, cell, axis=1).sum(axis=1)
        total = (ranking.belief * np.exp(-said)).sum(axis=1)
        rest = np.log(np.maximum((1.0 - inside) / total / others, 1e-6))
        stated = np.column_stack([np.take_along_axis(said, cell, axis=1), rest])
    return Evidence(
        cell.astype(np.int32),
        np.take_along_axis(belief, cell, axis=1),
        ranking.features,
        ranking.answer,
        ranking.radii_km,
        ranking.answer_probability,
        ranker.cells.centroids,
        ranker.heads.prior,
        None if stated is None else stated.astype(np.float32),
        ranker.calibration.consensus,
    )
