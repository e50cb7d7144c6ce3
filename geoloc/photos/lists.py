"""Lists of photos: CSV, TSV, Parquet, JSON lines or plain text, read row by row."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from geoloc.batch.items import Columns, Item, stamp_of
from geoloc.errors import GeolocError
from geoloc.photos import storage

FILE_COLUMNS = ("file", "path", "filepath", "filename", "file_name", "image", "image_path", "photo")
"""What the column may be called that says where a photo is, in any case."""

Row = dict[str, Any]


def photos_in(path: str) -> Iterator[Item]:
    """Photos that a list names, relative to its folder, with its other columns.

    Columns `offset` and `size`, as tables of `geoloc-train manifest` have them, say where in a tar
    shard a photo lies.

    Raises:
        GeolocError: it is no such list, or does not say where the photos are.
        OSError: it cannot be read.
    """
    base = path.rpartition("/")[0] if storage.is_address(path) else os.path.dirname(path)
    try:
        yield from items(READERS[suffix(path)](path), base, path)
    except UnicodeError as error:
        raise GeolocError(
            f"{path}: not a list in UTF-8 ({error}); save it again as such"
        ) from error


def items(rows: Iterable[Row], base: str, called: str) -> Iterator[Item]:
    """Photos of rows; `base` is what their files are relative to."""
    column = None
    for number, row in enumerate(rows, start=1):
        if column is None or column not in row:
            column = _file_column(row, called)
        name = row.pop(column)
        if not isinstance(name, str) or not name:
            raise GeolocError(f"{called}: row {number} names no photo in column {column}")
        yield named(name, base, row)


def named(name: str, base: str, row: Row) -> Item:
    """The photo of a name."""
    offset, size = row.get("offset"), row.get("size")
    inside = isinstance(offset, int) and isinstance(size, int)
    location = name
    if not storage.is_address(name):
        location = f"{base}/{name}" if storage.is_address(base) else _absolute(base, name)
    shown = name if os.path.isabs(name) or storage.is_address(name) else os.path.join(base, name)
    if inside:
        row = {key: value for key, value in row.items() if key not in ("offset", "size")}
        key = row.get("photo_id")
        shown = f"{shown}/{key if key is not None else offset}"
    columns = {str(key): scalar(value) for key, value in row.items()}
    place = (offset, size) if inside else (None, None)
    return Item(shown, location, stamp_of(location), columns, *place)


def scalar(value: Any) -> str | int | float | bool | None:  # noqa: ANN401
    """A value that every output can hold; others become text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def scalars(values: dict[str, Any]) -> Columns:
    """Values that every output can hold."""
    return {name: scalar(value) for name, value in values.items()}


def suffix(path: str) -> str:
    """The ending of a name in lower case."""
    return os.path.splitext(path)[1].lower()


def json_lines(lines: Iterable[str | bytes], called: str) -> Iterator[Row]:
    """Rows of JSON objects, one a line."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise GeolocError(f"{called}: line {number} is no JSON ({error})") from error
        if not isinstance(row, dict):
            raise GeolocError(f"{called}: line {number} is no JSON object")
        yield row


def _absolute(base: str, name: str) -> str:
    return os.path.abspath(os.path.join(base, name))


def _file_column(row: Row, called: str) -> str:
    by_name = {str(name).lower(): name for name in row}
    for name in FILE_COLUMNS:
        if name in by_name:
            return str(by_name[name])
    raise GeolocError(
        f"{called}: no column says where the photos are; call it file"
        f" (there are: {', '.join(map(str, row))})"
    )


def _csv(path: str, delimiter: str = ",") -> Iterator[Row]:
    with storage.text(path) as file:
        rows = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                if None in row:
                    raise GeolocError(
                        f"{path}: line {rows.line_num} has more cells than the header"
                    )
                yield row
        except csv.Error as error:
            raise GeolocError(f"{path}: line {rows.line_num} is no CSV ({error})") from error


def _tsv(path: str) -> Iterator[Row]:
    return _csv(path, "\t")


def _jsonl(path: str) -> Iterator[Row]:
    with storage.text(path) as file:
        yield from json_lines(file, path)


def _plain(path: str) -> Iterator[Row]:
    with storage.text(path) as file:
        yield from ({"file": line.rstrip("\r\n")} for line in file if line.strip())


def _parquet(path: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.opened(path) as file, pq.ParquetFile(file) as table:
            for rows in table.iter_batches(4096):
                yield from rows.to_pylist()
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise GeolocError(f"{path}: not a readable Parquet table ({reason})") from error


READERS: dict[str, Callable[[str], Iterator[Row]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".txt": _plain,
}
"""How each kind of list is read, by its ending."""
