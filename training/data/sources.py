"""Read published photo collections into a photo table."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geocells.columns import to_strings
from geoloc.errors import TableError
from geoloc.photos import storage
from geoloc.photos.columns import column, file_names, require, text_column
from geoloc.photos.decode import printable
from geoloc.photos.discover import is_photo, photos_below
from geoloc.photos.matching import match_any
from geoloc.photos.position import is_position
from geoloc.photos.swapped import refuse_swapped
from geoloc.photos.tables import (
    first_of_each,
    folder_of,
    position_problems,
    read_folder,
    read_table,
    resolve,
    row_problem,
)
from geoloc.photos.tabular.encoding import readable
from geoloc.types import BoolArray
from training.data import licences, packed
from training.data.licences import Restriction
from training.data.packed import NEEDS, files_at, with_degrees
from training.data.published import adapt, join, recognise, with_default
from training.data.table import complete, latlon_of, strings_of, with_column


@dataclass(frozen=True)
class Source:
    """A collection to read."""

    place: str
    """A folder of photos with GPS in their metadata, or of tar shards (img2dataset, WebDataset) or
    Parquet files with photos; one shard or such file; or a table with coordinates. A path, or an
    address that fsspec understands."""
    images: str | None = None
    """Folder of the photos or tar shards of a table that does not name files, or names them
    relative to this folder."""
    others: Sequence[Path] = ()
    """Further tables of the collection with columns that the first one lacks."""
    licence: str = ""
    """Of photos without one."""
    allow: Collection[Restriction] = ()
    """Restrictions of licences that do not matter."""
    unpacked: Path | None = None
    """Folder to which photos inside Parquet files are copied."""


def read(source: Source) -> tuple[pa.Table, Path, list[str]]:
    """Read a collection.

    Photos whose licence forbids commercial use or derived works, or is not known, are left out and
    counted, unless `Source.allow` has them. The licence of photos counts as not known where the
    table has a column of licences, or the published collection one for each photo; all others are
    taken for photos of the user.

    Returns:
        The photo table, the folder its file names are relative to, and lines about the rows and
        photos that are left out.

    Raises:
        TableError: there is no such collection, or nothing of it is usable.
    """
    place = source.place
    if not storage.is_address(place) and not os.path.exists(place):
        raise TableError(f"{place}: no such folder, shard or table")
    problems: list[str] = []
    raw, folder = _photos(source, problems)
    is_table = folder is None
    if folder is None:
        raw, folder = read_table(place, NEEDS, problem=problems.append), Path(folder_of(place))
    for other in source.others:
        raw = join(raw, other, NEEDS, problems)
    raw = adapt(raw, recognise(raw.column_names))
    if source.licence:
        raw = with_default(raw, "licence", source.licence)
    licensed = column(raw, "licence") is not None
    raw = with_degrees(raw, place)
    if is_table and source.images:
        raw, folder = _join(raw, place, source.images, problems), Path(source.images)
    elif is_table:
        raw = _named(raw, place)
    table = complete(raw)
    refuse_swapped(raw, latlon_of(table), place)
    table = _usable(table, folder, place, problems)
    return _licensed(table, source, problems) if licensed else table, folder, problems


def _photos(source: Source, problems: list[str]) -> tuple[pa.Table, Path | None]:
    """Return the photos of a folder, of shards or of Parquet files, and their folder.

    Returns:
        None instead of the folder, and an empty table, for a table about photos elsewhere.
    """
    place = source.place
    folder = Path(place if os.path.isdir(place) else folder_of(place))
    if tars := files_at(place, ".tar"):
        return packed.read_shards(tars, problems), folder
    parquets = files_at(place, ".parquet")
    if any(map(packed.holds_photos, parquets)):
        target = source.unpacked or folder
        return packed.read_parquet_files(parquets, target, problems), target
    if os.path.isdir(place):
        return _read_folder(place, problems), folder
    if storage.is_address(place) and place.endswith("/"):
        raise TableError(
            f"{place}: no tar shards and no Parquet files with photos there; give those, or a table"
        )
    return pa.table({}), None


def _read_folder(folder: str, problems: list[str]) -> pa.Table:
    """Return the photos that have GPS in their metadata."""
    photos = read_folder(folder).geotagged(folder)
    problems += photos.problems(folder)
    return pa.table({
        "file": [printable(name) for name in photos.file],
        "lat": photos.latlon[:, 0], "lon": photos.latlon[:, 1],
        "taken_at": pa.array(photos.taken_at, pa.string()),
    })  # fmt: skip


def _named(raw: pa.Table, place: str) -> pa.Table:
    """Return a table with the paths of its photos, which its IDs may name, as in MP-16.

    Paths are relative to the folder of the table.
    """
    names = file_names(raw)
    if names is None:
        raise TableError(
            f"{place}: no column names the files; give the folder of the photos with --images"
        )
    folder = folder_of(place)
    files = [
        name and _relative(resolve(folder, name), folder) for name in text_column(names).to_pylist()
    ]
    return with_column(raw, "file", pa.array(files, pa.string()))


def _relative(path: str, folder: str) -> str:
    return path if storage.is_address(path) else os.path.relpath(path, folder or ".")


def _join(raw: pa.Table, place: str, images: str, problems: list[str]) -> pa.Table:
    """Find the photo of each row below a folder; rows that fit several photos are left out."""
    keys = [key for key in (column(raw, "file"), column(raw, "photo_id")) if key is not None]
    require(place, NEEDS, file=keys[0] if keys else None)
    there, names = _below(images)
    matches = match_any(keys, [names])
    row = pa.array(matches.row, mask=matches.row < 0)
    found = {name: there[name].take(row) for name in there.column_names}
    if column(raw, "photo_id") is None:
        named = pc.coalesce(found["file"], text_column(keys[0]))
        raw = with_column(raw, "photo_id", named)
    for name, values in found.items():
        raw = with_column(raw, name, values)
    if not matches.ambiguous.any():
        return raw
    problem = "match several photos or share one; name the files with their folders"
    problems.append(row_problem(place, keys[0], matches.ambiguous, problem))
    return raw.filter(pa.array(~matches.ambiguous))


def _below(images: str) -> tuple[pa.Table, pa.ChunkedArray]:
    """Return file, offset and size of every photo of a folder, and names to match them by."""
    tars = files_at(images, ".tar")
    if tars:
        table = packed.read_shards(tars, [])
        return table.select(["file", "offset", "size"]), table["photo_id"]
    if storage.is_address(images):
        files = [each for each in storage.matches(images) if is_photo(each)]
    else:
        files = [os.path.relpath(file, images) for file in photos_below(images)]
    if not files:
        raise TableError(f"{images}: no photos and no tar shards in this folder")
    nothing = pa.nulls(len(files), pa.int64())
    table = pa.table({
        "file": list(map(printable, files)), "offset": nothing, "size": nothing,
    })  # fmt: skip
    return table, to_strings(list(map(readable, files)))


def _licensed(table: pa.Table, source: Source, problems: list[str]) -> pa.Table:
    """Leave out photos whose licence forbids what is not allowed."""
    texts = strings_of(table, "licence")
    keep = np.ones(len(table), bool)
    for kind, bad in licences.refused(texts, source.allow).items():
        bad = bad & keep
        if bad.any():
            problem = f"have {licences.DESCRIPTIONS[kind]}; --allow {kind} uses them"
            problems.append(row_problem(source.place, table["photo_id"], bad, problem, "photos"))
        keep &= ~bad
    if not keep.any():
        raise TableError(f"{source.place}: no usable photo; {'; '.join(problems)}")
    return table.filter(pa.array(keep))


def _usable(table: pa.Table, folder: Path, place: str, problems: list[str]) -> pa.Table:
    """Keep rows with a place and a file, each photo once."""

    def keep(table: pa.Table, good: BoolArray, problem: str) -> pa.Table:
        if not good.all():
            problems.append(row_problem(place, table["photo_id"], ~good, problem))
        return table.filter(pa.array(good))

    latlon = latlon_of(table)
    problems += position_problems(place, table["photo_id"], latlon)
    table = table.filter(pa.array(is_position(latlon)))
    rows = zip(table["file"].to_pylist(), table["offset"].to_pylist(), strict=True)
    there = [file is not None and (offset is not None or _exists(folder, file))
             for file, offset in rows]  # fmt: skip
    table = keep(table, np.array(there, bool), "have no photo")
    table = keep(table, first_of_each(table["photo_id"]), "have the id of an earlier one")
    if not len(table):
        raise TableError(f"{place}: no usable photo; {'; '.join(problems)}")
    return table


def _exists(folder: Path, name: str) -> bool:
    """Return whether there is a photo; those at addresses are not looked for one by one."""
    return storage.is_address(name) or os.path.isfile(resolve(folder, name))
