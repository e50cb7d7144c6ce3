"""Photographs whose place is known: the examples that are shipped, and those of a game."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from geocells.sphere import check_latlon
from geoloc.errors import GeolocError

EXAMPLES = Path(__file__).parents[2] / "examples" / "places.csv"


@dataclass(frozen=True)
class Placed:
    """A photograph and where it was taken."""

    file: Path
    lat: float
    lon: float


def read(manifest: Path) -> list[Placed]:
    """Read a table with the columns file, lat and lon; files are relative to it.

    Raises:
        GeolocError: it cannot be read, or a row names no file or no coordinates.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as table:
            rows = list(csv.DictReader(table))
    except (OSError, ValueError, csv.Error) as error:
        raise GeolocError(f"{manifest}: cannot be read ({error}); give a CSV table") from error
    if not rows:
        raise GeolocError(f"{manifest}: no photos in it; give a table with file, lat, lon")
    return [_row(manifest, line, row) for line, row in enumerate(rows, start=2)]


def _row(manifest: Path, line: int, row: dict[str, str]) -> Placed:
    try:
        file, lat, lon = manifest.parent / row["file"], float(row["lat"]), float(row["lon"])
        check_latlon([(lat, lon)])
    except (KeyError, TypeError, ValueError) as error:
        raise GeolocError(
            f"{manifest}, line {line}: {error}; give the columns file, lat, lon in degrees"
        ) from error
    if not file.is_file():
        raise GeolocError(f"{manifest}, line {line}: {file.name}: no such file beside the table")
    return Placed(file, lat, lon)
