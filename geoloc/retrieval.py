"""Known photos in FAISS: one inverted list per location cluster, searched inside believed cells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from geocells.columns import numbers, objects, read_parquet, to_numbers, to_strings
from geocells.sphere import FloatArray as Float64Array
from geoloc.encoder import FloatArray, normalise
from geoloc.errors import BundleError, MissingExtraError

IntArray = npt.NDArray[np.int64]

CLUSTERS_PER_CELL = 16
"""Clusters of one cell that are searched: those with the most similar prototypes."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Location clusters: photos of one place inside one cell; sorted by cell."""

    cell: npt.NDArray[np.int32]
    """(L,) rows of the cell table, ascending."""
    latlon: Float64Array
    """(L, 2) degrees: spherical mean of the members."""
    count: npt.NDArray[np.int32]
    """(L,) number of members."""

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write Parquet."""
        columns = {
            "cell": to_numbers(self.cell, pa.int32()),
            "lat": to_numbers(self.latlon[:, 0], pa.float64()),
            "lon": to_numbers(self.latlon[:, 1], pa.float64()),
            "count": to_numbers(self.count, pa.int32()),
        }
        pq.write_table(pa.table(columns), path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Clusters:
        """Read what `write` wrote; raises BundleError."""
        table = _read(path)
        latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=1)
        return cls(numbers(table["cell"]), latlon, numbers(table["count"]))


@dataclass(frozen=True, eq=False)
class Members:
    """The known photos, sorted by location cluster, with what their licences ask to show."""

    cluster: npt.NDArray[np.int32]
    """(M,) rows of the cluster table, ascending."""
    latlon: Float64Array
    """(M, 2) degrees."""
    source: npt.NDArray[np.object_]
    licence: npt.NDArray[np.object_]
    author: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.cluster)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write Parquet."""
        columns = {
            "cluster": to_numbers(self.cluster, pa.int32()),
            "lat": to_numbers(self.latlon[:, 0], pa.float64()),
            "lon": to_numbers(self.latlon[:, 1], pa.float64()),
            "source": to_strings(self.source),
            "licence": to_strings(self.licence),
            "author": to_strings(self.author),
        }
        pq.write_table(pa.table(columns), path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Members:
        """Read what `write` wrote; raises BundleError."""
        table = _read(path)
        latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=1)
        words = (objects(table[name]) for name in ("source", "licence", "author"))
        return cls(numbers(table["cluster"]), latlon, *words)


def _read(path: Path) -> pa.Table:
    try:
        return read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(
            f"{path}: unreadable ({reason}); fetch or make the bundle again"
        ) from error


def _faiss() -> Any:  # noqa: ANN401
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "cpu") from error
    return faiss


class Gallery:
    """Members and clusters of a bundle with their FAISS index."""

    def __init__(self, clusters: Clusters, members: Members, index: Any) -> None:  # noqa: ANN401
        """Put together the parts of a bundle; `index` is a FAISS IVF index over the members."""
        self.clusters, self.members, self.index = clusters, members, index
        index.nprobe = CLUSTERS_PER_CELL
        self.member_cell: IntArray = clusters.cell[members.cluster].astype(np.int64)

    @classmethod
    def build(cls, clusters: Clusters, members: Members, features: FloatArray) -> Gallery:
        """Index members by their features (M, K), which may be float16."""
        faiss = _faiss()
        quantizer = faiss.IndexFlatIP(features.shape[1])
        quantizer.add(prototypes(features, members.cluster, len(clusters.cell)))
        index = faiss.IndexIVFScalarQuantizer(
            quantizer,
            features.shape[1],
            len(clusters.cell),
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
        )
        index.own_fields = True
        quantizer.this.disown()
        index.by_residual = False
        index.is_trained = True
        lists = members.cluster.astype(np.int64)
        vectors = np.ascontiguousarray(features, np.float32)
        index.add_core(len(vectors), faiss.swig_ptr(vectors), None, faiss.swig_ptr(lists))
        return cls(clusters, members, index)

    def write(self, folder: Path) -> None:
        """Write clusters.parquet, members.parquet and index.faiss."""
        self.clusters.write(folder / "clusters.parquet")
        self.members.write(folder / "members.parquet")
        (folder / "index.faiss").write_bytes(_faiss().serialize_index(self.index).tobytes())

    @classmethod
    def read(cls, folder: Path) -> Gallery:
        """Read what `write` wrote; raises BundleError."""
        clusters = Clusters.read(folder / "clusters.parquet")
        members = Members.read(folder / "members.parquet")
        path = folder / "index.faiss"
        try:
            index = _faiss().read_index(str(path))
        except RuntimeError as error:
            raise BundleError(f"{path}: unreadable; fetch or make the bundle again") from error
        if index.ntotal != len(members) or index.nlist != len(clusters.cell):
            raise BundleError(
                f"{path}: does not fit members.parquet; fetch or make the bundle again"
            )
        return cls(clusters, members, index)

    def nearest(self, features: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
        """The k most similar members of all.

        Args:
            features: (N, K) unit vectors.
            k: how many; fewer if there are fewer members.

        Returns:
            (N, k) similarities, descending, and (N, k) member rows.
        """
        similarity, row = self._flat.search(features, min(k, len(self.members)))
        return similarity, row

    def votes(self, share: FloatArray, row: IntArray, n_cells: int) -> FloatArray:
        """Belief (N, n_cells) in which each neighbour (N, k) votes with its share for its cell."""
        votes = np.zeros((len(row), n_cells), np.float32)
        np.add.at(votes, (np.arange(len(row))[:, None], self.member_cell[row]), share)
        return votes

    def inside(self, features: FloatArray, cells: IntArray) -> tuple[FloatArray, IntArray]:
        """The most similar member inside each of some cells.

        Args:
            features: (N, K) unit vectors.
            cells: (N, P) cells to look into, photo by photo.

        Returns:
            (N, P) similarities and (N, P) member rows; -1 and -1 for a cell without members.
        """
        lists = self._clusters_to_search(features, cells)
        queries = np.repeat(features, cells.shape[1], axis=0)
        similarity, row = self.index.search_preassigned(queries, 1, lists, None)
        empty = row < 0
        return (
            np.where(empty, -1.0, similarity).reshape(cells.shape).astype(np.float32),
            row.reshape(cells.shape),
        )

    def _clusters_to_search(self, features: FloatArray, cells: IntArray) -> IntArray:
        """(N * P, CLUSTERS_PER_CELL) clusters of each cell, padded with -1."""
        start = np.searchsorted(self.clusters.cell, cells)
        stop = np.searchsorted(self.clusters.cell, cells, side="right")
        width = max(int((stop - start).max(initial=0)), CLUSTERS_PER_CELL)
        lists = start[..., None] + np.arange(width)
        lists[lists >= stop[..., None]] = -1
        if width > CLUSTERS_PER_CELL:
            known = features @ self._prototypes.T
            rows = np.arange(len(cells))[:, None, None]
            similarity = np.where(lists < 0, -np.inf, known[rows, lists])
            best = np.argpartition(-similarity, CLUSTERS_PER_CELL, axis=-1)
            lists = np.take_along_axis(lists, best[..., :CLUSTERS_PER_CELL], axis=-1)
        return lists.reshape(-1, CLUSTERS_PER_CELL)

    @cached_property
    def _flat(self) -> Any:  # noqa: ANN401
        """All members in one array: as exact as visiting every list, and one matrix product."""
        flat = _faiss().IndexFlatIP(self.index.d)
        flat.add(self.index.reconstruct_n(0, len(self.members)))
        return flat

    @cached_property
    def _prototypes(self) -> FloatArray:
        """(L, K) mean feature of each cluster."""
        faiss = _faiss()
        quantizer = faiss.downcast_index(self.index.quantizer)
        return np.asarray(quantizer.reconstruct_n(0, self.index.nlist), np.float32)


def prototypes(features: FloatArray, cluster: npt.NDArray[np.int32], n_clusters: int) -> FloatArray:
    """Mean feature of each cluster's members as unit vectors, (M, K) -> (n_clusters, K).

    Args:
        features: (M, K), sorted by cluster.
        cluster: (M,) ascending; every cluster has a member.
        n_clusters: number of clusters.
    """
    starts = np.searchsorted(cluster, np.arange(n_clusters))
    return normalise(np.add.reduceat(features.astype(np.float32), starts, axis=0))
