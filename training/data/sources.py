"""Read published photo collections into a photo table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geocells.columns import to_strings
from geoloc.errors import TableError
from geoloc.photos import shards
from geoloc.photos.columns import (
    column,
    file_names,
    find_name,
    read_degrees,
    require,
    text_column,
)
from geoloc.photos.decode import printable
from geoloc.photos.discover import photos_below
from geoloc.photos.matching import match_any
from geoloc.photos.position import is_position
from geoloc.photos.swapped import refuse_swapped
from geoloc.photos.tables import (
    first_of_each,
    position_problems,
    read_folder,
    read_table,
    resolve,
    row_problem,
)
from geoloc.photos.tabular.encoding import readable
from geoloc.types import BoolArray
from training.data.table import SCHEMA, complete, latlon_of, with_column

NEEDS = "coordinates, and photos by file name or ID"


def read(source: Path, images: Path | None = None) -> tuple[pa.Table, Path, list[str]]:
    """Read a collection.

    Args:
        source: a folder of photos with GPS in their EXIF, or of tar shards (img2dataset,
            WebDataset), one shard, or a CSV, TSV, JSON lines or Parquet table (MP-16, OSV-5M,
            YFCC100M, or any with coordinates; see `geoloc.photos.columns.SYNONYMS` for the names
            of columns).
        images: folder of the photos, or of tar shards with them, for a table that does not name
            files, or names them relative to this folder.

    Returns:
        The photo table, the folder its file names are relative to, and lines about the rows and
        photos that are left out.

    Raises:
        TableError: there is no such collection, or nothing of it is usable.
    """
    if not source.exists():
        raise TableError(f"{source}: no such folder, shard or table")
    if source.suffix == ".tar" or (source.is_dir() and any(source.glob("*.tar"))):
        folder = source if source.is_dir() else source.parent
        table, problems = _read_shards(
            sorted(folder.glob("*.tar")) if source.is_dir() else [source]
        )
    elif source.is_dir():
        folder = source
        table, problems = _read_folder(source)
    else:
        folder = images or source.parent
        problems = []
        raw = _with_degrees(read_table(source, NEEDS, problem=problems.append), source)
        table = _join(raw, source, images, problems) if images else _named(raw, source)
    described, table = table, complete(table)
    refuse_swapped(described, latlon_of(table), source)
    return (*_usable(table, folder, source, problems),)


def _with_degrees(raw: pa.Table, source: Path) -> pa.Table:
    """Return a table whose true coordinates are in the columns lat and lon."""
    for axis, values in zip(("lat", "lon"), read_degrees(raw, source, NEEDS).T, strict=True):
        raw = with_column(raw, axis, pa.array(values))
    return raw


def _read_folder(folder: Path) -> tuple[pa.Table, list[str]]:
    """Return the photos that have GPS in their EXIF, and lines about those that are left out."""
    photos = read_folder(folder).geotagged(folder)
    names = [printable(name) for name in photos.file]
    table = pa.table({
        "file": names, "lat": photos.latlon[:, 0], "lon": photos.latlon[:, 1],
        "taken_at": pa.array(photos.taken_at, pa.string()),
    })  # fmt: skip
    return table, photos.problems(folder)


def _read_shards(paths: list[Path]) -> tuple[pa.Table, list[str]]:
    tables, problems = [], []
    for path in paths:
        samples, lines = shards.read(str(path))
        problems += lines
        table = _table_of_samples(samples, path.name)
        tables.append(complete(_with_sidecar(table, path.with_suffix(".parquet"))))
    return pa.concat_tables(tables), problems


def _table_of_samples(samples: list[shards.Sample], file: str) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "photo_id": [sample.key for sample in samples],
        "file": [file] * len(samples),
        "offset": [sample.offset for sample in samples],
        "size": [sample.size for sample in samples],
    }
    present = {name.lower() for sample in samples for name in sample.facts}
    for name in SCHEMA.names:
        known = find_name(present, name)
        if known is not None and name not in columns:
            facts = [{k.lower(): v for k, v in sample.facts.items()} for sample in samples]
            columns[name] = [
                None if fact.get(known) is None else str(fact[known]) for fact in facts
            ]
    return pa.table(columns)


def _with_sidecar(table: pa.Table, path: Path) -> pa.Table:
    """Add columns of the table that img2dataset writes beside a shard, if the shard lacks them."""
    if not path.is_file():
        return table
    beside = read_table(path, NEEDS)
    key = column(beside, "photo_id")
    if key is None:
        return table
    row = pc.index_in(text_column(table["photo_id"]), value_set=text_column(key))
    for name in SCHEMA.names:
        found = column(beside, name)
        if name not in table.column_names and found is not None:
            table = table.append_column(name, found.take(row.combine_chunks()))
    return table


def _named(raw: pa.Table, source: Path) -> pa.Table:
    """Return a table with the paths of its photos, which its IDs may name, as in MP-16.

    Paths are relative to the folder of the table.
    """
    names = file_names(raw)
    if names is None:
        raise TableError(
            f"{source}: no column names the files; give the folder of the photos with --images"
        )
    folder = source.parent
    files = [
        name and os.path.relpath(resolve(folder, name), folder)
        for name in text_column(names).to_pylist()
    ]
    return with_column(raw, "file", pa.array(files, pa.string()))


def _join(raw: pa.Table, source: Path, images: Path, problems: list[str]) -> pa.Table:
    """Find the photo of each row below a folder; rows that fit several photos are left out."""
    keys = [key for key in (column(raw, "file"), column(raw, "photo_id")) if key is not None]
    require(source, NEEDS, file=keys[0] if keys else None)
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
    problems.append(row_problem(source, keys[0], matches.ambiguous, problem))
    return raw.filter(pa.array(~matches.ambiguous))


def _below(images: Path) -> tuple[pa.Table, pa.ChunkedArray]:
    """Return file, offset and size of every photo of a folder, and names to match them by."""
    tars = sorted(images.glob("*.tar"))
    if tars:
        table, _ = _read_shards(tars)
        return table.select(["file", "offset", "size"]), table["photo_id"]
    files = [os.path.relpath(file, images) for file in photos_below(images)]
    if not files:
        raise TableError(f"{images}: no photos and no tar shards in this folder")
    nothing = pa.nulls(len(files), pa.int64())
    table = pa.table({
        "file": list(map(printable, files)), "offset": nothing, "size": nothing,
    })  # fmt: skip
    return table, to_strings(list(map(readable, files)))


def _usable(
    table: pa.Table, folder: Path, source: Path, problems: list[str]
) -> tuple[pa.Table, Path, list[str]]:
    """Keep rows with a place and a file, each photo once."""

    def keep(table: pa.Table, good: BoolArray, problem: str) -> pa.Table:
        if not good.all():
            problems.append(row_problem(source, table["photo_id"], ~good, problem))
        return table.filter(pa.array(good))

    latlon = latlon_of(table)
    problems += position_problems(source, table["photo_id"], latlon)
    table = table.filter(pa.array(is_position(latlon)))
    there = np.array(
        [
            name is not None and (offset is not None or os.path.isfile(resolve(folder, name)))
            for name, offset in zip(
                table["file"].to_pylist(), table["offset"].to_pylist(), strict=True
            )
        ],
        bool,
    )
    table = keep(table, there, "have no photo")
    table = keep(table, first_of_each(table["photo_id"]), "have the id of an earlier one")
    if not len(table):
        raise TableError(f"{source}: no usable photo; {'; '.join(problems)}")
    return table, folder, problems
