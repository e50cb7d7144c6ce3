"""Refinement as PIGEON published it (section 5.3), for comparison with the ranker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.belief.heads import softmax
from geoloc.retrieval.gallery import Gallery
from geoloc.types import Float32Array, Float64Array

EMBEDDING_LENGTH = 16.0
"""The published temperatures are for distances between embeddings of any length. Ours have length 1
and are measured as if they had this one."""


@dataclass(frozen=True)
class Refinement:
    """How the cells of the classifier are weighed against the nearest prototypes in them."""

    top_cells: int
    temperature: float
    most_km: float
    """A refined answer farther than this from the classifier's is not believed."""


PRESETS = {
    "pigeon": Refinement(5, 1.6, 1000.0),
    "pigeotto": Refinement(40, 0.6, float("inf")),
}


def weigh(chance: Float32Array, distance: Float32Array, temperature: float) -> Float32Array:
    """Chance (N, K) of each cell times the softmax of its prototype's nearness."""
    return np.asarray(chance * softmax(-distance / temperature), np.float32)


def refine(
    refinement: Refinement,
    belief: Float32Array,
    features: Float32Array,
    gallery: Gallery,
    cells: CellTable,
) -> Float64Array:
    """The place of the most similar photo in the best cluster of the best cell.

    The authors' code takes the least similar photo by mistake; and where a refined answer is not
    believed, this one returns to the classifier's, as their paper says and their code does not.

    Args:
        refinement: one of PRESETS.
        belief: (N, C) of the classifier.
        features: (N, K) unit vectors.
        gallery: training photos in location clusters.
        cells: C geocells.

    Returns:
        (N, 2) degrees.
    """
    top = min(refinement.top_cells, belief.shape[1])
    best = np.argsort(-belief, axis=1, kind="stable")[:, :top].astype(np.int64)
    found = gallery.best_in(features, best)
    distance = EMBEDDING_LENGTH * np.sqrt(np.maximum(2.0 - 2.0 * found.similarity, 0.0))
    chance = np.take_along_axis(belief, best, axis=1)
    weight = weigh(chance, distance, refinement.temperature)
    pick = np.where(found.cluster >= 0, weight, -1.0).argmax(axis=1)[:, None]
    cluster = np.take_along_axis(found.cluster, pick, axis=1)
    member = gallery.members_of(features, cluster)[1][:, 0]
    refined = gallery.members.latlon[np.maximum(member, 0)]
    centre = cells.centroids[best[:, 0]]
    near = haversine_km(refined, centre) <= refinement.most_km
    return np.where((near & (member >= 0))[:, None], refined, centre)
