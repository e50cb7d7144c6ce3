"""The photo table: one row for each photo, with the same columns for every collection."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from geoloc.errors import TableError
from geoloc.io.atomic import atomic_file
from geoloc.photos.columns import column, text_column, to_floats
from geoloc.photos.storage import is_address
from geoloc.photos.tables import read_table
from geoloc.photos.tabular.rows import format_of
from geoloc.types import Float64Array, StrArray

SCHEMA = pa.schema({
    "photo_id": pa.string(),       # unique
    "file": pa.string(),           # a photo or a tar shard, relative to the table's folder
    "offset": pa.int64(),          # of the photo in the shard; null for a file of its own
    "size": pa.int64(),
    "lat": pa.float64(),           # degrees
    "lon": pa.float64(),
    "taken_at": pa.timestamp("s"),
    "heading": pa.float32(),       # degrees clockwise from north
    "location_id": pa.string(),    # the views of a panorama share it
    "view": pa.int16(),
    "author": pa.string(),
    "group": pa.string(),          # sequence, walk or album
    "source": pa.string(),
    "licence": pa.string(),
    "precision_km": pa.float32(),  # uncertainty of the coordinates
    "split": pa.string(),          # train, val, test, or "" for none
})  # fmt: skip


_TRAINED_ON = (
    "photo_id", "file", "offset", "size", "lat", "lon", "location_id", "split", "country",
    "country_code", "region", "town", "koppen", "driving_side", "month", "heading", "elevation_m",
    "population_per_km2", "temperature_c", "temperature_range_c", "rain_mm", "rain_range_mm",
)  # fmt: skip
"""Columns of an enriched photo table that change what is trained."""

_MONTHS = (1, 12)

_NAMED = 3
"""Photos that an error names, at most."""

_ROWS_AT_ONCE = 65_536
"""Rows that are digested together, to bound the memory."""

_MIN_EPOCH_S = 1e8
"""Text that is a smaller number is a year or a date, not a time since 1970."""

_MAX_EPOCH_S = 1e11
"""Larger numbers are milliseconds since 1970, smaller ones seconds."""


def content_digest(table: pa.Table) -> str:
    """Return a digest of what training reads of a photo table, to detect changed photos."""
    digest = hashlib.sha256()
    columns = table.select([name for name in _TRAINED_ON if name in table.column_names])
    for start in range(0, len(columns), _ROWS_AT_ONCE):
        text = pa.BufferOutputStream()  # unlike Arrow's buffers, text is the same in every version
        csv.write_csv(columns.slice(start, _ROWS_AT_ONCE), text)
        digest.update(text.getvalue())
    return digest.hexdigest()


def complete(raw: pa.Table) -> pa.Table:
    """Return a photo table with all columns, from a table with some of them or their synonyms.

    Missing values are null, or "" for author, group, source, licence and split. A missing photo_id
    is the file, a missing location_id the photo_id.
    """
    columns = {}
    for field in SCHEMA:
        found = column(raw, field.name)
        columns[field.name] = (
            pa.nulls(len(raw), field.type) if found is None else _as(found, field.type)
        )
    columns["photo_id"] = pc.coalesce(columns["photo_id"], columns["file"])
    columns["location_id"] = pc.coalesce(columns["location_id"], columns["photo_id"])
    for name in ("author", "group", "source", "licence", "split"):
        columns[name] = pc.fill_null(columns[name], "")
    return pa.table(columns, schema=SCHEMA)


def _as(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Convert values to another type; null where that is impossible."""
    if values.type == kind:
        return values
    if pa.types.is_timestamp(kind):
        return pa.chunked_array([_times(values)])
    if pa.types.is_string(kind):
        return text_column(values)
    numbers = to_floats(values, len(values))
    known = pa.array(numbers, mask=~np.isfinite(numbers))
    return pa.chunked_array([known.cast(kind, safe=False)])


def _times(values: pa.ChunkedArray) -> pa.Array:
    """Return timestamps of dates, of text, or of seconds or milliseconds since 1970."""
    import pandas as pd

    number = to_floats(values, len(values))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        number[np.abs(number) < _MIN_EPOCH_S] = np.nan  # "2012" and "20120506" are dates
    seconds = np.where(np.abs(number) > _MAX_EPOCH_S, number / 1000.0, number)
    known = np.abs(seconds) <= _MAX_EPOCH_S  # False for NaN
    times = np.full(len(values), "NaT", "datetime64[s]")
    times[known] = np.floor(seconds[known]).astype(np.int64).astype("datetime64[s]")
    is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if not known.all() and not is_number:
        text = values.to_pandas()[~known]
        dates = pd.to_datetime(text, errors="coerce", format="mixed", utc=True)
        times[~known] = dates.dt.tz_convert(None).to_numpy("datetime64[s]")
    return pa.array(times, pa.timestamp("s"))


def read(path: Path) -> pa.Table:
    """Read a photo table.

    Raises:
        TableError: it is missing, no Parquet file, lacks a column, or holds impossible numbers.
    """
    if not path.is_file():
        raise TableError(f"{path}: no such table; make one with geoloc-train manifest")
    if format_of(str(path)) != "parquet":
        made = path.with_suffix(".parquet")
        raise TableError(
            f"{path}: not a photo table; make one with  geoloc-train manifest {path} -o {made}"
        )
    table = read_table(path, "the columns photo_id, lat, lon", "parquet")
    missing = [name for name in ("photo_id", "lat", "lon") if name not in table.column_names]
    if missing:
        raise TableError(
            f"{path}: column {', '.join(missing)} is missing; make the table with geoloc-train"
            " manifest"
        )
    _check_numbers(table, path)
    return table


def _check_numbers(table: pa.Table, path: Path) -> None:
    """Raise TableError for NaN, infinite numbers and impossible months; null means unknown."""
    for field in table.schema:
        values = table[field.name]
        if pa.types.is_floating(field.type):
            wrong = pc.invert(pc.is_finite(values))
        elif field.name == "month":
            wrong = pc.or_(pc.less(values, _MONTHS[0]), pc.greater(values, _MONTHS[1]))
        else:
            continue
        rows = np.flatnonzero(pc.fill_null(wrong, fill_value=False).to_numpy())
        if len(rows):
            names = ", ".join(map(str, table["photo_id"].take(rows[:_NAMED]).to_pylist()))
            more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
            raise TableError(
                f"{path}: column {field.name} holds {values[rows[0]].as_py()} or the like for"
                f" {len(rows):,} of {len(table):,} photos ({names}{more}); leave unknown values"
                " empty (null), or make the column again with geoloc-train enrich"
            )


def write(table: pa.Table, path: Path) -> None:
    """Write a photo table; it appears complete or not at all."""
    with atomic_file(path) as file:
        pq.write_table(table, file, compression="zstd")


def relative_to(table: pa.Table, here: Path, there: Path) -> pa.Table:
    """Return the table with file names relative to the folder `there` instead of `here`."""
    if "file" not in table.column_names or here.resolve() == there.resolve():
        return table
    names = table["file"].combine_chunks().dictionary_encode()
    new = [
        name if is_address(name) else os.path.relpath((here / name).resolve(), there.resolve())
        for name in names.dictionary.to_pylist()
    ]
    return with_column(table, "file", pa.array(new, pa.string()).take(names.indices))


def latlon_of(table: pa.Table) -> Float64Array:
    """Return coordinates (N, 2) in degrees, NaN where they are missing."""
    return np.stack([np.asarray(table[n].to_numpy(), np.float64) for n in ("lat", "lon")], axis=1)


def strings_of(table: pa.Table, name: str) -> StrArray:
    """Return a column of text (N,), "" for null or without the column."""
    if name not in table.column_names:
        return np.full(len(table), "", dtype=object)
    return np.asarray(pc.fill_null(table[name], "").to_numpy(zero_copy_only=False), dtype=object)


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:  # noqa: ANN401
    """Return the table with a column replaced or added."""
    index = table.schema.get_field_index(name)
    if index < 0:
        return table.append_column(name, values)
    return table.set_column(index, name, values)
