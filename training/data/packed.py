"""Photos inside tar shards (img2dataset, WebDataset) and Parquet files (Hugging Face Hub)."""

from __future__ import annotations

import io
import math
import os
import tarfile
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geoloc.errors import GeolocError, PhotoError, TableError
from geoloc.io.atomic import atomic_file
from geoloc.photos import decode, shards, storage
from geoloc.photos.columns import column, read_degrees, text_column
from geoloc.photos.coordinate_columns import choose_coordinates
from geoloc.photos.tables import read_table, resolve
from training.data.published import adapt, recognise
from training.data.table import SCHEMA, with_column

NEEDS = "coordinates, and photos by file name or ID"

_NAMES = ("image", "img", "photo", "picture", "jpg", "jpeg", "png", "webp", "bytes")
_ROWS_AT_ONCE = 64
_ENDINGS = {b"\x89PNG": ".png", b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif"}


def photo_column(schema: pa.Schema) -> str | None:
    """Return the column that holds the bytes of photos, None if there is none.

    It is a struct with the field `bytes`, or binary with a name such as "jpg".
    """
    for each in schema:
        if pa.types.is_struct(each.type) and each.type.get_field_index("bytes") >= 0:
            return str(each.name)
        binary = pa.types.is_binary(each.type) or pa.types.is_large_binary(each.type)
        if binary and each.name.lower() in _NAMES:
            return str(each.name)
    return None


def holds_photos(path: str) -> bool:
    """Return whether a Parquet file holds the bytes of photos."""
    try:
        with storage.opened(path) as file:
            return photo_column(pq.read_schema(file)) is not None
    except (OSError, pa.ArrowException):
        return False


def files_at(place: str, ending: str) -> list[str]:
    """Return the files with an ending that a path or address is, or that are in its folder."""
    if place.endswith(ending):
        return [place]
    if storage.is_address(place):
        try:
            found = storage.matches(place) if place.endswith("/") or "*" in place else []
        except Exception as error:  # each storage library has its own exceptions
            raise TableError(f"{place}: cannot be read ({error}); check the address") from error
        return [each for each in found if each.endswith(ending)]
    return sorted(map(str, Path(place).glob(f"*{ending}"))) if os.path.isdir(place) else []


def with_degrees(raw: pa.Table, place: str) -> pa.Table:
    """Return a table whose true coordinates are in the columns lat and lon."""
    for axis, values in zip(("lat", "lon"), read_degrees(raw, place, NEEDS).T, strict=True):
        raw = with_column(raw, axis, pa.array(values))
    return raw


def _read_each(
    paths: Sequence[str], read: Callable[[str], tuple[pa.Table, list[str]]], problems: list[str]
) -> pa.Table:
    """Return the photos of all files; one that cannot be read costs its own photos only."""
    tables = []
    for path in paths:
        try:
            table, lines = read(path)
        except GeolocError as error:
            if len(paths) == 1:
                raise
            problems.append(str(error))
        else:
            tables.append(_canonical(table, path))
            problems += lines
    if not tables:
        raise TableError(f"none of {len(paths):,} files can be read; {problems[0]}")
    return pa.concat_tables(tables, promote_options="permissive")


def read_shards(paths: Sequence[str], problems: list[str]) -> pa.Table:
    """Return the photos of tar shards with the columns of their metadata, as text.

    Args:
        paths: of the shards, paths or addresses.
        problems: receives a line about each shard that is damaged or incomplete.

    Raises:
        GeolocError: no shard can be read.
    """
    return _read_each(paths, _read_shard, problems)


def read_parquet_files(paths: Sequence[str], folder: Path, problems: list[str]) -> pa.Table:
    """Return the photos of Parquet files, which are copied to shards in a folder; see `unpack`.

    Raises:
        GeolocError: no file can be read.
    """
    return _read_each(paths, lambda path: unpack(path, folder), problems)


def _read_shard(path: str) -> tuple[pa.Table, list[str]]:
    samples, problems = shards.read(path)
    name = path if storage.is_address(path) else os.path.basename(path)
    table = _table_of_samples(samples, name)
    return _with_sidecar(table, f"{path.removesuffix('.tar')}.parquet"), problems


def _canonical(table: pa.Table, path: str) -> pa.Table:
    """Add columns with the names of the photo table, which the columns of other shards have too."""
    table = adapt(table, recognise(table.column_names))
    for name in SCHEMA.names:
        found = column(table, name)
        if found is not None and name not in ("lat", "lon"):
            table = with_column(table, name, found)
    complete_pair = choose_coordinates(table.column_names).complete
    return with_degrees(table, path) if complete_pair else table


def _table_of_samples(samples: list[shards.Sample], file: str) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "photo_id": pa.array([sample.key for sample in samples], pa.string()),
        "file": pa.array([file] * len(samples), pa.string()),
        "offset": pa.array([sample.offset for sample in samples], pa.int64()),
        "size": pa.array([sample.size for sample in samples], pa.int64()),
    }
    facts = [{name.lower(): value for name, value in each.facts.items()} for each in samples]
    for name in dict.fromkeys(name for fact in facts for name in fact):
        if name not in columns:
            texts = [_text(fact.get(name)) for fact in facts]
            columns[name] = pa.array(texts, pa.string())
    return pa.table(columns)


def _text(value: Any) -> str | None:  # noqa: ANN401
    """A value of JSON as text; None for null and NaN."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if missing else str(value)


def _with_sidecar(table: pa.Table, path: str) -> pa.Table:
    """Add columns of the table that img2dataset writes beside a shard, if the shard lacks them."""
    if not storage.exists(path):
        return table
    beside = read_table(path, NEEDS)
    key = column(beside, "photo_id")
    if key is None:
        return table
    row = pc.index_in(text_column(table["photo_id"]), value_set=text_column(key)).combine_chunks()
    for name in beside.column_names:
        if name.lower() not in table.column_names:
            table = table.append_column(name.lower(), text_column(beside[name].take(row)))
    return table


def unpack(path: str, folder: Path) -> tuple[pa.Table, list[str]]:
    """Copy the photos of a Parquet file to a tar shard, from which they can be read one by one.

    A shard that is newer than the file is used as it is, so that a stopped run goes on.

    Args:
        path: the file, a path or an address.
        folder: of the shard.

    Returns:
        The other columns with the columns file, offset and size, and lines about what is damaged.

    Raises:
        TableError: the file cannot be read.
    """
    shard = folder / f"{Path(path).stem}.tar"
    try:
        with storage.opened(path) as file, pq.ParquetFile(file) as table:
            name = photo_column(table.schema_arrow)
            assert name is not None
            others = table.read([each for each in table.schema_arrow.names if each != name])
            if not _is_newer(shard, path):
                with atomic_file(shard) as out:
                    stream = cast("IO[bytes]", out)  # a stream is only written to
                    with tarfile.open(fileobj=stream, mode="w|") as tar:
                        _copy(table, name, tar)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "filename", None) == str(shard):
            raise  # it cannot be written
        reason = str(error).splitlines()[0]
        raise TableError(f"{path}: not readable ({reason}); fetch it again") from error
    samples, problems = shards.read(str(shard))
    found = {int(sample.key): sample for sample in samples}
    rows = [found.get(row) for row in range(len(others))]
    places = {
        "file": pa.array([None if each is None else shard.name for each in rows], pa.string()),
        "offset": pa.array([None if each is None else each.offset for each in rows], pa.int64()),
        "size": pa.array([None if each is None else each.size for each in rows], pa.int64()),
    }
    if column(others, "photo_id") is None:
        stem = Path(path).stem
        others = others.append_column(
            "photo_id", pa.array([f"{stem}-{row}" for row in range(len(others))], pa.string())
        )
    kept = [each for each in others.column_names if each.lower() not in places]
    table = others.select(kept)
    for place, values in places.items():
        table = table.append_column(place, values)
    return table, problems


def _is_newer(shard: Path, path: str) -> bool:
    if storage.is_address(path) or not shard.is_file():
        return shard.is_file()
    return shard.stat().st_mtime_ns >= os.stat(path).st_mtime_ns


def _copy(table: pq.ParquetFile, name: str, tar: tarfile.TarFile) -> None:
    """Add the photos of a column to a tar file, named by their rows."""
    row = 0
    for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[name]):
        for value in batch.column(0).to_pylist():
            content = bytes_of(value)
            if content:
                ending = _ENDINGS.get(content[:4], ".jpg")
                member = tarfile.TarInfo(f"{row:08}{ending}")
                member.size = len(content)
                tar.addfile(member, _file(content))
            row += 1


def bytes_of(value: Any) -> bytes | None:  # noqa: ANN401
    """The bytes of a cell: themselves, or beside the path of the photo."""
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else None


def _file(content: bytes) -> IO[bytes]:
    return io.BytesIO(content)


def load_photo(
    table: pa.Table,
    folder: Path,
    row: int,
    *,
    min_side: int | None = None,
    skip_pixels: Container[str] = (),
) -> decode.Photo:
    """Load the photo of a row, from its own file or from a tar shard.

    See `geoloc.photos.decode.load` for `min_side` and `skip_pixels`.

    Raises:
        PhotoError: it is missing, truncated or no photo.
    """
    name = table["photo_id"][row].as_py()
    path = resolve(folder, table["file"][row].as_py())
    offset, size = table["offset"][row].as_py(), table["size"][row].as_py()
    if offset is None and not storage.is_address(path):
        return decode.load(path, name=name, min_side=min_side, skip_pixels=skip_pixels)
    try:
        content = storage.read(path, offset or 0, size)
    except OSError as error:
        raise PhotoError(
            f"{path}: {error.strerror or error}; check the path of the shard"
        ) from error
    if size is not None and len(content) < size:
        raise PhotoError(f"{path}: cut short; fetch the shard again")  # one line for all its photos
    return decode.load(content, name=name, min_side=min_side, skip_pixels=skip_pixels)
