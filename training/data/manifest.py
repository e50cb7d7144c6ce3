"""The photo table: which photos, where they were taken, and which belong together."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv

from geocells.columns import objects, read_parquet
from geoloc.errors import PhotoError, TableError
from geoloc.photos.discover import photos_below
from geoloc.types import Float64Array, StrArray

BLOCK_DEG = 0.01
"""Photos without a group are held out together with all others of a block of about 1 km."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """N photos with known places, all columns (N,) in one order."""

    file: StrArray
    """Paths."""
    latlon: Float64Array
    """(N, 2) degrees."""
    group: StrArray
    """Photos of one group (a walk, a photographer's day, a landmark) are never split."""
    precision_km: Float64Array
    """How far off the coordinates may be."""
    collection: StrArray
    """Folder below the manifest that holds the photo; results are told apart by it."""
    source: StrArray
    licence: StrArray
    author: StrArray

    def __len__(self) -> int:
        return len(self.file)

    def take(self, rows: npt.ArrayLike) -> Manifest:
        """Some rows, in their order."""
        index = np.asarray(rows)
        return Manifest(*(getattr(self, field.name)[index] for field in fields(self)))


def read(path: str | os.PathLike[str]) -> tuple[Manifest, list[str]]:
    """Read a folder of geotagged photos, or a CSV or Parquet table of them.

    A table has the columns file (relative to the table), lat, lon in degrees, and may have group,
    precision_km, source, licence and author.

    Returns:
        The usable photos, and one line for each row or photo that is not.

    Raises:
        TableError: there is no such file, or it is no table of photos.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place)
    if not place.is_file():
        raise TableError(f"{place}: no such folder or table; give one that exists")
    return _read_table(place)


def _read_folder(folder: Path) -> tuple[Manifest, list[str]]:
    from geoloc.photos.decode import read_exif

    rows: list[tuple[str, float, float]] = []
    problems: list[str] = []
    without = 0
    for file in photos_below(folder):
        try:
            exif = read_exif(file)
        except PhotoError as error:
            problems.append(str(error))
            continue
        if exif.lat is None or exif.lon is None:
            without += 1
        else:
            rows.append((os.path.relpath(file, folder), exif.lat, exif.lon))
    if not rows:
        raise TableError(
            f"{folder}: no photo with GPS coordinates in its EXIF ({without} without);"
            " give a folder that has some, or a CSV with the columns file,lat,lon"
        )
    columns = list(zip(*rows, strict=True))
    latlon = np.array([columns[1], columns[2]], np.float64).T
    return _manifest(folder, {"file": _column(columns[0])}, latlon), problems


def _read_table(path: Path) -> tuple[Manifest, list[str]]:
    try:
        if path.suffix == ".parquet":
            table = read_parquet(path)
        else:
            texts = csv.ConvertOptions(strings_can_be_null=False)
            table = csv.read_csv(path, convert_options=texts)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise TableError(
            f"{path}: not a readable CSV or Parquet table ({reason}); it needs the columns"
            " file,lat,lon"
        ) from error
    missing = {"file", "lat", "lon"} - set(table.column_names)
    if missing:
        raise TableError(
            f"{path}: column {', '.join(sorted(missing))} is missing; it needs file,lat,lon"
        )
    columns = {name: objects(table[name]) for name in table.column_names}
    latlon = np.stack([_floats(columns["lat"]), _floats(columns["lon"])], axis=1)
    good = (np.abs(latlon[:, 0]) <= 90.0) & (np.abs(latlon[:, 1]) <= 180.0)
    problems = [
        f"{path}: row {row + 2} ({columns['file'][row]}) has latitude {columns['lat'][row]},"
        f" longitude {columns['lon'][row]}; expected -90..90 and -180..180 degrees"
        for row in np.flatnonzero(~good)
    ]
    kept = {name: values[good] for name, values in columns.items()}
    return _manifest(path.parent, kept, latlon[good]), problems


def _manifest(base: Path, columns: dict[str, StrArray], latlon: Float64Array) -> Manifest:
    count = len(latlon)
    files = columns["file"]
    folder = [Path(str(file)).parts[0] if len(Path(str(file)).parts) > 1 else "" for file in files]
    empty = _column([""] * count)
    return Manifest(
        file=_column([str(base / str(file)) for file in files]),
        latlon=latlon,
        group=columns.get("group", _blocks(latlon)),
        precision_km=np.nan_to_num(_floats(columns["precision_km"]))
        if "precision_km" in columns
        else np.zeros(count),
        collection=_column(folder),
        source=columns.get("source", empty),
        licence=columns.get("licence", empty),
        author=columns.get("author", empty),
    )


def _blocks(latlon: Float64Array) -> StrArray:
    """Names (N,) of square blocks of the Earth about 1 km wide."""
    width = BLOCK_DEG / np.maximum(np.cos(np.radians(latlon[:, 0])), 0.01)
    row, column = np.floor(latlon[:, 0] / BLOCK_DEG), np.floor(latlon[:, 1] / width)
    return _column([f"{a:.0f},{b:.0f}" for a, b in zip(row, column, strict=True)])


def _floats(values: StrArray) -> Float64Array:
    """Numbers (N,); NaN for what is none."""
    return np.array([_float(value) for value in values], np.float64)


def _float(value: Any) -> float:  # noqa: ANN401
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _column(values: Any) -> StrArray:  # noqa: ANN401
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
