"""Precomputed embeddings with coordinates: folders of `geoloc-train embed`, and Parquet tables."""

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
from geoloc.photos.columns import read_degrees
from geoloc.photos.position import is_position
from geoloc.photos.tables import position_problems
from geoloc.types import BoolArray
from training.data.manifest import Manifest
from training.embed.table import EmbeddedTable
from training.gallery.large import Blocks
from training.recipes.assemble import manifest_of

COLUMN = "embedding"
"""Column of a table that holds the embeddings: lists of numbers, or float16 as bytes."""

NEEDS = "the columns lat, lon and embedding"

_ROWS_AT_ONCE = 16_384


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
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[COLUMN]):
                yield _numbers(batch.column(0), self.path)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """N photos with coordinates, whose embeddings stay on the disk."""

    manifest: Manifest
    sources: list[_Source]

    def blocks(self, kept: BoolArray) -> Blocks:
        """Yield the embeddings of the photos (N,) to keep, block by block in their order."""
        start = 0
        for source in self.sources:
            row = 0
            for block in source.blocks():
                usable = source.usable[row : row + len(block)]
                row += len(block)
                own = block[usable]
                yield own[kept[start : start + len(own)]]
                start += len(own)


def read_embeddings(paths: Sequence[Path], dim: int, report: Reporter) -> Embeddings:
    """Read coordinates and attribution of photos whose embeddings are computed already.

    Args:
        paths: folders of `geoloc-train embed`, and Parquet tables.
        dim: length of an embedding of the bundle's encoder.
        report: receives a line for each kind of rows that are left out.

    Raises:
        TableError: a table lacks a column, has no usable row, or is of another encoder.
    """
    tables, sources = [], []
    for path in paths:
        photos = _photos(path)
        latlon = read_degrees(photos, path, NEEDS)
        usable = is_position(latlon)
        if not usable.any():
            raise TableError(f"{path}: no row has usable coordinates; it needs {NEEDS}")
        names = [f"row {row + 1}" for row in range(len(photos))]
        for line in position_problems(path, names, latlon):
            report.problem(line)
        source = _Source(path, usable)
        _check_width(source, dim)
        sources.append(source)
        degrees = {"lat": pa.array(latlon[usable, 0]), "lon": pa.array(latlon[usable, 1])}
        kept = photos.filter(pa.array(usable))
        rest = {name: kept[name] for name in kept.column_names if name not in degrees}
        tables.append(manifest_of(pa.table({**rest, **degrees})))
    columns = {
        name: np.concatenate([getattr(each, name) for each in tables])
        for name in Manifest.__dataclass_fields__
    }
    return Embeddings(Manifest(**columns), sources)


def _photos(path: Path) -> pa.Table:
    """Return all columns of a source but its embeddings."""
    try:
        if path.is_dir():
            return EmbeddedTable(path).photos
        names = [name for name in pq.read_schema(path).names if name != COLUMN]
        if len(names) == len(pq.read_schema(path).names):
            raise TableError(
                f"{path}: no column {COLUMN}; embed photos with  geoloc-train manifest  and "
                " geoloc-train embed  (--ray for a cluster), and give the folder it writes"
            )
        return pq.read_table(path, columns=names)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        text = f"{path}: not a table of embeddings ({reason}); it needs {NEEDS}"
        raise TableError(text) from error


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
