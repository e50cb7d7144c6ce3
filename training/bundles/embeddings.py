"""Photos with coordinates whose embeddings are computed already, and stay on the disk.

Sources are folders of `geoloc-train embed`, and Parquet tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from geoloc.errors import TableError
from geoloc.io.progress import Reporter
from geoloc.io.texts import Texts
from geoloc.photos.columns import column, find_name, read_degrees, text_column
from geoloc.photos.coordinate_columns import choose_coordinates
from geoloc.photos.position import is_position
from geoloc.photos.tables import position_problems
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.data.manifest import Manifest, collections_of
from training.embed.table import EmbeddedTable
from training.gallery.large import Blocks

COLUMN = "embedding"
"""Column of a table that holds the embeddings: lists of numbers, or float16 as bytes."""

NEEDS = "the columns lat, lon and embedding"

ATTRIBUTION = ("source", "licence", "author")

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class Placed:
    """N photos with coordinates, and the attribution that licences require."""

    latlon: Float64Array
    """(N, 2) degrees."""
    source: Texts
    licence: Texts
    author: Texts

    def __len__(self) -> int:
        return len(self.latlon)

    def take(self, rows: IndexArray) -> Placed:
        """Return some of the photos, in the order given."""
        texts = (getattr(self, name)[rows] for name in ATTRIBUTION)
        return Placed(self.latlon[rows], *texts)

    def manifest(self) -> Manifest:
        """Return the photos as measurements need them, in memory."""
        empty = np.full(len(self), "", dtype=object)
        source, licence, author = (np.asarray(getattr(self, name)) for name in ATTRIBUTION)
        return Manifest(
            file=empty,
            latlon=self.latlon,
            group=empty,
            precision_km=np.zeros(len(self)),
            collection=collections_of(empty, author, source, empty),
            source=source,
            licence=licence,
            author=author,
            folder=empty,
        )


@dataclass(frozen=True, eq=False)
class _Source:
    """One folder or table, and which of its rows have coordinates."""

    path: Path
    usable: BoolArray

    def blocks(self) -> Blocks:
        """Yield the embeddings of all rows, in bounded memory."""
        if self.path.is_dir():
            vectors = EmbeddedTable(self.path).embeddings
            for start in range(0, len(vectors), _ROWS_AT_ONCE):
                yield vectors[start : start + _ROWS_AT_ONCE]
            return
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[COLUMN]):
                yield _numbers(batch.column(0), self.path)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """N photos with coordinates, whose embeddings stay on the disk."""

    photos: Placed
    sources: list[_Source]

    def blocks(self, kept: BoolArray, others: list[Float32Array]) -> Blocks:
        """Yield the embeddings of the photos (N,) to keep, block by block in their order.

        Those of the other photos are appended to `others`.
        """
        start = 0
        for source in self.sources:
            row = 0
            for block in source.blocks():
                own = block[source.usable[row : row + len(block)]]
                row += len(block)
                chosen = kept[start : start + len(own)]
                start += len(own)
                others.append(np.asarray(own[~chosen], np.float32))
                yield own[chosen]


def read_embeddings(paths: Sequence[Path], dim: int, report: Reporter) -> Embeddings:
    """Read coordinates and attribution of photos whose embeddings are computed already.

    Args:
        paths: folders of `geoloc-train embed`, and Parquet tables.
        dim: length of an embedding of the bundle's encoder.
        report: receives a line for each kind of rows that are left out.

    Raises:
        TableError: a table lacks a column, has no usable row, or is of another encoder.
    """
    places, sources = [], []
    texts: dict[str, list[pa.ChunkedArray]] = {name: [] for name in ATTRIBUTION}
    for path in paths:
        photos = _photos(path)
        latlon = read_degrees(photos, path, NEEDS)
        usable = is_position(latlon)
        if not usable.any():
            raise TableError(f"{path}: no row has usable coordinates; it needs {NEEDS}")
        if not usable.all():
            names = [f"row {row + 1}" for row in range(len(photos))]
            for line in position_problems(path, names, latlon):
                report.problem(line)
        source = _Source(path, usable)
        _check_width(source, dim)
        sources.append(source)
        places.append(latlon[usable])
        for name, columns in texts.items():
            found = column(photos, name)
            words = pa.nulls(len(photos), pa.string()) if found is None else text_column(found)
            columns.append(Texts.of(words.filter(pa.array(usable))))
    joined = (Texts.joined(columns) for columns in texts.values())
    return Embeddings(Placed(np.concatenate(places), *joined), sources)


def _photos(path: Path) -> pa.Table:
    """Return coordinates and attribution of a source."""
    try:
        with pq.ParquetFile(path / "photos.parquet" if path.is_dir() else path) as file:
            return file.read(placing_columns(file.schema_arrow.names))
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        text = f"{path}: not a table of embeddings ({reason}); it needs {NEEDS}"
        raise TableError(text) from error


def placing_columns(names: Sequence[str]) -> list[str]:
    """Return the columns of a table that hold coordinates and attribution."""
    pair = choose_coordinates(names)
    found = [pair.lat, pair.lon, *(find_name(names, each) for each in ATTRIBUTION)]
    return [name for name in found if name is not None]


def _check_width(source: _Source, dim: int) -> None:
    first: Iterator[npt.NDArray[np.floating]] = source.blocks()
    width = next(first).shape[1]
    if width != dim:
        raise TableError(
            f"{source.path}: embeddings of {width} numbers, and those of the bundle have {dim};"
            " embed the photos with its encoder: geoloc-train embed --encoder BUNDLE"
        )


def _numbers(column: pa.Array, path: Path) -> npt.NDArray[np.floating]:
    """Return a column of embeddings as an array (B, D)."""
    if pa.types.is_fixed_size_binary(column.type) or pa.types.is_binary(column.type):
        return np.frombuffer(b"".join(column.to_pylist()), np.float16).reshape(len(column), -1)
    try:
        flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
        return flat.reshape(len(column), -1).astype(np.float32, copy=False)
    except (AttributeError, ValueError, TypeError) as error:
        raise TableError(
            f"{path}: the embeddings differ in length, or are no numbers; write them as lists of"
            " numbers of one length"
        ) from error
