"""Geotagged photos to learn from, read from a folder or a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.errors import TableError
from geoloc.photos.columns import (
    column,
    file_names,
    require,
    to_floats,
    to_texts,
)
from geoloc.photos.position import is_position
from geoloc.photos.swapped import read_true_degrees
from geoloc.photos.tables import (
    folder_of,
    read_folder,
    read_table,
    resolve,
    row_problem,
)
from geoloc.types import Float64Array, StrArray

NEEDS = "the columns file,lat,lon"

BLOCK_DEG = 0.01
"""Photos without a group form groups by blocks of this size, about 1 km."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """N photos with coordinates; all columns (N,) have the same order."""

    file: StrArray
    """Paths."""
    latlon: Float64Array
    """(N, 2) degrees."""
    group: StrArray
    """Photos of one group (a walk, a photographer's day, a landmark) are held out together."""
    precision_km: Float64Array
    """Uncertainty of the coordinates; 0 if it is unknown."""
    collection: StrArray
    """Photos of one photographer or data set, held out together; see `collections_of`."""
    source: StrArray
    licence: StrArray
    author: StrArray
    folder: StrArray
    """Top folder of the relative path; in-collection results are reported for each folder."""

    def __len__(self) -> int:
        return len(self.file)

    def take(self, rows: npt.ArrayLike) -> Manifest:
        """Return some rows, in the order given."""
        index = np.asarray(rows)
        return Manifest(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Skipped:
    """Photos and rows that are left out: one line, with their number, for each reason."""

    problems: tuple[str, ...] = ()
    """Inputs that are damaged or wrong."""
    notes: tuple[str, ...] = ()
    """Inputs that are in order but of no use, such as photos without GPS coordinates."""

    def __add__(self, other: Skipped) -> Skipped:
        """Return the lines of both."""
        return Skipped(self.problems + other.problems, self.notes + other.notes)


def read_all(paths: Sequence[str | os.PathLike[str]]) -> tuple[Manifest, Skipped]:
    """Read several folders and tables as one manifest; see `read`.

    Photos of different tables whose group or collection has the same name share it.
    """
    parts = [read(path) for path in paths]
    columns = {
        field.name: np.concatenate([getattr(manifest, field.name) for manifest, _ in parts])
        for field in fields(Manifest)
    }
    return Manifest(**columns), sum((skipped for _, skipped in parts), Skipped())


def read(path: str | os.PathLike[str]) -> tuple[Manifest, Skipped]:
    """Read a folder of geotagged photos, or a table of them.

    A table has the columns file (relative to the table), lat, lon in degrees, and may have group,
    collection, precision_km, source, licence and author; see `geoloc.photos.columns.SYNONYMS` for
    other names.

    Returns:
        The photos with coordinates, and lines about the others.

    Raises:
        TableError: there is no such file, or it is no table of photos.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place)
    if not place.is_file():
        raise TableError(f"{place}: no such folder or table; give one that exists")
    return _read_table(place)


def _read_folder(path: Path) -> tuple[Manifest, Skipped]:
    found = read_folder(path)
    photos = found.geotagged(path)
    without, count = int(found.without_gps.sum()), len(found.file)
    note = f"{path}: {without:,} of {count:,} photos have no GPS coordinates"
    manifest = _manifest(str(path), {"file": photos.file}, photos.latlon)
    return manifest, Skipped(tuple(found.problems(path)), (note,) if without else ())


def _read_table(path: Path) -> tuple[Manifest, Skipped]:
    unreadable: list[str] = []
    table = read_table(path, NEEDS, problem=unreadable.append)
    files = file_names(table)
    require(path, NEEDS, file=files)
    latlon = read_true_degrees(table, path, NEEDS)
    count = len(table)
    columns: dict[str, StrArray | Float64Array] = {"file": to_texts(files, count)}
    for name in ("group", "collection", "source", "licence", "author"):
        found = column(table, name)
        if found is not None:
            columns[name] = to_texts(found, count)
    columns["precision_km"] = np.nan_to_num(to_floats(column(table, "precision_km"), count))
    lat, lon = (to_texts(column(table, name), count) for name in ("lat", "lon"))
    good = is_position(latlon)
    unknown = np.isnan(latlon).all(axis=1) & (lat == "") & (lon == "")
    null = (latlon == 0.0).all(axis=1)
    rows = _column([f"{name} in row {row}" for row, name in enumerate(columns["file"], 2)])
    problems = {
        "have no coordinates in -90..90 and -180..180 degrees": ~(good | unknown | null),
        "have the coordinates 0, 0, which stand for no position": null,
    }
    lines = [row_problem(path, rows, bad, text) for text, bad in problems.items() if bad.any()]
    skipped = Skipped(
        (*unreadable, *lines),
        (row_problem(path, rows, unknown, "have no coordinates"),) if unknown.any() else (),
    )
    kept = {name: values[good] for name, values in columns.items()}
    return _manifest(folder_of(path), kept, latlon[good]), skipped


def _manifest(base: str, columns: dict[str, Any], latlon: Float64Array) -> Manifest:
    """Make a manifest of columns (N,); missing ones get their defaults."""
    count = len(latlon)
    files = columns["file"]
    folder = _column([Path(file).parts[0] if len(Path(file).parts) > 1 else "" for file in files])
    empty = _column([""] * count)
    source, author = columns.get("source", empty), columns.get("author", empty)
    return Manifest(
        file=_column([resolve(base, file) for file in files]),
        latlon=latlon,
        group=columns.get("group", _blocks(latlon)),
        precision_km=columns.get("precision_km", np.zeros(count)),
        collection=collections_of(columns.get("collection", empty), author, source, folder),
        source=source,
        licence=columns.get("licence", empty),
        author=author,
        folder=folder,
    )


def collections_of(
    named: StrArray, author: StrArray, source: StrArray, folder: StrArray
) -> StrArray:
    """Return the collection (N,) of each photo: the first of these that is known.

    Args:
        named: (N,) the column collection.
        author: (N,)
        source: (N,) only the part before "@" counts, such as the repository in REPOSITORY@COMMIT.
        folder: (N,) top folder of the relative path.
    """
    repository = [text.partition("@")[0] for text in source]
    candidates = zip(named, author, repository, folder, strict=True)
    return _column([next(filter(None, names), "") for names in candidates])


def _blocks(latlon: Float64Array) -> StrArray:
    """Return names (N,) of square blocks of the Earth about 1 km wide."""
    width = BLOCK_DEG / np.maximum(np.cos(np.radians(latlon[:, 0])), 0.01)
    row, column = np.floor(latlon[:, 0] / BLOCK_DEG), np.floor(latlon[:, 1] / width)
    return _column([f"{a:.0f},{b:.0f}" for a, b in zip(row, column, strict=True)])


def _column(values: Any) -> StrArray:  # noqa: ANN401
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
