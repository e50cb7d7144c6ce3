"""Photos of the inputs of a batch: folders, patterns, lists, tar shards, standard input."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from geoloc.batch.items import Item, stamp_of
from geoloc.errors import GeolocError, TableError
from geoloc.output.formats import input_columns
from geoloc.photos import shards, storage, tables
from geoloc.photos.columns import file_name_column
from geoloc.photos.discover import is_photo, photos_below
from geoloc.photos.tabular import rows
from geoloc.photos.tabular.delimited import Row
from geoloc.photos.tabular.encoding import UTF8, decode_start, detect

STDIN = "-"

_IMAGE_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


def find_photos(
    inputs: Iterable[str], work: Path, problem: Callable[[str], None]
) -> Iterator[Item]:
    """Yield the photos of all inputs, those of a folder or pattern sorted by name.

    An input that does not exist becomes a photo that cannot be read, so that the others are
    answered.

    Args:
        inputs: paths, addresses, glob patterns, or "-" for standard input: one photo, or names of
            photos (one per line, separated by NUL, or in JSON lines).
        work: folder for a photo from standard input.
        problem: receives a line for each truncated shard, and for rows that are left out.

    Raises:
        GeolocError: no input exists, or one is not a readable list or shard.
        OSError: an input cannot be read.
    """
    inputs = list(inputs)
    if inputs and all(map(_is_missing, inputs)):
        raise GeolocError(f"{inputs[0]!r}: no such file or folder; check the path")
    for source in inputs:
        if source == STDIN:
            yield from _standard_input(sys.stdin.buffer, work, problem)
        elif storage.is_address(source):
            yield from _photos_at(source, problem)
        elif os.path.isdir(source):
            yield from map(_file, photos_below(source))
        elif not os.path.exists(source) and glob.has_magic(source):
            yield from _photos_matching(source, problem)
        else:
            yield from _photos_of(source, problem)


def _is_missing(source: str) -> bool:
    """Return whether an input is a path at which there is nothing."""
    if source == STDIN or storage.is_address(source) or glob.has_magic(source):
        return False
    return not os.path.exists(source)


def _photos_of(source: str, problem: Callable[[str], None]) -> Iterator[Item]:
    """Yield the photos of one existing file or address: a list, a tar shard or a photo."""
    if rows.is_table(source):
        read = rows.read_rows(source, problem)
        yield from _photos_of_rows(read, tables.folder_of(source), source, problem)
    elif rows.suffix(source) == ".tar":
        yield from _shard(source, problem)
    else:
        yield _file(source)


def _file(path: str) -> Item:
    location = path if storage.is_address(path) else os.path.abspath(path)
    return Item(path, location, stamp_of(location), {})


def _shard(path: str, problem: Callable[[str], None]) -> Iterator[Item]:
    samples, problems = shards.read(path)
    for line in problems:
        problem(line)
    location = path if storage.is_address(path) else os.path.abspath(path)
    stamp = stamp_of(location)
    for each in samples:
        columns = {name: rows.scalar(value) for name, value in each.facts.items()}
        yield Item(f"{path}/{each.key}", location, stamp, columns, each.offset, each.size)


def _photos_matching(pattern: str, problem: Callable[[str], None]) -> Iterator[Item]:
    """Yield the photos of all files and folders that a pattern matches; see `_is_selected`."""
    found = False
    for path in sorted(glob.iglob(pattern, recursive=True)):
        if os.path.isdir(path):
            if "**" not in pattern:  # otherwise its photos match by themselves
                found = True
                yield from map(_file, photos_below(path))
        elif _is_selected(path, pattern):
            found = True
            yield from _photos_of(path, problem)
    if not found:
        raise GeolocError(f"{pattern!r}: matches no photo, list or tar shard; check the pattern")


def _photos_at(source: str, problem: Callable[[str], None]) -> Iterator[Item]:
    """Yield the photos at an address: of one file, a folder (it ends with "/"), or a pattern."""
    if not source.endswith("/") and not glob.has_magic(source):
        yield from _photos_of(source, problem)
        return
    found = [path for path in storage.matches(source) if _is_selected(path, source)]
    if not found:
        raise GeolocError(f"{source}: there is no photo, list or tar shard; check the address")
    for path in found:
        yield from _photos_of(path, problem)


def _is_selected(path: str, pattern: str) -> bool:
    """Return whether a matched file is an input: a photo, a shard, or a list named by its suffix.

    A list is read only if the pattern has its suffix: in a folder of photos, a table may be
    anything.
    """
    kind = rows.suffix(path)
    return is_photo(path) or kind == ".tar" or kind == rows.suffix(pattern)


def _photos_of_rows(
    table: Iterable[Row], folder: str, source: str, problem: Callable[[str], None]
) -> Iterator[Item]:
    """Yield the photos of the rows of a table.

    The columns `offset` and `size`, written by `geoloc-train manifest`, are the position of a photo
    in a tar shard.

    Args:
        table: its rows.
        folder: relative file names are relative to it.
        source: name of the table, for messages.
        problem: receives a line about rows without a file name, which are left out.
    """
    column = None
    unnamed: list[int] = []
    number = 0
    for number, row in enumerate(table, start=1):
        if column is None or column not in row:
            column = file_name_column(list(row), {name: [value] for name, value in row.items()})
            if column is None:
                raise TableError(
                    f"{source}: no column with file names; name it file"
                    f" (the columns are {', '.join(map(str, row))})"
                )
        name = row.pop(column)
        if not isinstance(name, str) or not name:
            unnamed.append(number)
            continue
        yield _named(name, folder, row)
    if unnamed:
        more = ", …" if len(unnamed) > 1 else ""
        line = f"{source}: row {unnamed[0]}{more} has no file name in column {column}"
        if len(unnamed) == number:
            raise TableError(line)
        problem(f"{line}; {len(unnamed):,} of {number:,} rows are left out")


def _named(name: str, folder: str, row: Row) -> Item:
    """Return the photo of a file name, with the other columns of its row."""
    location = display_name = tables.resolve(folder, name)
    if not storage.is_address(location):
        location = os.path.abspath(location)
    offset, size = row.get("offset"), row.get("size")
    position: tuple[int, int] | tuple[None, None] = (None, None)
    if isinstance(offset, int) and isinstance(size, int):
        position = (offset, size)
        row = {key: value for key, value in row.items() if key not in ("offset", "size")}
        key = row.get("photo_id")
        display_name = f"{display_name}/{key if key is not None else offset}"
    columns = input_columns({str(key): rows.scalar(value) for key, value in row.items()})
    return Item(display_name, location, stamp_of(location), columns, *position)


def _standard_input(file: BinaryIO, work: Path, problem: Callable[[str], None]) -> Iterator[Item]:
    """Yield the photos of standard input; its first bytes decide what it contains."""
    stream: Any = io.BufferedReader(file, 1 << 16)
    start = rows.peek(stream)
    if start.startswith(_IMAGE_SIGNATURES) or start[4:8] == b"ftyp" or start[8:12] == b"WEBP":
        yield _store_photo(stream.read(), work)
    elif b"\0" in start and detect(start) == UTF8:
        for name in _split_names(stream, b"\0"):
            yield _named(os.fsdecode(name), "", {})
    else:
        source = "standard input"
        kind: rows.Format = "json" if decode_start(start).lstrip()[:1] in ("{", "[") else "lines"
        read = rows.text_rows(stream, source, kind, problem)
        yield from _photos_of_rows(read, "", source, problem)


def _split_names(stream: BinaryIO, separator: bytes) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 16):
        *names, rest = (rest + block).split(separator)
        yield from filter(None, names)
    if rest:
        yield rest


def _store_photo(content: bytes, work: Path) -> Item:
    """Store a photo from standard input in the work folder."""
    file = str(work / f"stdin-{hashlib.sha256(content).hexdigest()[:32]}")
    storage.write(file, content)
    return Item("standard input", file, (len(content), 0), {}, from_stdin=True)
