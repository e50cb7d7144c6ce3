"""Exact nearest neighbours on the sphere."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.sphere import FloatArray, haversine_km, unit_vectors

_BRUTE_FORCE_PAIRS = 4_000_000
"""Up to here a matrix product is quicker than importing scipy and building a tree."""


class NearestPoints:
    """Points that can be searched from anywhere; chords of the unit sphere order like distances."""

    def __init__(self, latlon: FloatArray) -> None:
        """Take the (M, 2) degrees to search among."""
        self.latlon = latlon
        self._vectors = unit_vectors(latlon)

    def query(self, latlon: FloatArray, k: int = 1) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """The k nearest points of each query, nearest first.

        Args:
            latlon: (N, 2) degrees.
            k: 1 <= k <= M.

        Returns:
            (N, k) kilometres and (N, k) indices.
        """
        vectors = unit_vectors(latlon)
        if "_tree" not in self.__dict__ and len(latlon) * len(self.latlon) <= _BRUTE_FORCE_PAIRS:
            cosines = vectors @ self._vectors.T
            index = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(cosines, index, axis=1), axis=1)
            index = np.take_along_axis(index, order, axis=1)
        else:
            index = self._tree.query(vectors, k=np.arange(1, k + 1))[1]
        return haversine_km(latlon[:, None], self.latlon[index]), index

    @cached_property
    def _tree(self) -> Any:  # noqa: ANN401
        from scipy.spatial import KDTree

        # an unbalanced tree is built in half the time and queried as fast
        return KDTree(self._vectors, balanced_tree=False, compact_nodes=False)
