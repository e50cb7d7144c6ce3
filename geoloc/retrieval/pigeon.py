"""Refinement as published with PIGEON (section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import softmax
from geoloc.retrieval.gallery import Gallery
from geoloc.types import Float32Array, Float64Array, Int64Array

EMBEDDING_LENGTH = 16.0
"""Assumed length of embeddings: the published temperatures are for embeddings that are not
normalised."""


@dataclass(frozen=True)
class Refinement:
    """Weights of the classifier's cells and of the nearest prototypes inside them."""

    top_cells: int
    temperature: float
    max_km: float
    """Refined answers farther than this from the classifier's answer are rejected."""


PRESETS = {
    "pigeon": Refinement(5, 1.6, 1000.0),
    "pigeotto": Refinement(40, 0.6, 100_000.0),
}


@dataclass(frozen=True, eq=False)
class Refined:
    """The answers to N photos."""

    cell: Int64Array
    """(N,) cells."""
    latlon: Float64Array
    """(N, 2) degrees."""


def weigh(probability: Float32Array, distance: Float32Array, temperature: float) -> Float32Array:
    """Return the probabilities (N, K) of cells times the softmax of their prototypes' proximity."""
    return np.asarray(probability * softmax(-distance / temperature), np.float32)


def refine(
    refinement: Refinement,
    belief: Float32Array,
    features: Float32Array,
    gallery: Gallery,
    cells: CellTable,
    constraint: ConstraintMask | None = None,
) -> Refined:
    """Return the place of the most similar photo in the best cluster of the best cell.

    This follows the paper where the authors' code differs from it: their code takes the least
    similar photo, and does not return to the classifier's answer if a refined answer is rejected.

    Args:
        refinement: one of PRESETS.
        belief: (N, C) of the classifier.
        features: (N, K) unit vectors.
        gallery: location clusters of training photos.
        cells: C geocells.
        constraint: excludes all clusters outside, and moves the centroids inside.
    """
    top = min(refinement.top_cells, belief.shape[1])
    best = np.argsort(-belief, axis=1, kind="stable")[:, :top].astype(np.int64)
    found = gallery.best_in(features, best, constraint)
    distance = EMBEDDING_LENGTH * np.sqrt(np.maximum(2.0 - 2.0 * found.similarity, 0.0))
    probability = np.take_along_axis(belief, best, axis=1)
    weight = weigh(probability, distance, refinement.temperature)
    pick = np.where(found.cluster >= 0, weight, -1.0).argmax(axis=1)[:, None]
    cluster = np.take_along_axis(found.cluster, pick, axis=1)
    member = gallery.members_of(features, cluster)[1][:, 0]
    refined = gallery.members.latlon[np.maximum(member, 0)]
    centroids = cells.centroids if constraint is None else constraint.centroids
    centre = centroids[best[:, 0]]
    taken = (haversine_km(refined, centre) <= refinement.max_km) & (member >= 0)
    cell = np.where(taken, np.take_along_axis(best, pick, axis=1)[:, 0], best[:, 0])
    return Refined(cell, np.where(taken[:, None], refined, centre))
