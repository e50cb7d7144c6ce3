"""Photo coordinates without photos: tables of places that cells and priors are made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from geoloc.errors import TableError
from geoloc.photos.columns import on_earth, read_degrees
from geoloc.photos.swapped import refuse_swapped
from geoloc.photos.tables import read_table
from geoloc.types import BoolArray, Float64Array

NEEDS = "the columns lat,lon in degrees"


def read(path: Path) -> tuple[Float64Array, pa.Table, list[str]]:
    """Read a table with the columns lat and lon, or synonyms such as latitude and lng.

    Returns:
        (N, 2) degrees of the rows that have a place on the Earth; these rows of the table; and at
        most one line that counts the other rows and names the first.

    Raises:
        TableError: the file is missing or no such table, no row is usable, or latitude and
            longitude are swapped; see `geoloc.photos.swapped`.
    """
    table = read_table(path, NEEDS)
    written = read_degrees(table, path, NEEDS)
    good = on_earth(written)
    if not good.any():
        raise TableError(
            f"{path}: no row has usable coordinates ({len(good):,} rows read); it needs {NEEDS}"
        )
    refuse_swapped(table, written, path)
    problems = [] if good.all() else [_problem(path, written, good)]
    return written[good], table.filter(pa.array(good)), problems


def _problem(path: Path, written: Float64Array, good: BoolArray) -> str:
    """Return one line about all rows that have no place on the Earth."""
    row = int(np.argmin(good))
    swapped = int(((np.abs(written[:, 0]) > 90.0) & (np.abs(written[:, 1]) <= 90.0)).sum())
    hint = f"; {swapped} of them look as if latitude and longitude were swapped" if swapped else ""
    return (
        f"{path}: {(~good).sum():,} of {len(good):,} rows are left out{hint}; the first is data row"
        f" {row + 1} with latitude {written[row, 0]:g}, longitude {written[row, 1]:g};"
        " expected -90..90 and -180..180 degrees"
    )
