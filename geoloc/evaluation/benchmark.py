"""Photos with known coordinates to evaluate on: published benchmarks, or any table."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.columns import to_strings
from geoloc.errors import TableError
from geoloc.photos.columns import (
    column,
    read_degrees,
    to_floats,
    to_texts,
)
from geoloc.photos.coordinate_columns import choose_coordinates
from geoloc.photos.discover import photos_below
from geoloc.photos.matching import match_any
from geoloc.photos.position import is_position
from geoloc.photos.swapped import countries_of, look_swapped
from geoloc.photos.tables import (
    first_of_each,
    folder_of,
    position_problems,
    read_table,
    resolve,
    row_problem,
)
from geoloc.photos.tabular.encoding import readable
from geoloc.types import BoolArray, Float64Array, Int32Array, StrArray

DATA = Path(__file__).with_name("benchmarks.toml")

NEEDS = "the columns file (or id), lat, lon"
COUNTRY_NEEDS = "the columns file (or id), country"


@dataclass(frozen=True)
class Published:
    """Description of a published benchmark."""

    key: str
    title: str
    photos: tuple[int, ...]
    """Numbers of photos in use, the usual one first."""
    metadata: tuple[str, ...]
    """File names of its table."""
    pictures: str
    """Where its photos were published."""
    table: str
    """Where its table was published."""
    cite: str
    note: str
    """A caveat for the interpretation of its scores."""
    prefix: str = ""
    """Regular expression for what precedes the ID in the file names of its photos."""


@dataclass(frozen=True, eq=False)
class Benchmark:
    """N photos with known coordinates; all columns (N,) have the same order."""

    title: str
    photo_id: StrArray
    """Unique names."""
    file: StrArray
    """Paths of the photos, "" where there is none."""
    latlon: Float64Array
    """(N, 2) degrees; all NaN for a table of countries."""
    precision_km: Float64Array
    """Uncertainty of the coordinates; 0 where it is unknown."""
    author: StrArray
    group: StrArray
    """Photos of one walk or place; "" where it is unknown."""
    sha256: str
    """Of the table."""
    published: Published | None = None
    file_name: StrArray | None = None
    """(N,) file names as the table has them, None if it has IDs only."""
    country: Int32Array | None = None
    """(N,) rows of `embedded_boundaries().country` for a table of countries without coordinates."""
    problems: tuple[str, ...] = ()
    """One line for each kind of row or photo that cannot be used."""
    notices: tuple[str, ...] = ()
    """One line for each peculiarity of the table that makes no photo unusable."""

    def __len__(self) -> int:
        return len(self.photo_id)

    @property
    def country_only(self) -> bool:
        """Whether only the countries of the photos are known."""
        return self.country is not None

    def take(self, rows: npt.ArrayLike) -> Benchmark:
        """Return some rows, in the order given."""
        index = np.asarray(rows)
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(
            self, **{k: v[index] for k, v in arrays.items() if isinstance(v, np.ndarray)}
        )


@cache
def published() -> dict[str, Published]:
    """Return the published benchmarks by their short names."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return {
        key: Published(key=key, **{k: _frozen(v) for k, v in values.items()})
        for key, values in tables.items()
    }


def _frozen(value: Any) -> Any:  # noqa: ANN401
    return tuple(value) if isinstance(value, list) else value


def read(name_or_path: str, images: Path | None = None) -> Benchmark:
    """Read a benchmark.

    Args:
        name_or_path: a short name such as "im2gps3k", whose table is searched in the folder of the
            photos, its parent folder and the current folder; or the path of a table.
        images: folder of the photos. Without it the files are those that the table names.

    Raises:
        TableError: there is no such table, or no row of it is usable.
    """
    known = published().get(name_or_path.lower().replace("-", ""))
    path = _find(known, images) if known else Path(name_or_path)
    if not known and not path.is_file() and path.suffix == "":
        raise TableError(
            f"{name_or_path}: no such table, and no benchmark of that name; give a CSV or Parquet"
            f" file with {NEEDS}, or one of {', '.join(published())}"
        )
    problems: list[str] = []
    raw = read_table(path, NEEDS, problem=problems.append)
    if known is None:
        same_name = [each for each in published().values() if path.name in each.metadata[:1]]
        known = next((each for each in same_name if len(raw) in each.photos), None)
    return _benchmark(path, raw, known, images, problems)


def _find(known: Published, images: Path | None) -> Path:
    folders = [images, images.resolve().parent, Path()] if images else [Path()]
    for path in (folder / name for folder in folders for name in known.metadata):
        if path.is_file():
            return path
    where = f"in {images} or beside it" if images else "here"
    raise TableError(
        f"{known.key}: {known.metadata[0]} is not {where}; put it there or give its path."
        f" Published: {known.table}"
    )


def _benchmark(
    path: Path,
    raw: pa.Table,
    known: Published | None,
    images: Path | None,
    problems: list[str],
) -> Benchmark:
    count = len(raw)
    notices: list[str] = []
    country = _countries(raw)
    latlon = _degrees(raw, path, notices) if country is None else np.full((count, 2), np.nan)
    name, key = column(raw, "file"), column(raw, "photo_id")
    if name is None and key is None:
        raise TableError(f"{path}: no column names the photos; it needs {NEEDS}")
    ids = to_texts(name if key is None else key, count)
    usable = is_position(latlon) if country is None else country >= 0
    first = first_of_each(to_strings(ids))
    repeated = usable & ~first
    problems += _without_truth(path, ids, latlon, country)
    if repeated.any():
        notices.append(row_problem(path, ids, repeated, "have the id of an earlier one"))
    rows = np.flatnonzero(usable & first)
    if not len(rows):
        needs = NEEDS if country is None else COUNTRY_NEEDS
        raise TableError(f"{path}: no usable row of {count:,}; it needs {needs}")
    if known and len(rows) not in known.photos:
        counts = " or ".join(f"{count:,}" for count in known.photos)
        notices.append(f"{path}: {len(rows):,} usable photos; {known.title} has {counts}")
    names = None if name is None else to_texts(name, count)[rows]
    if images is None:
        files = _beside(path, ids[rows] if names is None else names)
    else:
        files, ambiguous = _find_files(images, names, ids[rows], known)
        problems += _missing_files(images, ids[rows], files == "", ambiguous, known)
    return Benchmark(
        title=known.title if known else path.stem,
        photo_id=ids[rows],
        file=files,
        latlon=latlon[rows],
        precision_km=np.nan_to_num(to_floats(column(raw, "precision_km"), count)[rows]),
        author=to_texts(column(raw, "author"), count)[rows],
        group=to_texts(column(raw, "group"), count)[rows],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        published=known,
        file_name=names,
        country=None if country is None else country[rows],
        problems=tuple(problems),
        notices=tuple(notices),
    )


def _without_truth(
    path: Path, ids: StrArray, latlon: Float64Array, country: Int32Array | None
) -> list[str]:
    """Return a line for each kind of rows whose position, or else country, is not known."""
    if country is None:
        return position_problems(path, ids, latlon)
    unknown = np.asarray(country < 0)
    return [row_problem(path, ids, unknown, "have no known country")] if unknown.any() else []


def _degrees(table: pa.Table, path: Path, notices: list[str]) -> Float64Array:
    """Return the coordinates (N, 2) of a table; add a line to `notices` if they are swapped."""
    latlon = read_degrees(table, path, NEEDS)
    if not look_swapped(latlon, countries_of(table)):
        return latlon
    notices.append(f"{path}: latitude and longitude are swapped; they are read the right way round")
    return latlon[:, ::-1].copy()


def _countries(table: pa.Table) -> Int32Array | None:
    """Return the countries of a table without coordinates, None for other tables."""
    chosen = choose_coordinates(table.column_names)
    return countries_of(table) if chosen.lat is None and chosen.lon is None else None


def _missing_files(
    images: Path, ids: StrArray, missing: BoolArray, ambiguous: BoolArray, known: Published | None
) -> list[str]:
    """Return lines about photos that are not found in the folder."""
    problems = []
    absent = missing & ~ambiguous
    if absent.any():
        line = row_problem(images, ids, absent, "have no photo here", "photos")
        problems.append(f"{line}. Published: {known.pictures}" if known else line)
    if ambiguous.any():
        problem = "match several files or share one; name them with their folders"
        problems.append(row_problem(images, ids, ambiguous, problem, "photos"))
    return problems


def _find_files(
    images: Path, names: StrArray | None, ids: StrArray, known: Published | None
) -> tuple[StrArray, BoolArray]:
    """Find photos below a folder, by their file names or IDs.

    Returns:
        (N,) paths, "" where there is none, and (N,) whether that is because several would do.
    """
    import pyarrow.compute as pc

    if not images.is_dir():
        raise TableError(f"{images}: no such folder; give the folder of the photos")
    there = list(photos_below(images))
    if not there:
        raise TableError(
            f"{images}: no photos in this folder"
            + (f". Published: {known.pictures}" if known else "")
        )
    relative = [readable(os.path.relpath(path, images)) for path in there]
    among = to_strings(relative)
    if known and known.prefix:
        base_names = to_strings([os.path.basename(path) for path in relative])
        among = pc.replace_substring_regex(base_names, known.prefix, "")
    found = match_any([to_strings(each) for each in (names, ids) if each is not None], [among])
    files = np.array([*there, ""], dtype=object)[found.row]  # the last is for -1
    return files, found.ambiguous


def _beside(table: Path, names: StrArray) -> StrArray:
    """Return the paths of files that a table names, "" where there is no such file."""
    folder = folder_of(table)
    paths = [resolve(folder, name) for name in names]
    there = {
        place: set(os.listdir(place or "."))  # much faster than looking for each file
        for place in {os.path.dirname(path) for path in paths}
        if os.path.isdir(place or ".")
    }
    found = np.empty(len(names), dtype=object)
    found[:] = [
        path if os.path.basename(path) in there.get(os.path.dirname(path), ()) else ""
        for path in paths
    ]
    return found
