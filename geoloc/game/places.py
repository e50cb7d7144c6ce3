"""The places that rounds are made of: photos with known coordinates, one or more views of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geoloc.errors import GeolocError
from geoloc.photos.columns import (
    column,
    file_names,
    on_earth,
    read_degrees,
    require,
    to_floats,
    to_texts,
)
from geoloc.photos.decode import printable
from geoloc.photos.tables import read_folder, read_table, row_problem
from geoloc.types import Float64Array, StrArray

NEEDS = "the columns file,lat,lon"


class GameError(GeolocError):
    """A map, player or replay cannot be played with."""


@dataclass(frozen=True, eq=False)
class Places:
    """N places that can be shown."""

    name: StrArray
    """(N,) unique: what the manifest calls the location, else its file."""
    latlon: Float64Array
    """(N, 2) degrees."""
    views: tuple[tuple[Path, ...], ...]
    """(N,) photos of each place, by heading where that is known."""
    group: StrArray
    """(N,) places of one group (a walk, a landmark) are not independent of each other."""

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: npt.ArrayLike) -> Places:
        """Some places, in the order given."""
        index = np.asarray(rows, np.intp)
        views = tuple(self.views[row] for row in index.tolist())
        return Places(self.name[index], self.latlon[index], views, self.group[index])


def read_places(path: Path, views: int = 1) -> tuple[Places, list[str]]:
    """Read a manifest: file,lat,lon and perhaps location, heading, group; or a folder of photos.

    Rows with one location are views of one place, which lies where its first view does. If it has
    more views than are asked for, evenly spaced ones are shown: of eight, every second.

    Args:
        path: CSV or Parquet, whose files are relative to it; or a folder of photos with GPS
            coordinates in their EXIF, which are the truth here.
        views: photos that a player sees of each place.

    Returns:
        The places, and one line for everything that is left out.

    Raises:
        TableError: it is no such table.
        GameError: no place is left.
    """
    table, file, latlon = read_located(path, ("file",))
    known = ~np.isnan(latlon[:, 0])
    problems = []
    if not known.all():
        problem = "have no usable coordinates and are left out"
        problems.append(row_problem(path, file, ~known, problem, "photos"))
    place = column(table, "location")
    name = file if place is None else to_texts(place, len(table))
    heading = to_floats(column(table, "heading"), len(table))
    rows_of: dict[str, list[int]] = {}
    for row in np.flatnonzero(known).tolist():
        rows_of.setdefault(name[row], []).append(row)
    kept = {name: rows for name, rows in rows_of.items() if len(rows) >= views}
    if len(kept) < len(rows_of):
        few = len(rows_of) - len(kept)
        problems.append(f"{path}: {few:,} places have fewer than {views} views and are left out")
    if not kept:
        raise GameError(
            f"{path}: no place with {views} views; give the rows of one place the same `location`,"
            " or ask for fewer views"
        )
    first = [rows[0] for rows in kept.values()]
    folder = path if path.is_dir() else path.parent
    group = column(table, "group")
    places = Places(
        np.array(list(kept), dtype=object),
        latlon[first],
        tuple(
            tuple(folder / file[row] for row in _spaced(rows, heading, views))
            for rows in kept.values()
        ),
        (name if group is None else to_texts(group, len(table)))[first],
    )
    return places, problems


def read_located(
    path: Path, names: Sequence[str], *, predicted: bool = False
) -> tuple[pa.Table, StrArray, Float64Array]:
    """Read a table of photos or places with coordinates.

    Args:
        path: CSV or Parquet, or a folder of photos.
        names: columns that may name the rows, the preferred one first; synonyms count.
        predicted: prefer columns of predictions; see `geoloc.photos.columns.read_degrees`.

    Returns:
        The table; the names (N,); and (N, 2) degrees, NaN where they are missing, no numbers or out
        of range.

    Raises:
        TableError: it is no such table.
    """
    if path.is_dir():
        photos = read_folder(path)
        table = pa.table({"file": [printable(name) for name in photos.file]})
        return table, photos.file, photos.latlon
    table = read_table(path, NEEDS)
    options = [column(table, name) for name in names] + [file_names(table)]
    about = next((found for found in options if found is not None), None)
    require(path, NEEDS, file=about)
    latlon = read_degrees(table, path, NEEDS, predicted=predicted)
    latlon[~on_earth(latlon)] = np.nan
    return table, to_texts(about, len(table)), latlon


def _spaced(rows: list[int], heading: Float64Array, views: int) -> list[int]:
    """Some of the views of a place, evenly around the compass; by their order if it is unknown."""
    around = sorted(rows, key=lambda row: (np.nan_to_num(heading[row]), row))
    return [around[view * len(around) // views] for view in range(views)]
