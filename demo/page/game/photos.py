"""Photos with known places: the examples that are shipped, and those of a game."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import TableError
from geoloc.game.places import read_places
from geoloc.photos.columns import file_names, require, to_texts
from geoloc.photos.position import is_position
from geoloc.photos.swapped import read_true_degrees
from geoloc.photos.tables import folder_of, position_problems, read_table, resolve, row_problem
from geoloc.photos.tabular.encoding import notice

EXAMPLES = Path(__file__).parents[2] / "examples" / "places.csv"

SHOWN = ("aqueduct.jpg", "tower.jpg", "pyramid.jpg", "granite.jpg")
"""Examples that the page offers: three that the starter places, and one of a country without
photos like it in the starter, where it is not sure."""

NEEDS = "the columns file, lat, lon in degrees"


@dataclass(frozen=True)
class LocatedPhoto:
    """A photo and where it was taken."""

    file: Path
    lat: float
    """Degrees."""
    lon: float
    """Degrees."""


def examples() -> list[Path]:
    """Return the photos of SHOWN, which no bundle of the project was made from."""
    return [EXAMPLES.with_name(name) for name in SHOWN]


def read(path: Path) -> list[LocatedPhoto]:
    """Read photos and where they were taken, from a folder or a table.

    What has no position or no file is left out, with a notice for each kind.

    Args:
        path: a folder of photos with positions in their EXIF; or a table with the columns file, lat
            and lon, whose files are relative to it.

    Raises:
        GeolocError: it cannot be read, or no photo is left.
    """
    if not path.is_dir():
        return _read_table(path)
    places, problems = read_places(path)
    for line in problems:
        notice(line)
    files = [views[0] for views in places.views]
    return [LocatedPhoto(*each) for each in zip(files, *places.latlon.T.tolist(), strict=True)]


def _read_table(path: Path) -> list[LocatedPhoto]:
    table = read_table(path, NEEDS)
    columns = file_names(table)
    if not len(table):
        raise TableError(f"{path}: no photos in it; give a table with {NEEDS}")
    require(path, NEEDS, file=columns)
    names = to_texts(columns, len(table))
    latlon = read_true_degrees(table, path, NEEDS)
    files = [Path(resolve(folder_of(path), name)) for name in names]
    missing = np.array([not file.is_file() for file in files], bool)
    problems = position_problems(path, names, latlon)
    if missing.any():
        problem = "name no file beside the table and are left out"
        problems.append(row_problem(path, names, missing, problem))
    rows = np.flatnonzero(is_position(latlon) & ~missing)
    if not len(rows):
        raise TableError(f"{'; '.join(problems)}; no photo is left; give a table with {NEEDS}")
    for line in problems:
        notice(line)
    return [LocatedPhoto(files[row], *latlon[row].tolist()) for row in rows]
