"""Photo coordinates without photos: tables of places that cells and priors are made from."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from geoloc.errors import TableError
from geoloc.photos.columns import read_degrees
from geoloc.photos.position import is_position
from geoloc.photos.swapped import refuse_swapped
from geoloc.photos.tables import position_problems, read_table
from geoloc.types import Float64Array

NEEDS = "the columns lat,lon in degrees"


def read(path: Path) -> tuple[Float64Array, pa.Table, list[str]]:
    """Read a table with the columns lat and lon, or synonyms such as latitude and lng.

    Returns:
        (N, 2) degrees of the rows that have a place on the Earth; these rows of the table; and one
        line for each kind of other rows, with their number and the first of them.

    Raises:
        TableError: the file is missing or no such table, no row is usable, or latitude and
            longitude are swapped; see `geoloc.photos.swapped`.
    """
    problems: list[str] = []
    table = read_table(path, NEEDS, problem=problems.append)
    written = read_degrees(table, path, NEEDS)
    good = is_position(written)
    if not good.any():
        raise TableError(
            f"{path}: no row has usable coordinates ({len(good):,} rows read); it needs {NEEDS}"
        )
    refuse_swapped(table, written, path)
    problems += position_problems(path, [f"row {row + 1}" for row in range(len(good))], written)
    return written[good], table.filter(pa.array(good)), problems
