"""Places of game rounds: coordinates with one or more photos (views) of each."""

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
    read_degrees,
    require,
    to_floats,
    to_texts,
)
from geoloc.photos.decode import printable
from geoloc.photos.position import is_position, on_earth
from geoloc.photos.swapped import refuse_swapped
from geoloc.photos.tables import (
    position_problems,
    read_folder,
    read_table,
    resolve,
    row_problem,
)
from geoloc.types import Float64Array, StrArray

NEEDS = "the columns file,lat,lon"


class GameError(GeolocError):
    """A map, player or replay cannot be used."""


@dataclass(frozen=True, eq=False)
class Places:
    """N places with photos."""

    name: StrArray
    """(N,) unique: the location in the manifest, or the file."""
    latlon: Float64Array
    """(N, 2) degrees."""
    views: tuple[tuple[Path, ...], ...]
    """(N,) photos of each place, sorted by heading where that is known."""
    group: StrArray
    """(N,) places of one group (a walk, a landmark) are not statistically independent."""

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: npt.ArrayLike) -> Places:
        """Return some places, in the order given."""
        index = np.asarray(rows, np.intp)
        views = tuple(self.views[row] for row in index.tolist())
        return Places(self.name[index], self.latlon[index], views, self.group[index])


def read_places(path: Path, views: int = 1) -> tuple[Places, list[str]]:
    """Read the places of a game from a table or a folder of photos.

    A table has the columns file, lat, lon, and may have location, heading and group. Rows with the
    same location are views of one place, which has the coordinates of its first view. If a place
    has more views than needed, evenly spaced ones are chosen: of eight, every second for four.

    Args:
        path: a table, whose files are relative to it; or a folder of photos with GPS coordinates in
            their EXIF, which are taken as the truth.
        views: photos that a player sees of each place.

    Returns:
        The places, and one line for each kind of rows that are left out.

    Raises:
        TableError: it is no such table.
        GameError: no place is left.
    """
    table, file, latlon, problems = read_located(path, ("file",))
    known = ~np.isnan(latlon[:, 0])
    place = column(table, "location")
    name = file if place is None else to_texts(place, len(table))
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
    folder = path if path.is_dir() else path.parent
    heading = to_floats(column(table, "heading"), len(table))
    photos = tuple(
        tuple(Path(resolve(folder, file[row])) for row in _spaced(rows, heading, views))
        for rows in kept.values()
    )
    group = column(table, "group")
    groups = name if group is None else to_texts(group, len(table))
    first = [rows[0] for rows in kept.values()]
    names = np.array(list(kept), dtype=object)
    return Places(names, latlon[first], photos, groups[first]), problems


def read_located(
    path: Path, names: Sequence[str], *, predicted: bool = False
) -> tuple[pa.Table, StrArray, Float64Array, list[str]]:
    """Read a table of photos or places with coordinates.

    Args:
        path: CSV or Parquet, or a folder of photos.
        names: columns that may name the rows, the preferred one first; synonyms count.
        predicted: prefer columns of predictions; see `geoloc.photos.columns.read_degrees`.

    Returns:
        The table; the names (N,); (N, 2) degrees, NaN where they are no place (a prediction may be
        at 0,0, a photo may not); and one line for each kind of rows that are left out.

    Raises:
        TableError: it is no such table.
    """
    if path.is_dir():
        return _read_folder(path)
    problems: list[str] = []
    table = read_table(path, NEEDS, problem=problems.append)
    options = [column(table, name) for name in names] + [file_names(table)]
    found = next((each for each in options if each is not None), None)
    require(path, NEEDS, file=found)
    about = to_texts(found, len(table))
    latlon = read_degrees(table, path, NEEDS, predicted=predicted)
    if predicted:
        latlon[~on_earth(latlon)] = np.nan
        return table, about, latlon, problems
    refuse_swapped(table, latlon, path)
    problems += position_problems(path, about, latlon, "photos")
    latlon[~is_position(latlon)] = np.nan
    return table, about, latlon, problems


def _read_folder(path: Path) -> tuple[pa.Table, StrArray, Float64Array, list[str]]:
    photos = read_folder(path)
    problems = photos.problems(path)
    if photos.without_gps.any():
        problem = "have no position in their metadata and are left out"
        problems.append(row_problem(path, photos.file, photos.without_gps, problem, "photos"))
    table = pa.table({"file": [printable(name) for name in photos.file]})
    return table, photos.file, photos.latlon, problems


def _spaced(rows: list[int], heading: Float64Array, views: int) -> list[int]:
    """Choose views evenly around the compass, or by their order if headings are unknown."""
    around = sorted(rows, key=lambda row: (np.nan_to_num(heading[row]), row))
    return [around[view * len(around) // views] for view in range(views)]
