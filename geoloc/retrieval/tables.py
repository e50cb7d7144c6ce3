"""Tables of a gallery: location clusters inside geocells, and their member photos."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geocells.columns import numbers, objects, read_parquet, to_numbers
from geoloc.errors import BundleError
from geoloc.io.texts import AnyTexts, Texts, texts_of
from geoloc.photos.columns import to_texts
from geoloc.types import Float64Array, IndexArray, Int32Array, StrArray

MEMBERS, OLD_MEMBERS = "members.arrow", "members.parquet"
"""File of the members, and its name and format in older bundles."""

_TEXTS = ("source", "licence", "author")


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
    """M gallery photos, sorted by location cluster, with the attribution that licences require.

    Columns that were read from a file are mapped: only the parts that are asked for take memory.
    """

    cluster: Int32Array
    """(M,) rows of the cluster table, ascending."""
    latlon: Float64Array
    """(M, 2) degrees."""
    source: AnyTexts
    licence: AnyTexts
    author: AnyTexts

    def __len__(self) -> int:
        return len(self.cluster)

    def take(self, rows: IndexArray) -> Members:
        """Return some members, in the order given."""
        return Members(*(getattr(self, field.name)[rows] for field in fields(self)))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write an Arrow file."""
        pairs = pa.py_buffer(np.ascontiguousarray(self.latlon, np.float64))
        values = pa.Array.from_buffers(pa.float64(), 2 * len(self), [None, pairs])
        columns = {
            "cluster": to_numbers(self.cluster, pa.int32()),
            "latlon": pa.FixedSizeListArray.from_arrays(values, 2),
            **{name: texts_of(getattr(self, name)).column for name in _TEXTS},
        }
        batch = pa.record_batch(columns)
        with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as out:
            out.write_batch(batch)

    @classmethod
    def read(cls, path: Path) -> Members:
        """Read a file that `write` wrote, or a Parquet file of an older bundle.

        Raises:
            BundleError: it is unreadable, or of another kind.
        """
        if path.suffix == ".parquet":
            table = _read(path)
            latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=1)
            words = (_texts(table[name]) for name in _TEXTS)
            return cls(numbers(table["cluster"]), latlon, *words)
        batch = _mapped(path)
        try:
            pairs = batch.column("latlon")
            degrees: Any = np.from_dlpack(pairs.values)
            cluster: Any = np.from_dlpack(batch.column("cluster"))
            texts = (Texts(batch.column(name)) for name in _TEXTS)
            return cls(cluster, degrees.reshape(-1, 2), *texts)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise _unreadable(path, error) from error


def members_file(folder: Path, prefix: str = "") -> Path:
    """Return the file with the members of a gallery; bundles that are older have another one.

    Raises:
        BundleError: there is none, or there are both.
    """
    found = [folder / f"{prefix}{name}" for name in (MEMBERS, OLD_MEMBERS)]
    there = [path for path in found if path.is_file()]
    if len(there) != 1:
        reason = "missing" if not there else f"there is {there[1].name} too"
        raise BundleError(f"{found[0]}: damaged bundle ({reason}); fetch or make it again")
    return there[0]


def count_members(path: Path) -> int:
    """Return the number of members in a file without reading them; raises as `Members.read`."""
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    return int(_mapped(path).num_rows)


def _mapped(path: Path) -> pa.RecordBatch:
    """Return the only batch of an Arrow file, mapped."""
    try:
        return pa.ipc.open_file(pa.memory_map(os.fspath(path))).get_batch(0)
    except (OSError, pa.ArrowException, IndexError) as error:
        raise _unreadable(path, error) from error


def _texts(column: pa.ChunkedArray) -> StrArray:
    """Return a column as text; only other programs write one that has to be converted."""
    plain = pa.types.is_string(column.type) and not column.null_count
    return objects(column) if plain else to_texts(column, len(column))


def _read(path: Path) -> pa.Table:
    try:
        return read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BundleError:
    reason = str(error).splitlines()[0]
    return BundleError(f"{path}: unreadable ({reason}); fetch or make the bundle again")
