"""Retrieval: from a photo to the location clusters and known photos that look most like it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.belief.fusion import ConstraintMask
from geoloc.retrieval import index as indexes
from geoloc.retrieval.tables import Clusters, Members
from geoloc.types import Float32Array, Int64Array

SEARCH_ALL_UP_TO = 50_000
"""So many clusters are all searched; of more, those in the cells that look right."""

CELLS_SEARCHED = 64
"""Half of them believed in most, half with the most similar prototypes."""

MEMBERS_FOUND = 256
"""Known photos that are looked at for each photo, in the clusters found."""


@dataclass(frozen=True, eq=False)
class Found:
    """The most similar location clusters of N photos."""

    similarity: Float32Array
    """(N, k) of photo and prototype, descending; -1 where there is none."""
    cluster: Int64Array
    """(N, k) rows of the cluster table; -1 where there is none."""


class Gallery:
    """Location clusters and their members with their FAISS indexes.

    What is searched are the prototypes: a cluster's mean feature, blended with those of its
    surroundings (`training.gallery.prototypes`). Its members then tell how much a single photo
    resembles.
    """

    def __init__(self, clusters: Clusters, members: Members, prototypes: Any, photos: Any) -> None:  # noqa: ANN401
        """Put together the parts of a bundle.

        Args:
            clusters: L clusters, sorted by cell.
            members: M known photos, sorted by cluster.
            prototypes: FAISS index of the clusters, a list for each cell.
            photos: FAISS index of the members, a list for each cluster.
        """
        self.clusters, self.members = clusters, members
        self.prototypes, self.photos = prototypes, photos

    @classmethod
    def build(
        cls,
        clusters: Clusters,
        members: Members,
        prototypes: Float32Array,
        features: Float32Array,
        n_cells: int,
    ) -> Gallery:
        """Index clusters by their prototypes (L, K) and members by their features (M, K)."""
        total = np.zeros((n_cells, prototypes.shape[1]), np.float32)
        np.add.at(total, clusters.cell, prototypes)
        count = np.maximum(np.bincount(clusters.cell, minlength=n_cells), 1)
        by_cell = indexes.build_scalar(
            prototypes, clusters.cell, np.asarray(total / count[:, None], np.float32)
        )
        by_cluster = indexes.build_compact(features, members.cluster, len(clusters))
        return cls(clusters, members, by_cell, by_cluster)

    def write(self, folder: Path) -> None:
        """Write clusters.parquet, members.parquet, prototypes.faiss and members.faiss."""
        self.clusters.write(folder / "clusters.parquet")
        self.members.write(folder / "members.parquet")
        indexes.write(self.prototypes, folder / "prototypes.faiss")
        indexes.write(self.photos, folder / "members.faiss")

    @classmethod
    def read(cls, folder: Path, n_cells: int) -> Gallery:
        """Read what `write` wrote for so many cells; raises BundleError."""
        clusters = Clusters.read(folder / "clusters.parquet")
        members = Members.read(folder / "members.parquet")
        prototypes = indexes.read(folder / "prototypes.faiss", len(clusters), n_cells)
        photos = indexes.read(folder / "members.faiss", len(members), len(clusters))
        return cls(clusters, members, prototypes, photos)

    def search(
        self,
        features: Float32Array,
        belief: Float32Array,
        k: int,
        within: ConstraintMask | None = None,
    ) -> Found:
        """The k most similar clusters: of all, or where there are many of the likely cells.

        Args:
            features: (N, K) unit vectors.
            belief: (N, C), which says where to look first.
            k: how many.
            within: a part of the Earth outside of which nothing is found.
        """
        few = len(self.clusters) <= SEARCH_ALL_UP_TO
        if few and within is None:
            similarity, cluster = self._all.search(features, min(k, len(self.clusters)))
            return Found(similarity, cluster)
        every = np.arange(belief.shape[1])
        lists = (
            np.tile(every, (len(features), 1)) if few else self._cells_to_search(features, belief)
        )
        inside = None if within is None else within.clusters
        return Found(*indexes.search(self.prototypes, features, lists, k, inside))

    def votes(self, share: Float32Array, cluster: Int64Array, n_cells: int) -> Float32Array:
        """Belief (N, n_cells) in which each cluster (N, k) votes with its share for its cell."""
        votes = np.zeros((len(cluster), n_cells), np.float32)
        cell = self.clusters.cell[np.maximum(cluster, 0)]
        np.add.at(votes, (np.arange(len(cluster))[:, None], cell), share)
        return votes

    def best_in(
        self, features: Float32Array, cells: Int64Array, within: ConstraintMask | None = None
    ) -> Found:
        """The most similar cluster in each of the cells (N, P), photo by photo."""
        queries = np.repeat(features, cells.shape[1], axis=0)
        inside = None if within is None else within.clusters
        similarity, cluster = indexes.search(
            self.prototypes, queries, cells.reshape(-1, 1), 1, inside
        )
        return Found(similarity.reshape(cells.shape), cluster.reshape(cells.shape))

    def members_of(
        self, features: Float32Array, cluster: Int64Array
    ) -> tuple[Float32Array, Int64Array]:
        """The most similar known photos in some clusters.

        Args:
            features: (N, K) unit vectors.
            cluster: (N, P) clusters, photo by photo; -1 for none.

        Returns:
            (N, MEMBERS_FOUND) similarities, descending, and member rows; -1 and -1 beyond the last.
        """
        return indexes.search(self.photos, features, cluster, MEMBERS_FOUND)

    def cell_similarity(self, features: Float32Array) -> Float32Array:
        """Similarity (N, C) to the mean prototype of each cell; 0 for one without clusters."""
        return np.asarray(features @ self._cell_prototypes.T, np.float32)

    def _cells_to_search(self, features: Float32Array, belief: Float32Array) -> Int64Array:
        """(N, CELLS_SEARCHED) cells, -1 for one that both reasons name."""
        half = min(CELLS_SEARCHED // 2, belief.shape[1])
        similar = self.cell_similarity(features)
        first, second = (
            np.argpartition(-score, half - 1, axis=1)[:, :half] for score in (belief, similar)
        )
        again = (second[:, :, None] == first[:, None, :]).any(axis=2)
        return np.hstack([first, np.where(again, -1, second)]).astype(np.int64)

    @cached_property
    def _all(self) -> Any:  # noqa: ANN401
        return indexes.flat(self.prototypes)

    @cached_property
    def _cell_prototypes(self) -> Float32Array:
        """(C, K) mean of the prototypes in each cell."""
        return indexes.centres(self.prototypes)
