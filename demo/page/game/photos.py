"""Photos with known places: the examples that are shipped, and those of a game."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoloc.errors import GeolocError, TableError
from geoloc.photos.columns import file_names, on_earth, require, to_texts
from geoloc.photos.decode import printable
from geoloc.photos.swapped import read_true_degrees
from geoloc.photos.tables import folder_of, read_table, resolve

EXAMPLES = Path(__file__).parents[2] / "examples" / "places.csv"

NEEDS = "the columns file, lat, lon in degrees"


@dataclass(frozen=True)
class LocatedPhoto:
    """A photo and where it was taken."""

    file: Path
    lat: float
    """Degrees."""
    lon: float
    """Degrees."""


def read(path: Path) -> list[LocatedPhoto]:
    """Read a table with the columns file, lat and lon; files are relative to it.

    Raises:
        GeolocError: it cannot be read, or a row names no file or has no coordinates.
    """
    table = read_table(path, NEEDS)
    names = file_names(table)
    if not len(table):
        raise TableError(f"{path}: no photos in it; give a table with {NEEDS}")
    require(path, NEEDS, file=names)
    latlon = read_true_degrees(table, path, NEEDS)
    good = on_earth(latlon)
    photos = []
    for row, name in enumerate(to_texts(names, len(table))):
        line = row + 2
        if not good[row]:
            raise GeolocError(
                f"{path}, line {line}: no place on the Earth; give {NEEDS}, -90..90 and -180..180"
            )
        file = Path(resolve(folder_of(path), name))
        if not file.is_file():
            raise GeolocError(
                f"{path}, line {line}: {printable(name)}: no such file beside the table; put it"
                " there or correct its name"
            )
        photos.append(LocatedPhoto(file, *latlon[row].tolist()))
    return photos
