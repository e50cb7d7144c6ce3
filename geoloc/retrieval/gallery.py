"""`Gallery`: search for the location clusters and gallery photos most similar to a photo."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.belief.fusion import ConstraintMask
from geoloc.retrieval import index as indexes
from geoloc.retrieval.tables import MEMBERS, Clusters, Members, members_file
from geoloc.types import Float32Array, IndexArray, Int64Array

EXHAUSTIVE_CLUSTERS = 50_000
"""Up to this number of clusters, all are searched; above, only those in the probed cells."""

PROBED_CELLS = 64
"""Cells searched in a large gallery: half are the most probable ones, half those with the most
similar mean prototypes."""

MAX_MEMBERS = 256
"""Members compared with each photo, over all its nearest clusters."""

FEW = 4
"""Up to this number of photos, all lists are searched, which needs no flat index. Whether there is
one already is not asked: the last bits of an answer must not depend on earlier questions."""

FILES = ("clusters.parquet", MEMBERS, "prototypes.faiss", "members.faiss")
"""Files of a gallery."""

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class NearestClusters:
    """The k most similar location clusters of N photos."""

    similarity: Float32Array
    """(N, k) inner products of photo and prototype, descending; -1 for none."""
    cluster: Int64Array
    """(N, k) rows of the cluster table; -1 for none."""

    def take(self, rows: slice | IndexArray) -> NearestClusters:
        """Return the clusters of some photos."""
        return NearestClusters(self.similarity[rows], self.cluster[rows])


class Gallery:
    """Location clusters and their members, with their FAISS indexes.

    Clusters are searched by their prototypes: mean features, blended with those of their
    surroundings (`training.gallery.prototypes`). The members of the clusters found are then
    compared one by one.
    """

    def __init__(self, clusters: Clusters, members: Members, prototypes: Any, photos: Any) -> None:  # noqa: ANN401
        """Combine tables and indexes.

        Args:
            clusters: L clusters, sorted by cell.
            members: M gallery photos, sorted by cluster.
            prototypes: FAISS index of the clusters, with a list for each cell.
            photos: FAISS index of the members, with a list for each cluster.
        """
        self.clusters, self.members = clusters, members
        self.prototypes, self.photos = prototypes, photos

    @classmethod
    def build(
        cls,
        clusters: Clusters,
        members: Members,
        prototypes: indexes.Vectors,
        features: indexes.Vectors,
        n_cells: int,
    ) -> Gallery:
        """Index clusters by their prototypes (L, K) and members by their features (M, K).

        Both may be mapped and in half precision; they are read a block at a time.
        """
        total = np.zeros((n_cells, prototypes.shape[1]), np.float32)
        for start in range(0, len(prototypes), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            np.add.at(total, clusters.cell[rows], prototypes[rows].astype(np.float32))
        count = np.maximum(np.bincount(clusters.cell, minlength=n_cells), 1)
        by_cell = indexes.build_scalar(
            prototypes, clusters.cell, np.asarray(total / count[:, None], np.float32)
        )
        by_cluster = indexes.build_compact(features, members.cluster, len(clusters))
        return cls(clusters, members, by_cell, by_cluster)

    def write(self, folder: Path, prefix: str = "") -> None:
        """Write the FILES of a gallery; their names begin with `prefix`."""
        self.clusters.write(folder / f"{prefix}clusters.parquet")
        self.members.write(folder / f"{prefix}{MEMBERS}")
        indexes.write(self.prototypes, folder / f"{prefix}prototypes.faiss")
        indexes.write(self.photos, folder / f"{prefix}members.faiss")

    @classmethod
    def read(cls, folder: Path, n_cells: int, prefix: str = "") -> Gallery:
        """Read the files that `write` wrote.

        Raises:
            BundleError: a file is damaged, or belongs to other tables or another number of cells.
        """
        clusters = Clusters.read(folder / f"{prefix}clusters.parquet")
        members = Members.read(members_file(folder, prefix))
        prototypes = indexes.read(folder / f"{prefix}prototypes.faiss", len(clusters), n_cells)
        photos = indexes.read(folder / f"{prefix}members.faiss", len(members), len(clusters))
        return cls(clusters, members, prototypes, photos)

    def search(
        self,
        features: Float32Array,
        belief: Float32Array,
        k: int,
        constraint: ConstraintMask | None = None,
    ) -> NearestClusters:
        """Return the k most similar clusters, of all or, in a large gallery, of the probed cells.

        Args:
            features: (N, K) unit vectors.
            belief: (N, C), which selects the probed cells.
            k: number of clusters for each photo.
            constraint: excludes all clusters outside.
        """
        exhaustive = len(self.clusters) <= EXHAUSTIVE_CLUSTERS
        if exhaustive and constraint is None and len(features) > FEW:
            similarity, cluster = self._flat.search(features, min(k, len(self.clusters)))
            return NearestClusters(similarity, cluster)
        if exhaustive:
            lists = np.tile(np.arange(belief.shape[1]), (len(features), 1))
        else:
            lists = self._probed_cells(features, belief)
        inside = None if constraint is None else constraint.clusters
        return NearestClusters(*indexes.search(self.prototypes, features, lists, k, inside))

    def votes(self, share: Float32Array, cluster: Int64Array, n_cells: int) -> Float32Array:
        """Return the votes (N, n_cells) of clusters (N, k), each with its share for its cell."""
        votes = np.zeros((len(cluster), n_cells), np.float32)
        cell = self.clusters.cell[np.maximum(cluster, 0)]
        np.add.at(votes, (np.arange(len(cluster))[:, None], cell), share)
        return votes

    def best_in(
        self, features: Float32Array, cells: Int64Array, constraint: ConstraintMask | None = None
    ) -> NearestClusters:
        """Return the most similar cluster in each of the cells (N, P)."""
        queries = np.repeat(features, cells.shape[1], axis=0)
        inside = None if constraint is None else constraint.clusters
        similarity, cluster = indexes.search(
            self.prototypes, queries, cells.reshape(-1, 1), 1, inside
        )
        return NearestClusters(similarity.reshape(cells.shape), cluster.reshape(cells.shape))

    def members_of(
        self, features: Float32Array, cluster: Int64Array
    ) -> tuple[Float32Array, Int64Array]:
        """Return the most similar members of given clusters.

        Args:
            features: (N, K) unit vectors.
            cluster: (N, P) clusters to compare each photo with; -1 for none.

        Returns:
            (N, MAX_MEMBERS) similarities, descending, and member rows; -1 and -1 beyond the last.
        """
        return indexes.search(self.photos, features, cluster, MAX_MEMBERS)

    def most_similar(self, features: Float32Array, k: int) -> tuple[Float32Array, Int64Array]:
        """Return the k most similar of all members: (N, k) similarities, descending, and rows."""
        if len(features) > FEW:
            similarity, row = self._flat_photos.search(np.ascontiguousarray(features), k)
            return np.asarray(similarity, np.float32), np.asarray(row, np.int64)
        every = np.tile(np.arange(len(self.clusters)), (len(features), 1))
        return indexes.search(self.photos, features, every, k)

    def prototypes_of(self, cluster: Int64Array) -> Float32Array:
        """Return the prototypes (..., K) of clusters (...)."""
        return indexes.vectors_of(self.prototypes, cluster)

    def cell_similarity(self, features: Float32Array) -> Float32Array:
        """Return similarities (N, C) to the mean prototype of each cell; 0 for an empty cell."""
        return np.asarray(features @ self._cell_prototypes.T, np.float32)

    def _probed_cells(self, features: Float32Array, belief: Float32Array) -> Int64Array:
        """Return (N, PROBED_CELLS) cells; -1 instead of a repeated one."""
        half = min(PROBED_CELLS // 2, belief.shape[1])
        similarity = self.cell_similarity(features)
        probable, similar = (
            np.argpartition(-score, half - 1, axis=1)[:, :half] for score in (belief, similarity)
        )
        repeated = (similar[:, :, None] == probable[:, None, :]).any(axis=2)
        return np.hstack([probable, np.where(repeated, -1, similar)]).astype(np.int64)

    @cached_property
    def _flat(self) -> Any:  # noqa: ANN401
        return indexes.flat(self.prototypes)

    @cached_property
    def _flat_photos(self) -> Any:  # noqa: ANN401
        return indexes.flat(self.photos)

    @cached_property
    def _cell_prototypes(self) -> Float32Array:
        """(C, K) mean of the prototypes in each cell."""
        return indexes.centres(self.prototypes)
