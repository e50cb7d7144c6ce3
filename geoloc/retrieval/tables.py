"""Tables of a gallery: location clusters inside geocells, and their member photos."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geocells.columns import numbers, objects, read_parquet, to_numbers, to_strings
from geoloc.errors import BundleError
from geoloc.photos.columns import to_texts
from geoloc.types import Float64Array, Int32Array, StrArray


@dataclass(frozen=True, eq=False)
class Clusters:
    """L location clusters, each of photos taken at one place inside one cell; sorted by cell."""

    cell: Int32Array
    """(L,) rows of the cell table, ascending."""
    latlon: Float64Array
    """(L, 2) degrees, spherical mean of the members."""
    count: Int32Array
    """(L,) number of members."""

    def __len__(self) -> int:
        return len(self.cell)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file."""
        columns = {
            "cell": to_numbers(self.cell, pa.int32()),
            "lat": to_numbers(self.latlon[:, 0], pa.float64()),
            "lon": to_numbers(self.latlon[:, 1], pa.float64()),
            "count": to_numbers(self.count, pa.int32()),
        }
        pq.write_table(pa.table(columns), path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Clusters:
        """Read a file that `write` wrote; raise BundleError if it is unreadable."""
        table = _read(path)
        latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=1)
        return cls(numbers(table["cell"]), latlon, numbers(table["count"]))


@dataclass(frozen=True, eq=False)
class Members:
    """M gallery photos, sorted by location cluster, with the attribution that licences require."""

    cluster: Int32Array
    """(M,) rows of the cluster table, ascending."""
    latlon: Float64Array
    """(M, 2) degrees."""
    source: StrArray
    licence: StrArray
    author: StrArray

    def __len__(self) -> int:
        return len(self.cluster)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file."""
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
        """Read a file that `write` wrote; raise BundleError if it is unreadable."""
        table = _read(path)
        latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=1)
        words = (_texts(table[name]) for name in ("source", "licence", "author"))
        return cls(numbers(table["cluster"]), latlon, *words)


def _texts(column: pa.ChunkedArray) -> StrArray:
    """Return a column as text; only other programs write one that has to be converted."""
    plain = pa.types.is_string(column.type) and not column.null_count
    return objects(column) if plain else to_texts(column, len(column))


def _read(path: Path) -> pa.Table:
    try:
        return read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(
            f"{path}: unreadable ({reason}); fetch or make the bundle again"
        ) from error
