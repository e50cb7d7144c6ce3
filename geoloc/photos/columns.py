"""Columns of photo tables: their names and synonyms, their values, and checks of coordinates."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pyarrow as pa

from geocells.columns import numbers, objects, to_numbers, to_strings
from geoloc.errors import TableError
from geoloc.photos.coordinate_columns import (
    CoordinateColumns,
    are_answers,
    choose_coordinates,
    coordinate_columns,
)
from geoloc.photos.decode import SUFFIXES
from geoloc.photos.tabular.encoding import readable
from geoloc.types import Float64Array, StrArray

_PANORAMA = ("pano_id", "panoid", "panorama")

SYNONYMS: dict[str, tuple[str, ...]] = {
    # photo tables
    "photo_id": ("img_id", "image_id", "photoid", "photo", "id", "key", "__key__"),
    "file": ("path", "filepath", "filename", "file_name", "image", "image_path", "photo"),
    "lat": ("latitude",),
    "lon": ("lng", "long", "longitude"),
    "taken_at": ("captured_at", "date_taken", "datetaken", "datetime", "timestamp"),
    "heading": ("compass_angle", "computed_compass_angle", "bearing"),
    "location_id": _PANORAMA,
    "view": (),
    "author": ("user_id", "user_nsid", "nsid", "owner", "creator", "username", "photographer"),
    "group": ("sequence", "sequence_id", "sequence_key", "album"),
    "collection": (),
    "source": (),
    "licence": ("license", "license_name"),
    "precision_km": (),
    "country": ("country_code", "iso2", "iso_a2", "iso3", "iso_a3"),
    "split": (),
    # a photo inside a tar shard
    "offset": (),
    "size": (),
    # maps of the game
    "location": ("location_id", *_PANORAMA),
    # predictions and answers of players; coordinates are in `coordinate_columns`
    "chance_200km": ("confidence",),
    "radius_50_km": (),
    "radius_80_km": ("radius_km",),
    "radius_95_km": (),
    "latency_s": ("latency", "seconds"),
    "cost_usd": ("cost",),
    "division": ("player", "system"),
}
"""Column names of this project, and what other tables call the same columns.

Names are compared without regard to case, to spaces around them, and to whether their words are
joined by underscores, hyphens or spaces. The order is the order of
preference where a table has several of them.
"""

NUMERIC = frozenset(
    "lat lon heading precision_km chance_200km radius_50_km radius_80_km radius_95_km latency_s"
    " cost_usd".split()
)
"""Columns that hold decimal numbers. All others are text or whole numbers."""

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_MAX_WHOLE = 2.0**63
_AROUND_NUMBER = r"^\s*\+?|\s*$"

# scalars made from columns: `pa.scalar` would import pandas, see `geocells.columns`
_NAN = to_numbers(np.array([np.nan]), pa.float64())[0]
_EMPTY = to_strings([""])[0]


def find_name(present: Iterable[str], name: str) -> str | None:
    """Return the column among those present that holds `name`: that name or a synonym of it."""
    by_key = {_key(column): column for column in reversed(list(present))}
    accepted = (name, *SYNONYMS.get(name, ()))
    return next((by_key[each] for each in accepted if each in by_key), None)


def count_known(present: Iterable[str]) -> int:
    """Return the number of columns with a name in SYNONYMS, or in a pair of coordinates."""
    names = list(present)
    pairs = [pair for pair in coordinate_columns(names) if pair.complete]
    coordinates = {name for pair in pairs for name in (pair.lat, pair.lon)}
    return sum(_key(name) in _KNOWN or name in coordinates for name in names)


def _key(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().lower())


_KNOWN = frozenset(SYNONYMS).union(*SYNONYMS.values())


def column(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    """Return a column by its name or a synonym of it, None if there is none."""
    found = find_name(table.column_names, name)
    return None if found is None else table[found]


def file_name_column(present: Sequence[str], first_values: dict[str, Sequence[Any]]) -> str | None:
    """Return the column that says which file holds each photo.

    That is the column `file`, or else `photo_id` where its first values end like names of photos:
    MP-16 names its photos by IDs that are paths.

    Args:
        present: names of the columns.
        first_values: the first values of each column.
    """
    found = find_name(present, "file")
    if found is None:
        found = find_name(present, "photo_id")
        if found is not None and not any(
            str(value).lower().endswith(tuple(SUFFIXES)) for value in first_values[found]
        ):
            return None
    return found


def file_names(table: pa.Table) -> pa.ChunkedArray | None:
    """Return the column that says which file holds each photo, None if there is none."""
    first_values = {
        name: table.column(index)[:9].to_pylist() for index, name in enumerate(table.column_names)
    }
    found = file_name_column(table.column_names, first_values)
    return None if found is None else table[found]


def to_floats(values: pa.ChunkedArray | None, count: int) -> Float64Array:
    """Return a column as numbers.

    Args:
        values: N values of any type, or None.
        count: N.

    Returns:
        (N,), NaN for null and for text that is no number; all NaN without a column. A copy.
    """
    import pyarrow.compute as pc

    if values is None:
        return np.full(count, np.nan)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        is_number = pc.match_substring_regex(values, _NUMBER)
        values = pc.if_else(
            is_number, pc.replace_substring_regex(values, _AROUND_NUMBER, ""), pa.NULL
        )
    elif not (
        pa.types.is_integer(values.type)
        or pa.types.is_floating(values.type)
        or pa.types.is_decimal(values.type)
    ):
        return np.full(count, np.nan)
    return np.array(numbers(pc.fill_null(values.cast(pa.float64()), _NAN)), np.float64)


def to_texts(values: pa.ChunkedArray | None, count: int) -> StrArray:
    """Return a column as text (N,); "" for null, and for every row without a column."""
    import pyarrow.compute as pc

    if values is None:
        return np.full(count, "", dtype=object)
    return objects(pc.fill_null(text_column(values), _EMPTY))


def text_column(values: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of any type as text.

    Whole numbers of a column of decimal numbers are written without point and exponent: that is
    what becomes of IDs where some are missing.
    """
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    if not pa.types.is_floating(column.type):
        try:
            return column.cast(pa.string())
        except pa.ArrowException:  # lists, objects, bytes that are not UTF-8
            pass
    texts = [None if _is_missing(value) else _text(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _is_missing(value: object) -> bool:
    """Whether a value is null, or NaN, which pandas writes for null."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_WHOLE:
        return str(int(value))
    return readable(os.fsdecode(value)) if isinstance(value, bytes) else str(value)


def read_degrees(
    table: pa.Table, path: str | PathLike[str], needs: str, *, predicted: bool = False
) -> Float64Array:
    """Return the coordinates of a table as they are written.

    Args:
        table: N rows.
        path: of the table, for the error message.
        needs: which columns the table needs, for the error message.
        predicted: read predictions rather than the truth; see `choose_coordinates`.

    Returns:
        (N, 2) latitude and longitude in degrees, NaN for null and for what is no number. They may
        be out of range or swapped; see `is_position` and `geoloc.photos.swapped`.

    Raises:
        TableError: there is no column of latitudes or of longitudes, or only one of predictions.
    """
    chosen = choose_coordinates(table.column_names, predicted=predicted)
    if not predicted and _only_estimates(table, chosen):
        raise TableError(
            f"{path}: its lat and lon are estimates, and it has no known positions; give a table"
            " with the columns input_lat and input_lon"
        )
    found = [None if name is None else table[name] for name in (chosen.lat, chosen.lon)]
    if chosen.words and not chosen.complete:
        raise TableError(
            f"{path}: column {chosen} is one half of a prediction; the table needs both, such as"
            " predicted_lat and predicted_lon"
        )
    require(path, needs, lat=found[0], lon=found[1])
    return np.stack([to_floats(values, len(table)) for values in found], axis=1)


def _only_estimates(table: pa.Table, chosen: CoordinateColumns) -> bool:
    """Return whether a table of answers has no known position."""
    if not are_answers(table.column_names):
        return False
    columns = [table[name] for name in (chosen.lat, chosen.lon) if name is not None]
    return not columns or all(np.isnan(to_floats(each, len(table))).all() for each in columns)


def require(path: str | PathLike[str], needs: str, **columns: pa.ChunkedArray | None) -> None:
    """Raise a TableError that names the columns that are None."""
    missing = [name for name, values in columns.items() if values is None]
    if missing:
        raise TableError(f"{path}: column {', '.join(missing)} is missing; it needs {needs}")
