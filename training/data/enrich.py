"""Add attributes of the place of each photo: names, climate, elevation, population, traffic."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geocells import attributes, places
from geocells.columns import objects, to_numbers, to_strings
from geoloc import __version__
from geoloc.errors import TableError
from geoloc.io.atomic import AtomicFile, atomic_file
from geoloc.types import BoolArray, Float64Array
from training.data.table import relative_to

PHOTOS_AT_ONCE = 65_536
"""Photos per part: bounds the memory; larger parts are not faster."""

_MADE_FROM = b"enriched_from"
_NAMED = 3


def enrich(table: pa.Table) -> pa.Table:
    """Add attributes of place and time to a photo table.

    Args:
        table: N rows with lat and lon in degrees, and perhaps taken_at and heading.

    Returns:
        The same rows and columns, and the following ones, which replace columns of the same names:
        country_code, country, region, town ("" on the open sea), koppen ("" at sea), driving_side
        ("left", "right", "") as strings; elevation_m, population_per_km2, temperature_c (mean of
        the year), temperature_range_c (warmest minus coldest month), rain_mm (of the year),
        rain_range_mm (wettest minus driest month) as float32; month (int8, 1 to 12, null if
        unknown); heading (float32, 0 <= heading < 360, null if unknown). See
        `geocells.attributes` and `geocells.places` for their sources.

    Raises:
        TableError: a coordinate is missing or not on the Earth, or a column is of another type.
    """
    latlon = _latlon(table)
    bad = _labels(table, ~_on_earth(latlon))
    if bad:
        raise TableError(f"{_complaint(bad, len(table))}; leave them out")
    # the views of a panorama share their place; sorted places are also faster to look up
    once, row = np.unique(latlon.view(np.complex128)[:, 0], return_inverse=True)
    different = once.view(np.float64).reshape(-1, 2)
    blocks = range(0, max(1, len(once)), PHOTOS_AT_ONCE)
    described = pa.concat_tables([_describe(different[b : b + PHOTOS_AT_ONCE]) for b in blocks])
    columns = dict(zip(described.column_names, described.take(pa.array(row)).columns, strict=True))
    columns |= {"month": _month(table), "heading": _heading(table)}
    for name, column in columns.items():
        place = table.schema.get_field_index(name)
        if place < 0:
            table = table.append_column(name, column)
        else:
            table = table.set_column(place, name, column)
    return table


def enrich_file(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    problem: Callable[[str], None] = lambda line: None,
) -> Path:
    """Enrich a Parquet file part by part, and write the result to another file.

    Nothing is done if the same version made `out` from the same content.

    Args:
        source: photo table; see `enrich`.
        out: the file to write; file names in it are relative to its folder.
        problem: called with one line about photos that are left out for their coordinates.

    Returns:
        `out`.

    Raises:
        TableError: the source is missing, no Parquet file, lacks a column, or no photo has
            valid coordinates.
    """
    source, out = Path(source), Path(out)
    if not source.is_file():
        raise TableError(f"{source}: no such table; make one with geoloc-train manifest")
    with source.open("rb") as content:
        made_from = f"{hashlib.file_digest(content, 'sha256').hexdigest()} {__version__}".encode()
    if out.is_file() and (pq.read_schema(out).metadata or {}).get(_MADE_FROM) == made_from:
        return out
    try:
        with atomic_file(out) as file:
            _enrich_parts(source, out.parent, file, made_from, problem)
    except (TableError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{source}: not a usable photo table: {reason}") from error
    return out


def _enrich_parts(
    source: Path, folder: Path, file: AtomicFile, made_from: bytes, problem: Callable[[str], None]
) -> None:
    left_out: list[str] = []
    with pq.ParquetFile(source) as photos:
        total = photos.metadata.num_rows
        whole = enrich(photos.schema_arrow.empty_table()).schema
        schema = whole.with_metadata({**(whole.metadata or {}), _MADE_FROM: made_from})
        with pq.ParquetWriter(file, schema, compression="zstd") as written:
            row = 0
            for batch in photos.iter_batches(PHOTOS_AT_ONCE):
                table = pa.Table.from_batches([batch])
                good = _on_earth(_latlon(table))
                left_out += _labels(table, ~good, row)
                row += len(table)
                table = relative_to(enrich(table.filter(pa.array(good))), source.parent, folder)
                written.write_table(table.replace_schema_metadata(schema.metadata))
    if left_out and len(left_out) == total:
        raise TableError(_complaint(left_out, total))
    if left_out:
        problem(f"{source}: {_complaint(left_out, total)}; they are left out")


def _describe(points: Float64Array) -> pa.Table:
    """Return a table of N rows with the attributes of places (N, 2)."""
    names = places.describe(points).drop_columns("town_distance_km")
    climate = attributes.climatology(points)
    sides = attributes.country_driving_side(objects(names["country_code"]))
    numbers = {
        "elevation_m": attributes.elevation_m(points),
        "population_per_km2": attributes.population_per_km2(points),
        "temperature_c": climate["temperature_c"],
        "temperature_range_c": climate["warmest_month_c"] - climate["coldest_month_c"],
        "rain_mm": climate["rain_mm"],
        "rain_range_mm": climate["wettest_month_mm"] - climate["driest_month_mm"],
    }
    columns = {name: names[name] for name in names.column_names}
    columns["koppen"] = to_strings(attributes.koppen(points))
    for name, values in numbers.items():
        columns[name] = to_numbers(values.astype(np.float32), pa.float32())
    return pa.table({**columns, "driving_side": to_strings(sides)})


def _latlon(table: pa.Table) -> Float64Array:
    """Return coordinates (N, 2), NaN where they are missing."""
    missing = {"lat", "lon"} - set(table.column_names)
    if missing:
        raise TableError(
            f"column {', '.join(sorted(missing))} is missing; it needs lat, lon in degrees"
        )
    return np.stack([_numbers(table, "lat"), _numbers(table, "lon")], axis=1)


def _numbers(table: pa.Table, name: str) -> Float64Array:
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise TableError(f"column {name} holds {column.type}; make it numbers, in degrees")
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _on_earth(latlon: Float64Array) -> BoolArray:
    good = np.asarray((np.abs(latlon) <= (90.0, 180.0)).all(axis=1))  # False for NaN
    return good


def _labels(table: pa.Table, chosen: BoolArray, first_row: int = 0) -> list[str]:
    """Return names of the chosen rows for a message."""
    rows = np.flatnonzero(chosen)
    if "photo_id" in table.column_names:
        return [str(name) for name in table["photo_id"].take(pa.array(rows)).to_pylist()]
    return [f"row {first_row + row + 1}" for row in rows.tolist()]


def _complaint(labels: list[str], total: int) -> str:
    more = f" and {len(labels) - _NAMED:,} more" if len(labels) > _NAMED else ""
    return (
        f"{len(labels):,} of {total:,} photos have no place on the Earth"
        f" ({', '.join(labels[:_NAMED])}{more}); expected a latitude of -90..90 and a longitude of"
        " -180..180 degrees"
    )


def _month(table: pa.Table) -> pa.ChunkedArray | pa.Array:
    if "taken_at" not in table.column_names:
        return pa.nulls(len(table), pa.int8())
    taken = table["taken_at"]
    if not (pa.types.is_timestamp(taken.type) or pa.types.is_date(taken.type)):
        raise TableError(f"column taken_at holds {taken.type}; make it timestamps")
    return pc.month(taken).cast(pa.int8())


def _heading(table: pa.Table) -> pa.Array:
    if "heading" not in table.column_names:
        return pa.nulls(len(table), pa.float32())
    degrees = _numbers(table, "heading")
    known = np.isfinite(degrees)
    turned = np.mod(np.where(known, degrees, 0.0), 360.0).astype(np.float32)
    turned[turned >= 360.0] = 0.0  # rounding of angles just below 360
    return pa.array(turned, mask=~known)
