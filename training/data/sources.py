"""Photo collections as they are published, read into a photo table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from geocells.columns import read_parquet
from geoloc.errors import PhotoError, TableError
from geoloc.photos import shards
from geoloc.photos.decode import SUFFIXES
from geoloc.photos.discover import photos_below
from geoloc.photos.tables import SYNONYMS, column, stems
from geoloc.types import BoolArray
from training.data.table import complete, latlon_of, with_column

YFCC100M = (
    "photoid nsid nickname date_taken date_uploaded device title description tags machine_tags"
    " longitude latitude accuracy page url license license_url server farm secret secret_original"
    " extension marker"
).split()
"""The columns of yfcc100m_dataset, which has no header."""

_NAMED = 3


def read(source: Path, images: Path | None = None) -> tuple[pa.Table, Path, list[str]]:
    """Read a collection.

    Args:
        source: a folder of photos with GPS in their EXIF, or of tar shards (img2dataset,
            WebDataset), one shard, or a CSV, TSV or Parquet table (MP-16, OSV-5M, YFCC100M, or any
            with coordinates; see SYNONYMS for what columns may be called).
        images: folder of the photos, or of tar shards with them, for a table that does not name
            files, or names them relative to this folder.

    Returns:
        The photo table, the folder its file names are relative to, and lines about what is left
        out.

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
        raw = _read_table(source)
        table, problems = (_join(raw, images) if images else _named(raw, source)), []
    table = complete(table)
    return (*_usable(table, folder, source, problems),)


def _read_folder(folder: Path) -> tuple[pa.Table, list[str]]:
    """Photos with GPS in their EXIF; those without are none of the collection."""
    from geoloc.photos.decode import read_exif

    rows: list[tuple[str, float | None, float | None, object]] = []
    problems: list[str] = []
    for file in photos_below(folder):
        try:
            exif = read_exif(file)
        except PhotoError as error:
            problems.append(str(error))
            continue
        if exif.lat is not None:
            rows.append((os.path.relpath(file, folder), exif.lat, exif.lon, exif.taken_at))
    columns = dict(zip(("file", "lat", "lon", "taken_at"), zip(*rows, strict=True), strict=False))
    if not columns:
        raise TableError(
            f"{folder}: no photo with GPS coordinates in its EXIF; give a table of their places"
        )
    return pa.table(columns), problems


def _read_shards(paths: list[Path]) -> tuple[pa.Table, list[str]]:
    tables, problems = [], []
    for path in paths:
        samples, lines = shards.read(str(path))
        problems += lines
        said = _of_samples(samples, path.name)
        tables.append(complete(_with_sidecar(said, path.with_suffix(".parquet"))))
    return pa.concat_tables(tables), problems


def _of_samples(samples: list[shards.Sample], file: str) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "photo_id": [sample.key for sample in samples],
        "file": [file] * len(samples),
        "offset": [sample.offset for sample in samples],
        "size": [sample.size for sample in samples],
    }
    said = {name.lower() for sample in samples for name in sample.facts}
    for name, others in SYNONYMS.items():
        known = [word for word in (name, *others) if word in said]
        if known and name not in columns:
            facts = [{k.lower(): v for k, v in sample.facts.items()} for sample in samples]
            columns[name] = [
                None if fact.get(known[0]) is None else str(fact[known[0]]) for fact in facts
            ]
    return pa.table(columns)


def _with_sidecar(table: pa.Table, path: Path) -> pa.Table:
    """What img2dataset writes beside a shard, for columns that the shard itself does not have."""
    if not path.is_file():
        return table
    beside = read_parquet(path)
    key = column(beside, "photo_id")
    if key is None:
        return table
    row = pc.index_in(table["photo_id"].cast(pa.string()), value_set=key.cast(pa.string()))
    for name in SYNONYMS:
        found = column(beside, name)
        if name not in table.column_names and found is not None:
            table = table.append_column(name, found.take(row.combine_chunks()))
    return table


def _read_table(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        tabs = path.suffix in (".tsv", ".txt") or path.name.startswith("yfcc100m_dataset")
        quoting = csv.ParseOptions(delimiter="\t", quote_char=False) if tabs else csv.ParseOptions()
        if tabs and column(_head(path, quoting), "lat") is None:
            names = csv.ReadOptions(column_names=YFCC100M)
            return csv.read_csv(path, names, quoting)
        return csv.read_csv(path, parse_options=quoting)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{path}: not a readable CSV or Parquet table ({reason})") from error


def _head(path: Path, quoting: csv.ParseOptions) -> pa.Table:
    with csv.open_csv(path, parse_options=quoting) as reader:
        return reader.schema.empty_table()


def _named(raw: pa.Table, source: Path) -> pa.Table:
    """A table that names its files, or whose ids are file names, as in MP-16."""
    if column(raw, "file") is not None:
        return raw
    ids = column(raw, "photo_id")
    if ids is None or not any(
        str(name.as_py()).lower().endswith(tuple(SUFFIXES)) for name in ids[:9]
    ):
        raise TableError(
            f"{source}: no column names the files; give the folder of the photos with --images"
        )
    return raw.append_column("file", ids)


def _join(raw: pa.Table, images: Path) -> pa.Table:
    """Find the photo of each row below a folder, by its name without folders and ending."""
    named = column(raw, "file")
    key = column(raw, "photo_id") if named is None else named
    if key is None:
        raise TableError("the table has neither ids nor file names to find photos by")
    there = _below(images)
    row = pc.index_in(stems(key.cast(pa.string())), value_set=there["stem"])
    found = there.drop_columns("stem").take(row.combine_chunks())
    for name in found.column_names:
        raw = with_column(raw, name, found[name])
    return raw


def _below(images: Path) -> pa.Table:
    """File, offset and size of every photo of a folder, in shards or files of their own."""
    tars = sorted(images.glob("*.tar"))
    if tars:
        table, _ = _read_shards(tars)
        return table.select(["file", "offset", "size"]).append_column(
            "stem", stems(table["photo_id"])
        )
    files = [os.path.relpath(file, images) for file in photos_below(images)]
    if not files:
        raise TableError(f"{images}: no photos and no tar shards in this folder")
    nothing = pa.nulls(len(files), pa.int64())
    name = pa.chunked_array([pa.array(files)])
    return pa.table({"file": name, "offset": nothing, "size": nothing, "stem": stems(name)})


def _usable(
    table: pa.Table, folder: Path, source: Path, problems: list[str]
) -> tuple[pa.Table, Path, list[str]]:
    """Rows with a place and a file, each photo once."""
    on_earth = (np.abs(latlon_of(table)) <= (90.0, 180.0)).all(axis=1)
    table = _keep(table, on_earth, "no place on the Earth", source, problems)
    has_file = np.asarray(pc.is_valid(table["file"]).to_numpy(), bool)
    table = _keep(table, has_file, "no photo", source, problems)
    own = pc.is_null(table["offset"]).to_numpy()
    names = table["file"].to_pylist()
    there = np.array([not alone or (folder / name).is_file()
                      for alone, name in zip(own, names, strict=True)], bool)  # fmt: skip
    table = _keep(table, there, "no photo", source, problems)
    first = np.zeros(len(table), bool)
    codes = table["photo_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first[np.unique(codes, return_index=True)[1]] = True
    table = _keep(table, first, "the id of an earlier one", source, problems)
    if not len(table):
        raise TableError(f"{source}: no usable photo; {'; '.join(problems)}")
    return table, folder, problems


def _keep(
    table: pa.Table,
    good: BoolArray,
    reason: str,
    source: Path,
    problems: list[str],
) -> pa.Table:
    bad = np.flatnonzero(~good)
    if len(bad):
        names = table["photo_id"].take(pa.array(bad[:_NAMED])).to_pylist()
        more = f" and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
        problems.append(
            f"{source}: {len(bad):,} of {len(table):,} rows have {reason}"
            f" ({', '.join(map(str, names))}{more})"
        )
    return table.filter(pa.array(good))
