"""The one reader of photo tables, and of folders of photos that carry their position in EXIF.

Tables are CSV, TSV, text separated by semicolons, JSON, Parquet or plain lists of names.
`geoloc.photos.tabular.rows` reads the same formats row by row; `geoloc.photos.columns` holds the
names that their columns may have.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from geocells.columns import numbers, read_parquet
from geoloc.errors import PhotoError, TableError
from geoloc.guess import Exif
from geoloc.photos import storage
from geoloc.photos.decode import printable, read_metadata
from geoloc.photos.discover import photos_below
from geoloc.photos.exif import Metadata, gps_position
from geoloc.photos.position import NO_POSITION, is_position, on_earth
from geoloc.photos.tabular.arrow import EmptyError, read_json, read_text
from geoloc.photos.tabular.delimited import report_repeated, unique_names
from geoloc.photos.tabular.encoding import Report, notice, spellings
from geoloc.photos.tabular.rows import Format, format_of
from geoloc.types import BoolArray, Float64Array, StrArray

NAMES_SHOWN = 3
"""Photos that are named in a line about many."""


def read_table(
    path: str | os.PathLike[str],
    needs: str,
    kind: Format | None = None,
    problem: Report = notice,
) -> pa.Table:
    """Read a table of photos, coordinates or predictions, whatever its columns.

    Cells of text formats and JSON stay as they are written, so that IDs keep their leading zeros
    and digits; `to_floats` and `read_degrees` make numbers of columns that should be. Parquet keeps
    its types. Rows without any content are left out, repeated names of columns get a number, and
    encodings other than UTF-8 are recognised; see `geoloc.photos.tabular.encoding`.

    Args:
        path: the file.
        needs: which columns the caller needs, for the error message.
        kind: the format, if the ending of the name does not say it.
        problem: receives a line about rows that cannot be read and are left out.

    Raises:
        TableError: it is missing, or no table.
    """
    place = os.fspath(path)
    if not storage.is_address(place) and not os.path.isfile(place):
        raise TableError(f"{place}: no such table; give a CSV or Parquet file with {needs}")
    kind = kind or format_of(place)
    try:
        if kind == "parquet":
            with storage.opened(place) as file:
                table = read_parquet(file)
            names = unique_names(table.column_names)
            report_repeated(names, place)
            return table.rename_columns(names)
        return read_json(place, problem) if kind == "json" else read_text(place, problem)
    except (OSError, UnicodeError, pa.ArrowException, EmptyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TableError(
            f"{place}: not a readable CSV or Parquet table ({reason}); it needs {needs}"
        ) from error


@dataclass(frozen=True, eq=False)
class Folder:
    """N photos of a folder and of all folders below it."""

    file: StrArray
    """(N,) relative to the folder."""
    latlon: Float64Array
    """(N, 2) degrees, NaN without a position; see `geoloc.photos.decode.read_metadata`."""
    taken_at: StrArray
    """(N,) ISO 8601, None where it is missing."""
    without_gps: BoolArray
    """(N,) whether a photo can be read and has no GPS coordinates, not even unusable ones."""
    unreadable: tuple[PhotoError, ...]
    """Why photos cannot be read; these have no position."""
    unusable_gps: tuple[str, ...] = ()
    """Files with GPS coordinates that are no position; see `geoloc.photos.position`."""

    def problems(self, path: str | os.PathLike[str]) -> list[str]:
        """Return a line for each kind of unreadable photos, and one about unusable coordinates."""
        lines = photo_problems(path, self.unreadable, len(self.file))
        if self.unusable_gps:
            names = _objects(self.unusable_gps)
            problem = f"have GPS coordinates that are no position ({NO_POSITION})"
            lines.append(row_problem(path, names, np.ones(len(names), bool), problem, "photos"))
        return lines

    def geotagged(self, path: str | os.PathLike[str]) -> Folder:
        """Return the photos with a position.

        Raises:
            TableError: there are none; `path` is named.
        """
        rows = np.flatnonzero(is_position(self.latlon))
        if not len(rows):
            unusable = len(self.unusable_gps)
            without = int(self.without_gps.sum()) + unusable
            partly = f", {unusable} of them with unusable ones" if unusable else ""
            raise TableError(
                f"{path}: no photo with GPS coordinates in its EXIF ({without} without{partly});"
                " give a folder that has some, or a CSV with the columns file,lat,lon"
            )
        return replace(
            self,
            file=self.file[rows],
            latlon=self.latlon[rows],
            taken_at=self.taken_at[rows],
            without_gps=self.without_gps[rows],
        )


def read_folder(folder: str | os.PathLike[str]) -> Folder:
    """Read the positions that the photos of a folder have in their metadata or sidecars."""
    files: list[str] = []
    positions: list[tuple[float, float]] = []
    times: list[str | None] = []
    unreadable: list[PhotoError] = []
    unusable: list[str] = []
    without: list[bool] = []
    for file in photos_below(folder):
        try:
            found = read_metadata(file)
            without.append(not found.unusable_gps and gps_position(found.exif) is None)
        except PhotoError as error:
            found = Metadata(Exif())
            without.append(False)
            unreadable.append(error)
        files.append(os.path.relpath(file, folder))
        if found.unusable_gps:
            unusable.append(files[-1])
        positions.append(gps_position(found.exif) or (np.nan, np.nan))
        times.append(found.exif.taken_at)
    latlon = np.array(positions, np.float64).reshape(-1, 2)
    return Folder(
        _objects(files),
        latlon,
        _objects(times),
        np.array(without, bool),
        tuple(unreadable),
        tuple(unusable),
    )


def _objects(values: Sequence[Any]) -> StrArray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def resolve(folder: str | os.PathLike[str], name: str) -> str:
    """Return the path or address of a file that a table in `folder` names.

    It is relative to that folder, or else to the current one: tables of answers hold names as they
    were given to the command that wrote them. The file may have the name in another of its
    `spellings` if there is none with the exact name.
    """
    base = os.fspath(folder)
    if storage.is_address(name):
        return name
    if storage.is_address(base):
        return f"{base}/{name}"
    path = os.path.join(base, name)
    if os.path.lexists(path):
        return path
    usual = name.isascii() and name == name.strip() and "\\" not in name
    names = (name,) if usual else tuple(spellings(name))
    options = [os.path.join(place, each) for place in (base, "") for each in names]
    return next((option for option in options if os.path.lexists(option)), path)


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


def position_problems(
    source: str | os.PathLike[str],
    names: Sequence[Any] | StrArray,
    latlon: Float64Array,
    rows: str = "rows",
) -> list[str]:
    """Return a line for each kind of rows that have no position; see `is_position`.

    Args:
        source: the table.
        names: N photos.
        latlon: (N, 2) degrees as they are written.
        rows: what the rows are.
    """
    is_number = np.asarray(np.isfinite(latlon).all(axis=1))
    outside = is_number & ~on_earth(latlon)
    kinds: dict[str, BoolArray] = {
        "have no number for latitude or longitude": ~is_number,
        "lie outside -90..90, -180..180 degrees": outside,
        "are at 0,0, which stands for an unknown position": np.asarray((latlon == 0.0).all(axis=1)),
    }
    return [
        row_problem(source, names, bad, f"{kind} and are left out", rows)
        for kind, bad in kinds.items()
        if bad.any()
    ]


def photo_problems(
    source: str | os.PathLike[str], errors: Sequence[PhotoError], count: int
) -> list[str]:
    """Return a line for each kind of unreadable ones of `count` photos."""
    by_kind: dict[str, list[PhotoError]] = {}
    for error in errors:
        by_kind.setdefault(error.kind, []).append(error)
    lines = []
    for kind, alike in by_kind.items():
        names = ", ".join(error.name for error in alike[:NAMES_SHOWN])
        more = f" and {len(alike) - NAMES_SHOWN:,} more" if len(alike) > NAMES_SHOWN else ""
        reason = f" ({alike[0]})" if len(alike) == 1 else f": {kind} ({names}{more})"
        lines.append(f"{source}: {len(alike):,} of {count:,} photos cannot be read{reason}")
    return lines


def first_of_each(names: pa.Array | pa.ChunkedArray) -> BoolArray:
    """Return (N,) whether no earlier name is the same."""
    chunks = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    codes = numbers(pa.chunked_array([chunks.dictionary_encode().indices]))
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first
