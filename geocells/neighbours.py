"""Exact nearest-neighbour search on the sphere."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.sphere import EARTH_RADIUS_KM, dot, haversine_km, unit_vectors
from geocells.types import Float64Array, IndexArray

_BRUTE_FORCE_PAIRS = 20_000_000
"""Up to this number of pairs in all searches of an index, brute force is faster than importing
scipy and building a tree."""

_SINGLE_ERROR = 2e-6
"""More than the rounding of a cosine in single precision."""

_BLOCK = 32
"""Values of which only the largest one is looked at first."""


def at_most_kth(values: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
    """Return a number (N,) for each row (N, M) that at least k of its values reach.

    The k-th largest of the maxima of blocks is close to the k-th largest value, and not above. This
    takes a tenth of the time of sorting.
    """
    whole = values.shape[1] // _BLOCK * _BLOCK
    if whole >= 2 * k * _BLOCK:
        values = values[:, :whole].reshape(len(values), -1, _BLOCK).max(axis=2)
    place = values.shape[1] - k
    return np.asarray(np.partition(values, place, axis=1)[:, place])


class NearestVectors:
    """Nearest-neighbour index over unit vectors.

    Chords have the same order as distances on the sphere.
    """

    def __init__(self, xyz: Float64Array) -> None:
        """Index (M, 3) vectors of length 1 or slightly less."""
        self._xyz = xyz
        self._pairs = 0

    def search(self, xyz: Float64Array, k: int = 1) -> IndexArray:
        """Return indices (N, k) of the vectors nearest to each of (N, 3) queries, nearest first."""
        if self._few(len(xyz)):
            found = [self._nearest(each, k) for each in xyz]
            return np.stack(found) if found else np.empty((0, k), np.intp)
        nearest: IndexArray = self._tree.query(xyz, k=np.arange(1, k + 1))[1]
        return nearest

    def within(self, xyz: Float64Array, chord: float) -> tuple[IndexArray, IndexArray]:
        """Return all pairs of (N, 3) query vectors and indexed vectors within a chord length.

        Returns:
            (P,) rows of `xyz` and (P,) indices of indexed vectors, in any order.
        """
        if self._few(len(xyz)):
            row, index = np.nonzero(dot(xyz[:, None], self._xyz) >= 1.0 - chord**2 / 2.0)
            return row, index
        # joining two trees takes a quarter of the time of one search per query
        pairs = _kd_tree(xyz).sparse_distance_matrix(self._tree, chord, output_type="ndarray")
        return pairs["i"], pairs["j"]

    def _few(self, queries: int) -> bool:
        """Count more queries, and return whether they are too few for a tree."""
        self._pairs += queries * len(self._xyz)
        return self._pairs <= _BRUTE_FORCE_PAIRS

    def _nearest(self, xyz: Float64Array, k: int) -> IndexArray:
        """Return the indices (k,) of the vectors nearest to one (3,), by brute force.

        Single precision selects those that are compared exactly.
        """
        cosines = xyz.astype(np.float32) @ self._single
        least = at_most_kth(cosines[None], k)[0]
        near = np.flatnonzero(cosines >= least - np.float32(_SINGLE_ERROR))
        exact = dot(xyz, self._xyz[near])
        return near[np.argsort(-exact, kind="stable")[:k]]

    @cached_property
    def _single(self) -> npt.NDArray[np.float32]:
        """The vectors (3, M) in single precision."""
        return np.ascontiguousarray(self._xyz.T, np.float32)

    @cached_property
    def _tree(self) -> Any:  # noqa: ANN401
        return _kd_tree(self._xyz)


def _kd_tree(xyz: Float64Array) -> Any:  # noqa: ANN401
    from scipy.spatial import KDTree

    # an unbalanced tree is built in half the time, and queries are as fast
    return KDTree(xyz, balanced_tree=False, compact_nodes=False)


class NearestPoints:
    """Nearest-neighbour index over coordinates."""

    def __init__(self, latlon: Float64Array, xyz: Float64Array | None = None) -> None:
        """Index (M, 2) degrees; `xyz` are their unit vectors, if they are known."""
        self.latlon = latlon
        self._vectors = NearestVectors(unit_vectors(latlon) if xyz is None else xyz)

    def query(self, latlon: Float64Array, k: int = 1) -> tuple[Float64Array, IndexArray]:
        """Return the k nearest points of each query, nearest first.

        Args:
            latlon: (N, 2) degrees.
            k: 1 <= k <= M.

        Returns:
            (N, k) kilometres and (N, k) indices.
        """
        index = self._vectors.search(unit_vectors(latlon), k)
        return haversine_km(latlon[:, None], self.latlon[index]), index

    def within(self, latlon: Float64Array, radius_km: float) -> tuple[IndexArray, IndexArray]:
        """Return all points within a distance of each query.

        Args:
            latlon: (N, 2) degrees.
            radius_km: at most half the circumference of the Earth.

        Returns:
            (P,) rows of `latlon` and (P,) indices of points, in any order.
        """
        chord = 2.0 * np.sin(radius_km / EARTH_RADIUS_KM / 2.0)
        return self._vectors.within(unit_vectors(latlon), chord)
