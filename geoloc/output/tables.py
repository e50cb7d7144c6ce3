"""Answers as CSV and GeoParquet tables, written when all records, and so all columns, are known.

Until then rows are in an unnamed scratch file beside the output, so that memory stays flat and
records may have different columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geocells.table import geo_metadata
from geoloc.io.atomic import AtomicFile
from geoloc.output.formats import COLUMNS, Record, Scalar, csv_lines, output_columns, table_row

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 5_000
"""Rows of one row group of a Parquet file."""


class Rows:
    """Rows in a scratch file, with the types of their columns and the bounds of their points."""

    def __init__(self, out: AtomicFile) -> None:
        """Start without rows."""
        self._out = out
        self._file = out.scratch()
        self._kinds: dict[str, type] = {}
        self._low = np.full(2, np.inf)
        self._high = np.full(2, -np.inf)

    def append(self, record: Record) -> None:
        """Add a row."""
        extra = output_columns(record.columns)
        for name, value in extra.items():
            self._kinds[name] = _wider(self._kinds.get(name, NoneType), value)
        lonlat = record.guess.lon, record.guess.lat
        np.minimum(self._low, lonlat, out=self._low)
        np.maximum(self._high, lonlat, out=self._high)
        line = json.dumps(table_row(record.guess) | extra, separators=(",", ":"))
        with self._out.errors_name_path():
            self._file.write(line.encode() + b"\n")

    @property
    def columns(self) -> dict[str, type]:
        """Names and types of all columns; NoneType for a column without any value."""
        return COLUMNS | self._kinds

    @property
    def bounds(self) -> list[float]:
        """West, south, east and north in degrees; infinite without rows."""
        return [*self._low.tolist(), *self._high.tolist()]

    def __iter__(self) -> Iterator[dict[str, Scalar]]:
        with self._out.errors_name_path():
            self._file.seek(0)
            yield from map(json.loads, self._file)


class CsvSink:
    """A CSV file in UTF-8, safe to open in a spreadsheet; see `formats.csv_lines`."""

    def __init__(self, out: AtomicFile) -> None:
        """Start without rows."""
        self._out, self._rows = out, Rows(out)

    def write(self, record: Record) -> None:
        """Add a row."""
        self._rows.append(record)

    def close(self) -> None:
        """Write the file."""
        for line in csv_lines(self._rows, self._rows.columns):
            self._out.write_text(line)
        self._out.commit()


class ParquetSink:
    """A GeoParquet 1.1 file: the CSV columns, points as WKB, and their bounding boxes."""

    def __init__(self, out: AtomicFile) -> None:
        """Start without rows."""
        self._out, self._rows = out, Rows(out)

    def write(self, record: Record) -> None:
        """Add a row."""
        self._rows.append(record)

    def close(self) -> None:
        """Write the file."""
        write_parquet(self._out, self._rows, self._rows.columns, self._rows.bounds)
        self._out.commit()


def write_parquet(
    out: AtomicFile,
    rows: Iterable[dict[str, Any]],
    columns: dict[str, type],
    bounds: Sequence[float],
) -> None:
    """Write rows as GeoParquet, row group by row group.

    Args:
        out: the file.
        rows: with the columns; a row whose `lat` or `lon` is None has no geometry.
        columns: names and types; NoneType for a column without any value.
        bounds: west, south, east and north in degrees; infinite without any place.
    """
    import pyarrow.parquet as pq

    schema = _schema(columns, bounds)
    remaining = iter(rows)
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            writer.write_table(_group(group, columns, schema))


def _wider(kind: type, value: Scalar) -> type:
    """Return the type of a column of type `kind` after adding a value."""
    new = type(value)
    if new is int and not -(2**63) <= value < 2**63:  # type: ignore[operator]
        new = str
    if new is NoneType or kind is new:
        return kind
    if kind is NoneType:
        return new
    return float if {kind, new} == {int, float} else str


def _schema(kinds: dict[str, type], bounds: Sequence[float]) -> pa.Schema:
    import pyarrow as pa

    arrow = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    sides = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
    columns = [(name, arrow.get(kind, pa.string())) for name, kind in kinds.items()]
    fields = [*columns, ("geometry", pa.binary()), ("bbox", sides)]
    return pa.schema(fields, {"geo": json.dumps(geo_metadata(bounds, ["Point"]))})


def _group(rows: list[dict[str, Any]], columns: dict[str, type], schema: pa.Schema) -> pa.Table:
    """Return one row group as a table."""
    import pyarrow as pa

    def values(name: str, kind: type) -> list[Any]:
        found = (each.get(name) for each in rows)
        return [None if value is None else kind(value) for value in found]

    arrays = [
        pa.array(values(name, kind), schema.field(name).type) for name, kind in columns.items()
    ]
    lonlat = np.array([(each["lon"], each["lat"]) for each in rows], np.float64)
    unknown = np.isnan(lonlat).any(axis=1)
    sides = [pa.array(side) for side in np.tile(lonlat, 2).T]
    points = shapely.to_wkb(np.where(unknown, None, shapely.points(lonlat)))
    geometry = pa.array(points.tolist(), pa.binary())
    bbox = pa.StructArray.from_arrays(
        sides, fields=list(schema.field("bbox").type), mask=pa.array(unknown)
    )
    return pa.table([*arrays, geometry, bbox], schema)
