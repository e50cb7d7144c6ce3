"""The places that rounds are made of: photos with known coordinates, one or more views of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geoloc.errors import GeolocError, PhotoError, TableError
from geoloc.guess import Exif
from geoloc.photos.decode import read_exif
from geoloc.photos.discover import photos_below
from geoloc.photos.tables import SYNONYMS, column, floats, read_table, strings
from geoloc.types import Float64Array, StrArray

LOCATION = ("location_id", *SYNONYMS["location_id"])
"""What else tables call the column `location`, which the views of one place share."""


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
    table, file, latlon = read_located(path, ("file", *SYNONYMS["file"]))
    known = ~np.isnan(latlon[:, 0])
    problems = []
    if not known.all():
        lost = file[~known]
        problems.append(
            f"{path}: {len(lost):,} of {len(file):,} photos have no usable coordinates and are left"
            f" out ({', '.join(lost[:3])}{' …' if len(lost) > 3 else ''})"
        )
    place = column(table, "location", LOCATION)
    name = file if place is None else strings(place, len(table))
    heading = floats(column(table, "heading"), len(table))
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
        (name if group is None else strings(group, len(table)))[first],
    )
    return places, problems


def read_located(path: Path, names: Sequence[str]) -> tuple[pa.Table, StrArray, Float64Array]:
    """Read a table of things with coordinates.

    Args:
        path: CSV or Parquet, or a folder of photos.
        names: what the column may be called that names the things.

    Returns:
        The table; the names (N,); and (N, 2) degrees, NaN where they are missing, no numbers or out
        of range.

    Raises:
        TableError: it is no such table.
    """
    wanted = "the columns file,lat,lon"
    table = _read_folder(path) if path.is_dir() else read_table(path, wanted)
    found = {
        "file": column(table, names[0], tuple(names[1:])),
        "lat": column(table, "lat"),
        "lon": column(table, "lon"),
    }
    missing = [name for name, values in found.items() if values is None]
    if missing:
        raise TableError(f"{path}: column {', '.join(missing)} is missing; it needs {wanted}")
    latlon = np.stack([floats(found[name], len(table)) for name in ("lat", "lon")], axis=1)
    good = (np.abs(latlon) <= [90.0, 180.0]).all(axis=1, keepdims=True)  # False for NaN
    return table, strings(found["file"], len(table)), np.where(good, latlon, np.nan)


def _read_folder(folder: Path) -> pa.Table:
    """What the photos of a folder say of where they were taken; nothing if they cannot be read."""
    rows: dict[str, list[Any]] = {"file": [], "lat": [], "lon": []}
    for file in photos_below(folder):
        try:
            exif = read_exif(file)
        except PhotoError:
            exif = Exif()
        rows["file"].append(os.path.relpath(file, folder))
        rows["lat"].append(exif.lat)
        rows["lon"].append(exif.lon)
    kinds = {"file": pa.string(), "lat": pa.float64(), "lon": pa.float64()}
    return pa.table({name: pa.array(rows[name], kind) for name, kind in kinds.items()})


def _spaced(rows: list[int], heading: Float64Array, views: int) -> list[int]:
    """Some of the views of a place, evenly around the compass; by their order if it is unknown."""
    around = sorted(rows, key=lambda row: (np.nan_to_num(heading[row]), row))
    return [around[view * len(around) // views] for view in range(views)]
