"""The point with the highest expected GeoGuessr score, for photos that no city is sure of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from geocells.derived import Arrays, Source, derived
from geocells.sphere import pairwise_km
from geoloc.belief.fusion import ConstraintMask
from geoloc.metrics import GEOGUESSR_SCALE_KM
from geoloc.types import Float32Array, Float64Array, Int64Array

MAX_POINTS = 2048
"""Points that are compared, those with the largest prior."""

LOCALISED = 0.15
"""Probability of the first place from which on it is the answer; below, the point with the highest
expected score is, unless it lies in the same city. With 0.5, a third fewer photos of new
collections are answered within 1 km, and the mean score is no higher."""


@dataclass(frozen=True, eq=False)
class Hedge:
    """Points that can be answered, with their score under every cell."""

    cell: Int64Array
    """(A,) the cell of each point."""
    points: Float64Array
    """(A, 2) degrees."""
    kernel: Float32Array
    """(C, A) score, 0..1, of answering a point when the photo was taken at a cell's centre."""

    @classmethod
    def over(
        cls, centroids: Float64Array, prior: Float32Array, constraint: ConstraintMask | None
    ) -> Hedge:
        """Prepare the points: centroids of cells, or points inside a constraint.

        Args:
            centroids: (C, 2) degrees.
            prior: (C,), which selects the points.
            constraint: excludes all cells outside.
        """
        places, weight = centroids, prior
        if constraint is not None:
            places, weight = constraint.centroids, prior * constraint.share
        if constraint is None:
            sources: list[Source] = [places, weight, GEOGUESSR_SCALE_KM, MAX_POINTS]
            return cls(*derived("hedge 1", sources, partial(_prepared, places, weight)))
        return cls(*_prepared(places, weight))

    def best(self, belief: Float32Array) -> Int64Array:
        """Return the row (N,) of the point with the highest expected score under beliefs (N, C)."""
        return np.asarray((belief @ self.kernel).argmax(axis=1), np.int64)


def _prepared(places: Float64Array, weight: Float32Array) -> Arrays:
    """Return the fields of a `Hedge` for places (C, 2) and their weights (C,)."""
    cell = np.argsort(-weight, kind="stable")[:MAX_POINTS]
    cell = cell[weight[cell] > 0.0]
    points = places[cell]
    kernel = np.zeros((len(places), len(cell)), np.float32)
    possible = np.flatnonzero(weight > 0.0)
    distance = pairwise_km(places[possible], points, np.float32)
    kernel[possible] = np.exp(-distance / GEOGUESSR_SCALE_KM)
    return cell.astype(np.int64), points, kernel
