"""The one reader of photo tables, and of folders of photos that carry their position in EXIF.

Tables are CSV, TSV, text separated by semicolons, JSON lines, Parquet or plain lists of names.
`geoloc.photos.rows` reads the same formats row by row; `geoloc.photos.columns` holds the names that
their columns may have.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import numbers, read_parquet
from geoloc.errors import PhotoError, TableError
from geoloc.guess import Exif
from geoloc.photos import rows as by_rows
from geoloc.photos import storage
from geoloc.photos.columns import NUMERIC, find_name, on_earth
from geoloc.photos.coordinate_columns import coordinate_columns
from geoloc.photos.decode import printable, read_metadata
from geoloc.photos.discover import photos_below
from geoloc.photos.exif import Metadata, gps_position
from geoloc.types import BoolArray, Float64Array, StrArray

NAMES_SHOWN = 3
"""Photos that are named in a line about many."""

_ROWS_AT_ONCE = 50_000
_BLOCK_BYTES = 1 << 24
"""Of text that Arrow parses at once; a row has to fit into it."""

_DECIMAL_COMMA = r"^\s*([-+]?\d*),(\d+)\s*$"


def read_table(
    path: str | os.PathLike[str], needs: str, kind: by_rows.Format | None = None
) -> pa.Table:
    """Read a table of photos, coordinates or predictions, whatever its columns.

    Cells of text formats stay text, so that IDs keep their leading zeros and digits; `to_floats`
    and `read_degrees` make numbers of columns that should be. JSON and Parquet keep their types.

    Args:
        path: the file.
        needs: which columns the caller needs, for the error message.
        kind: the format, if the ending of the name does not say it.

    Raises:
        TableError: it is missing, no table, or not in UTF-8.
    """
    place = os.fspath(path)
    if not storage.is_address(place) and not os.path.isfile(place):
        raise TableError(f"{place}: no such table; give a CSV or Parquet file with {needs}")
    kind = kind or by_rows.format_of(place)
    try:
        if kind == "parquet":
            with storage.opened(place) as file:
                return read_parquet(file)
        if kind == "json":
            return _table_of_rows(by_rows.read_rows(place))
        return _read_text(place)
    except (OSError, UnicodeError, pa.ArrowException, _EmptyError) as error:
        reason = str(error).splitlines()[0]
        raise TableError(
            f"{place}: not a readable CSV or Parquet table ({reason}); it needs {needs}"
        ) from error


class _EmptyError(Exception):
    """A file has no header."""


def _read_text(place: str) -> pa.Table:
    """Read a text table: by Arrow, or row by row where Arrow refuses it."""
    with by_rows.open_buffered(place) as file:
        sample = by_rows.peek(file)
        dialect = by_rows.sniff(sample, place)
        if dialect is None:
            return _texts_of_rows(by_rows.read_rows(place), ("file",))
        if not dialect.columns:
            raise _EmptyError("it is empty")
        try:
            if sample.removeprefix(b"\xef\xbb\xbf")[:1] in (b"\r", b"\n"):
                raise pa.ArrowInvalid("Arrow would take the empty line for the header")
            table = _read_by_arrow(file, dialect)
        except pa.ArrowException:
            table = _texts_of_rows(by_rows.read_rows(place), dialect.columns)
    return _without_decimal_commas(table) if dialect.delimiter == ";" else table


def _read_by_arrow(file: io.BufferedReader, dialect: by_rows.Dialect) -> pa.Table:
    return csv.read_csv(
        file,
        csv.ReadOptions(
            column_names=dialect.columns,
            skip_rows_after_names=int(dialect.has_header),
            block_size=_BLOCK_BYTES,
        ),
        csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if dialect.quoted else False,
            newlines_in_values=dialect.quoted,
        ),
        csv.ConvertOptions(
            column_types={name: pa.string() for name in dialect.columns},
            null_values=[],  # "NA" is an author, and the code of Namibia
            strings_can_be_null=False,
        ),
    )


def _texts_of_rows(rows: Iterable[by_rows.Row], columns: Sequence[str]) -> pa.Table:
    """Columns of text, null where a row is shorter than the header."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    parts = [schema.empty_table()]
    rows = iter(rows)
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        parts.append(pa.table({name: _texts([row[name] for row in part]) for name in columns}))
    return pa.concat_tables(parts)


def _texts(values: list[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        bad = next(value for value in values if value and not _is_unicode(value))
        raise UnicodeError(f"{bad!a} is not UTF-8; save the table as UTF-8") from error


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _table_of_rows(rows: Iterator[by_rows.Row]) -> pa.Table:
    """Columns of JSON objects; columns of mixed types become text."""
    read = list(rows)
    columns = list(dict.fromkeys(name for row in read for name in row))
    if not columns:
        raise _EmptyError("it is empty")
    return pa.table({name: _json_column([row.get(name) for row in read]) for name in columns})


def _json_column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return _texts([None if value is None else str(by_rows.scalar(value)) for value in values])


def _without_decimal_commas(table: pa.Table) -> pa.Table:
    """Numbers with decimal points, as in tables of countries that write 48,85."""
    import pyarrow.compute as pc

    known = {find_name(table.column_names, name) for name in NUMERIC}
    for pair in coordinate_columns(table.column_names):
        known |= {pair.lat, pair.lon}
    for found in known:
        if found is not None:
            points = pc.replace_substring_regex(table[found], _DECIMAL_COMMA, r"\1.\2")
            table = table.set_column(table.column_names.index(found), found, points)
    return table


@dataclass(frozen=True, eq=False)
class Folder:
    """N photos of a folder and of all folders below it."""

    file: StrArray
    """(N,) relative to the folder."""
    latlon: Float64Array
    """(N, 2) degrees, NaN without a position; see `geoloc.photos.decode.read_metadata`."""
    taken_at: StrArray
    """(N,) ISO 8601, None where it is missing."""
    unreadable: tuple[str, ...]
    """One line for each photo that cannot be read; these have no position."""
    unusable_gps: tuple[str, ...] = ()
    """Files with GPS coordinates that are no position; see `geoloc.photos.position`."""

    def problems(self, path: str | os.PathLike[str]) -> list[str]:
        """Return a line for each unreadable photo, and one about unusable GPS coordinates."""
        if not self.unusable_gps:
            return list(self.unreadable)
        names = _objects(self.unusable_gps)
        problem = (
            "have GPS coordinates that are no position (without N, S, E or W; 0/0; 0 N 0 E; or an"
            " estimate of this program)"
        )
        line = row_problem(path, names, np.ones(len(names), bool), problem, "photos")
        return [*self.unreadable, line]

    def geotagged(self, path: str | os.PathLike[str]) -> Folder:
        """Return the photos with a position.

        Raises:
            TableError: there are none; `path` is named.
        """
        rows = np.flatnonzero(on_earth(self.latlon))
        if not len(rows):
            without = len(self.file) - len(self.unreadable)
            unusable = len(self.unusable_gps)
            partly = f", {unusable} of them with unusable ones" if unusable else ""
            raise TableError(
                f"{path}: no photo with GPS coordinates in its EXIF ({without} without{partly});"
                " give a folder that has some, or a CSV with the columns file,lat,lon"
            )
        return replace(
            self, file=self.file[rows], latlon=self.latlon[rows], taken_at=self.taken_at[rows]
        )


def read_folder(folder: str | os.PathLike[str]) -> Folder:
    """Read the positions that the photos of a folder have in their metadata or sidecars."""
    files: list[str] = []
    positions: list[tuple[float, float]] = []
    times: list[str | None] = []
    unreadable: list[str] = []
    unusable: list[str] = []
    for file in photos_below(folder):
        try:
            found = read_metadata(file)
        except PhotoError as error:
            found = Metadata(Exif())
            unreadable.append(str(error))
        files.append(os.path.relpath(file, folder))
        if found.unusable_gps:
            unusable.append(files[-1])
        positions.append(gps_position(found.exif) or (np.nan, np.nan))
        times.append(found.exif.taken_at)
    latlon = np.array(positions, np.float64).reshape(-1, 2)
    return Folder(_objects(files), latlon, _objects(times), tuple(unreadable), tuple(unusable))


def _objects(values: Sequence[Any]) -> StrArray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def resolve(folder: str | os.PathLike[str], name: str) -> str:
    """Return the path or address of a file that a table in `folder` names.

    It is relative to that folder, or else to the current one: tables of answers hold names as they
    were given to the command that wrote them.
    """
    base = os.fspath(folder)
    if storage.is_address(name):
        return name
    if storage.is_address(base):
        return f"{base}/{name}"
    path = os.path.join(base, name)
    return name if not os.path.exists(path) and os.path.exists(name) else path


def folder_of(table: str | os.PathLike[str]) -> str:
    """Return the folder, or the address, that file names in a table are relative to."""
    place = os.fspath(table)
    return place.rpartition("/")[0] if storage.is_address(place) else os.path.dirname(place)


def row_problem(
    source: str | os.PathLike[str],
    names: Sequence[Any] | StrArray,
    bad: BoolArray,
    problem: str,
    rows: str = "rows",
) -> str:
    """Return one line about all bad rows that names the first.

    Args:
        source: the table.
        names: N photos.
        bad: (N,) which of them have the problem.
        problem: verb and object, such as "have no place on the Earth".
        rows: what the rows are.
    """
    chosen = np.flatnonzero(bad)
    named = ", ".join(printable(str(names[int(row)])) for row in chosen[:NAMES_SHOWN])
    more = f" and {len(chosen) - NAMES_SHOWN:,} more" if len(chosen) > NAMES_SHOWN else ""
    return f"{source}: {len(chosen):,} of {len(bad):,} {rows} {problem} ({named}{more})"


def first_of_each(names: pa.Array | pa.ChunkedArray) -> BoolArray:
    """Return (N,) whether no earlier name is the same."""
    chunks = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    codes = numbers(pa.chunked_array([chunks.dictionary_encode().indices]))
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first
