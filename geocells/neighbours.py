"""Exact nearest neighbours on the sphere."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.sphere import FloatArray, dot, haversine_km, unit_vectors

_BRUTE_FORCE_PAIRS = 4_000_000
"""Up to here a matrix product is quicker than importing scipy and building a tree."""


class NearestVectors:
    """Directions that can be searched from anywhere; chords order like distances on the sphere."""

    def __init__(self, xyz: FloatArray) -> None:
        """Take the (M, 3) vectors to search among, of length 1 or a little less."""
        self._xyz = xyz

    def search(self, xyz: FloatArray, k: int = 1) -> npt.NDArray[np.intp]:
        """Indices (N, k) of the k nearest to each of (N, 3) unit vectors, nearest first."""
        if "_tree" not in self.__dict__ and len(xyz) * len(self._xyz) <= _BRUTE_FORCE_PAIRS:
            cosines = dot(xyz[:, None], self._xyz)
            index = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(cosines, index, axis=1), axis=1)
            return np.take_along_axis(index, order, axis=1)
        nearest: npt.NDArray[np.intp] = self._tree.query(xyz, k=np.arange(1, k + 1))[1]
        return nearest

    @cached_property
    def _tree(self) -> Any:  # noqa: ANN401
        from scipy.spatial import KDTree

        # an unbalanced tree is built in half the time and queried as fast
        return KDTree(self._xyz, balanced_tree=False, compact_nodes=False)


class NearestPoints:
    """Points that can be searched from anywhere."""

    def __init__(self, latlon: FloatArray) -> None:
        """Take the (M, 2) degrees to search among."""
        self.latlon = latlon
        self._vectors = NearestVectors(unit_vectors(latlon))

    def query(self, latlon: FloatArray, k: int = 1) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """The k nearest points of each query, nearest first.

        Args:
            latlon: (N, 2) degrees.
            k: 1 <= k <= M.

        Returns:
            (N, k) kilometres and (N, k) indices.
        """
        index = self._vectors.search(unit_vectors(latlon), k)
        return haversine_km(latlon[:, None], self.latlon[index]), index
