"""Photos with known places to measure on: published benchmarks, or any table."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.attributes import is_land
from geocells.columns import numbers, to_strings
from geoloc.errors import TableError
from geoloc.photos.discover import photos_below
from geoloc.photos.tables import column, floats, read_table, stems, strings
from geoloc.types import BoolArray, Float64Array, StrArray

DATA = Path(__file__).with_name("benchmarks.toml")

WANTED = "the columns file (or id), lat, lon"

_ENOUGH = 100
"""Fewer coordinates than this may well all be of one coast."""
_NAMED = 3


@dataclass(frozen=True)
class Published:
    """What is known of a benchmark before anything is read."""

    key: str
    title: str
    photos: tuple[int, ...]
    """Counts in use, the usual one first."""
    metadata: tuple[str, ...]
    """Names of its table."""
    pictures: str
    """Where its photos were published."""
    table: str
    """Where its table was published."""
    cite: str
    note: str
    """What to keep in mind about its scores."""
    prefix: str = ""
    """Pattern of what comes before the id in the names of its photos."""


@dataclass(frozen=True, eq=False)
class Benchmark:
    """N photos with known places, all columns (N,) in one order."""

    title: str
    photo_id: StrArray
    """Unique names."""
    file: StrArray
    """Paths of the photos, "" where there is none."""
    latlon: Float64Array
    """(N, 2) degrees."""
    precision_km: Float64Array
    """How far off the coordinates may be; 0 where nothing is said."""
    author: StrArray
    group: StrArray
    """Photos of one walk or place; "" where nothing is said."""
    sha256: str
    """Of the table."""
    published: Published | None = None
    problems: tuple[str, ...] = field(default=())
    """One line for each thing that is wrong with the table or missing of the photos."""

    def __len__(self) -> int:
        return len(self.photo_id)

    def take(self, rows: npt.ArrayLike) -> Benchmark:
        """Some rows, in their order."""
        index = np.asarray(rows)
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(
            self, **{k: v[index] for k, v in arrays.items() if isinstance(v, np.ndarray)}
        )


@cache
def published() -> dict[str, Published]:
    """The benchmarks of the field by their short names."""
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
        name_or_path: a short name such as "im2gps3k", whose table is looked for in the folder of
            the photos, in the one above it, and here; or the path of a table.
        images: folder of the photos; without it files are those that the table names, if it does.

    Raises:
        TableError: there is no such table, or no row of it is usable.
    """
    known = published().get(name_or_path.lower().replace("-", ""))
    path = _find(known, images) if known else Path(name_or_path)
    if not known and not path.is_file() and path.suffix == "":
        raise TableError(
            f"{name_or_path}: no such table, and no benchmark of that name; give a CSV or Parquet"
            f" file with {WANTED}, or one of {', '.join(published())}"
        )
    raw = read_table(path, WANTED)
    if known is None:
        same_name = [each for each in published().values() if path.name in each.metadata[:1]]
        known = next((each for each in same_name if len(raw) in each.photos), None)
    return _benchmark(path, raw, known, images)


def _find(known: Published, images: Path | None) -> Path:
    folders = [images, images.resolve().parent, Path()] if images else [Path()]
    places = [folder / name for folder in folders for name in known.metadata]
    for place in places:
        if place.is_file():
            return place
    where = f"in {images} or beside it" if images else "here"
    raise TableError(
        f"{known.key}: {known.metadata[0]} is not {where}; put it there or give its path."
        f" Published: {known.table}"
    )


def _benchmark(
    path: Path, raw: pa.Table, known: Published | None, images: Path | None
) -> Benchmark:
    problems: list[str] = []
    latlon = _latlon(path, raw, problems)
    name = column(raw, "file")
    key = column(raw, "photo_id")
    key, name = (name, name) if key is None else (key, name)
    if key is None:
        raise TableError(f"{path}: no column names the photos; it needs {WANTED}")
    ids = strings(key, len(raw))
    usable = np.asarray((np.abs(latlon) <= (90.0, 180.0)).all(axis=1))
    _tell(problems, path, ids, ~usable, "no place on the Earth")
    first = np.zeros(len(ids), bool)
    code = to_strings(ids).dictionary_encode().indices
    first[np.unique(numbers(pa.chunked_array([code])), return_index=True)[1]] = True
    _tell(problems, path, ids, usable & ~first, "the id of an earlier one")
    rows = np.flatnonzero(usable & first)
    if not len(rows):
        raise TableError(f"{path}: no usable row of {len(raw):,}; it needs {WANTED}")
    if known and len(rows) not in known.photos:
        counts = " or ".join(f"{count:,}" for count in known.photos)
        problems.append(f"{path}: {len(rows):,} usable photos; {known.title} has {counts}")
    files = _files(path, ids if name is None else strings(name, len(raw)), known, images)[rows]
    missing = files == ""
    if images is not None and missing.any():
        _tell(problems, images, ids[rows], missing, "no photo here", "photos")
        if known:
            problems[-1] += f". Published: {known.pictures}"
    return Benchmark(
        title=known.title if known else path.stem,
        photo_id=ids[rows],
        file=files,
        latlon=latlon[rows],
        precision_km=np.nan_to_num(floats(column(raw, "precision_km"), len(raw))[rows]),
        author=strings(column(raw, "author"), len(raw))[rows],
        group=strings(column(raw, "group"), len(raw))[rows],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        published=known,
        problems=tuple(problems),
    )


def _latlon(path: Path, raw: pa.Table, problems: list[str]) -> Float64Array:
    """(N, 2) degrees, the right way round; NaN where there are none."""
    columns = [column(raw, name) for name in ("lat", "lon")]
    if any(found is None for found in columns):
        raise TableError(f"{path}: column lat or lon is missing; it needs {WANTED}")
    latlon = np.stack([floats(found, len(raw)) for found in columns], axis=1)
    if _swapped(latlon):
        problems.append(f"{path}: latitude and longitude are swapped; they are read as they should")
        latlon = latlon[:, ::-1].copy()
    return latlon


def _swapped(latlon: Float64Array) -> bool:
    """Whether the first column holds longitudes: copies of IM2GPS3k with swapped columns exist."""
    known = latlon[np.isfinite(latlon).all(axis=1)]
    if len(known) < _ENOUGH or (np.abs(known[:, 1]) > 90.0).any():
        return False
    beyond = np.abs(known[:, 0]) > 90.0
    if beyond.mean() > 0.02:  # a few may be slips of the pen
        return True
    if beyond.any():
        return False
    return bool(is_land(known).mean() < 0.5 and is_land(known[:, ::-1]).mean() > 0.75)


def _files(path: Path, names: StrArray, known: Published | None, images: Path | None) -> StrArray:
    """The photo of each row, "" where there is none: found by its name without folders and ending.

    Without a folder of photos, those that the table names relative to itself.
    """
    import pyarrow.compute as pc

    if images is None:
        return _beside(path.parent, names)
    if not images.is_dir():
        raise TableError(f"{images}: no such folder; give the folder of the photos")
    there = list(photos_below(images))
    if not there:
        raise TableError(
            f"{images}: no photos in this folder"
            + (f". Published: {known.pictures}" if known else "")
        )
    paths = to_strings(there)
    have = stems(paths)
    if known and known.prefix:
        have = pc.replace_substring_regex(have, known.prefix, "")
    row = pc.index_in(stems(to_strings(names)), value_set=have)
    return strings(pa.chunked_array([paths.take(row)]), len(names))


def _beside(folder: Path, names: StrArray) -> StrArray:
    """Paths of the files that a table names relative to its folder, "" where there is none."""
    paths = [os.path.join(folder, name) for name in names]
    there = {
        place: set(os.listdir(place))  # far quicker than to look for each
        for place in {os.path.dirname(path) for path in paths}
        if os.path.isdir(place)
    }
    found = np.empty(len(names), dtype=object)
    found[:] = [
        path if os.path.basename(path) in there.get(os.path.dirname(path), ()) else ""
        for path in paths
    ]
    return found


def _tell(
    problems: list[str],
    path: Path,
    ids: StrArray,
    bad: BoolArray,
    reason: str,
    rows: str = "rows",
) -> None:
    """Add one line about all bad rows, naming the first."""
    if bad.any():
        named = ", ".join(map(str, ids[bad][:_NAMED]))
        more = f" and {bad.sum() - _NAMED:,} more" if bad.sum() > _NAMED else ""
        problems.append(
            f"{path}: {bad.sum():,} of {len(ids):,} {rows} have {reason} ({named}{more})"
        )
