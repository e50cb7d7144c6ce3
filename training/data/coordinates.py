"""Tables of photo coordinates, read with suspicion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.attributes import is_land
from geocells.columns import objects, read_parquet
from geoloc.errors import TableError
from geoloc.types import BoolArray, Float64Array

_LAT = ("lat", "latitude")
_LON = ("lon", "lng", "long", "longitude")

_LAND_EXPECTED = 0.5
_LAND_IF_SWAPPED = 0.75
_ENOUGH = 100
"""Fewer coordinates than this may well all be of one coast."""


def read(path: Path) -> tuple[Float64Array, pa.Table, list[str]]:
    """Read a CSV or Parquet table with the columns lat and lon (or latitude, longitude, lng).

    Returns:
        (N, 2) degrees of the rows that have a place on the Earth; these rows of the table; and at
        most one line that counts the others and names the first.

    Raises:
        TableError: the file is missing or no such table, no row is usable, or latitude and
            longitude are swapped: most coordinates are at sea, and would be on land if they were.
    """
    table = _table(path)
    raw = np.stack([_numbers(table, _LAT, path), _numbers(table, _LON, path)], axis=1)
    good = (np.abs(raw[:, 0]) <= 90.0) & (np.abs(raw[:, 1]) <= 180.0)  # False for NaN
    problems = [] if good.all() else [_complaint(path, raw, good)]
    if not good.any():
        raise TableError(f"{path}: no row has usable coordinates ({len(raw)} rows read)")
    latlon = raw[good]
    _refuse_swapped(path, latlon)
    return latlon, table.filter(pa.array(good)), problems


def _table(path: Path) -> pa.Table:
    if not path.is_file():
        raise TableError(f"{path}: no such table; give a CSV or Parquet file that exists")
    try:
        return read_parquet(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise TableError(
            f"{path}: not a readable CSV or Parquet table ({reason}); it needs the columns lat,lon"
        ) from error


def _numbers(table: pa.Table, names: tuple[str, ...], path: Path) -> Float64Array:
    """A column as numbers, NaN for what is none."""
    present = [name for name in table.column_names if name.lower() in names]
    if not present:
        raise TableError(
            f"{path}: column {names[0]} is missing; it needs the columns lat,lon in degrees"
        )
    column = table[present[0]]
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    return np.array([_number(value) for value in objects(column)], np.float64)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _complaint(path: Path, raw: Float64Array, good: BoolArray) -> str:
    """One line about all rows that have no place on the Earth."""
    row = int(np.argmin(good))
    swapped = int(((np.abs(raw[:, 0]) > 90.0) & (np.abs(raw[:, 1]) <= 90.0)).sum())
    hint = f"; {swapped} of them look as if latitude and longitude were swapped" if swapped else ""
    return (
        f"{path}: {(~good).sum():,} of {len(good):,} rows are left out{hint}; the first is data row"
        f" {row + 1} with latitude {raw[row, 0]:g}, longitude {raw[row, 1]:g};"
        " expected -90..90 and -180..180 degrees"
    )


def _refuse_swapped(path: Path, latlon: Float64Array) -> None:
    if len(latlon) < _ENOUGH or (np.abs(latlon[:, 1]) > 90.0).any():
        return
    land, swapped = is_land(latlon).mean(), is_land(latlon[:, ::-1]).mean()
    if land < _LAND_EXPECTED and swapped > _LAND_IF_SWAPPED:
        raise TableError(
            f"{path}: latitude and longitude seem to be swapped: {land:.0%} of the coordinates are"
            f" on land, and {swapped:.0%} would be; rename the columns"
        )
