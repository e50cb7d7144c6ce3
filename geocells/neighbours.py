"""Exact nearest neighbours on the sphere."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from geocells.sphere import EARTH_RADIUS_KM, dot, haversine_km, unit_vectors
from geocells.types import Float64Array, IndexArray

_BRUTE_FORCE_PAIRS = 4_000_000
"""Up to here a matrix product is quicker than importing scipy and building a tree."""


class NearestVectors:
    """Directions that can be searched from anywhere; chords order like distances on the sphere."""

    def __init__(self, xyz: Float64Array) -> None:
        """Take the (M, 3) vectors to search among, of length 1 or a little less."""
        self._xyz = xyz

    def search(self, xyz: Float64Array, k: int = 1) -> IndexArray:
        """Indices (N, k) of the k nearest to each of (N, 3) unit vectors, nearest first."""
        if "_tree" not in self.__dict__ and len(xyz) * len(self._xyz) <= _BRUTE_FORCE_PAIRS:
            cosines = dot(xyz[:, None], self._xyz)
            index = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(cosines, index, axis=1), axis=1)
            return np.take_along_axis(index, order, axis=1)
        nearest: IndexArray = self._tree.query(xyz, k=np.arange(1, k + 1))[1]
        return nearest

    def within(self, xyz: Float64Array, chord: float) -> tuple[IndexArray, IndexArray]:
        """All pairs of (N, 3) unit vectors and unit vectors of here that are so near.

        Returns:
            (P,) rows of `xyz` and (P,) indices, in any order.
        """
        if "_tree" not in self.__dict__ and len(xyz) * len(self._xyz) <= _BRUTE_FORCE_PAIRS:
            row, index = np.nonzero(dot(xyz[:, None], self._xyz) >= 1.0 - chord**2 / 2.0)
            return row, index
        # two trees against each other need a quarter of the time of one search per query
        pairs = _kd_tree(xyz).sparse_distance_matrix(self._tree, chord, output_type="ndarray")
        return pairs["i"], pairs["j"]

    @cached_property
    def _tree(self) -> Any:  # noqa: ANN401
        return _kd_tree(self._xyz)


def _kd_tree(xyz: Float64Array) -> Any:  # noqa: ANN401
    from scipy.spatial import KDTree

    # an unbalanced tree is built in half the time and queried as fast
    return KDTree(xyz, balanced_tree=False, compact_nodes=False)


class NearestPoints:
    """Points that can be searched from anywhere."""

    def __init__(self, latlon: Float64Array) -> None:
        """Take the (M, 2) degrees to search among."""
        self.latlon = latlon
        self._vectors = NearestVectors(unit_vectors(latlon))

    def query(self, latlon: Float64Array, k: int = 1) -> tuple[Float64Array, IndexArray]:
        """The k nearest points of each query, nearest first.

        Args:
            latlon: (N, 2) degrees.
            k: 1 <= k <= M.

        Returns:
            (N, k) kilometres and (N, k) indices.
        """
        index = self._vectors.search(unit_vectors(latlon), k)
        return haversine_km(latlon[:, None], self.latlon[index]), index

    def within(self, latlon: Float64Array, radius_km: float) -> tuple[IndexArray, IndexArray]:
        """All points within a distance of each query.

        Args:
            latlon: (N, 2) degrees.
            radius_km: up to half the way around the Earth.

        Returns:
            (P,) rows of queries and (P,) indices of points, one pair each, in any order.
        """
        chord = 2.0 * np.sin(radius_km / EARTH_RADIUS_KM / 2.0)
        return self._vectors.within(unit_vectors(latlon), chord)
