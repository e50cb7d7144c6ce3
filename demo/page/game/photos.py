"""Photos with known places: the examples that are shipped, and those of a game."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from geoloc.errors import TableError
from geoloc.game.places import read_places
from geoloc.game.sets.photo_set import TABLE
from geoloc.game.sets.pool import CREDITS
from geoloc.photos.columns import column, file_names, read_degrees, require, to_texts
from geoloc.photos.coordinate_columns import choose_coordinates
from geoloc.photos.position import is_position, on_earth
from geoloc.photos.swapped import read_true_degrees
from geoloc.photos.tables import folder_of, position_problems, read_table, resolve, row_problem
from geoloc.photos.tabular.encoding import notice
from geoloc.types import Float64Array

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
    author: str = ""
    licence: str = ""
    source: str = ""
    answer: tuple[float, float] | None = None
    """What a model that never saw the photo answers, in degrees; None to ask the model."""


def examples() -> list[Path]:
    """Return the photos of SHOWN, which no bundle of the project was made from."""
    return [EXAMPLES.with_name(name) for name in SHOWN]


def read(path: Path) -> list[LocatedPhoto]:
    """Read photos and where they were taken, from a folder or a table.

    What has no position or no file is left out, with a notice for each kind.

    Args:
        path: a folder that `geoloc game` wrote, or one of photos with positions in their EXIF; or a
            table with the columns file, lat and lon, whose files are relative to it. It may have
            author, licence and source of the photos, and answers in predicted_lat, predicted_lon.

    Raises:
        GeolocError: it cannot be read, or no photo is left.
    """
    if not path.is_dir():
        return _read_table(path)
    if (path / TABLE).is_file():
        return _read_table(path / TABLE)
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
    author, licence, source = (to_texts(column(table, each), len(table)) for each in CREDITS)
    answers = _answers(table, path)
    return [
        LocatedPhoto(
            files[row],
            lat=float(latlon[row, 0]),
            lon=float(latlon[row, 1]),
            author=str(author[row]),
            licence=str(licence[row]),
            source=str(source[row]),
            answer=answers[row],
        )
        for row in rows.tolist()
    ]


def _answers(table: pa.Table, path: Path) -> list[tuple[float, float] | None]:
    """Return the answers in a table, in degrees; None where there is none."""
    if not choose_coordinates(table.column_names, predicted=True).predicted:
        return [None] * len(table)
    latlon: Float64Array = read_degrees(table, path, NEEDS, predicted=True)
    return [
        (lat, lon) if known else None
        for (lat, lon), known in zip(latlon.tolist(), on_earth(latlon), strict=True)
    ]
