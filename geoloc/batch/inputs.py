"""What a batch is asked about: folders, patterns, lists, tar shards, photos, standard input."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from geoloc.batch.items import Item, stamp_of
from geoloc.errors import GeolocError, TableError
from geoloc.photos import rows, shards, storage, tables
from geoloc.photos.columns import file_name_column
from geoloc.photos.discover import is_photo, photos_below

STDIN = "-"

_PICTURE_STARTS = (b"\xff\xd8", b"\x89PNG", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


def find(inputs: Iterable[str], work: Path, problem: Callable[[str], None]) -> Iterator[Item]:
    """Photos of inputs, one after the other, in the order of their names.

    Args:
        inputs: paths, addresses, patterns, or "-": a photo, or names of photos, one a line (or
            separated by NUL, or in JSON lines).
        work: folder that keeps a photo from standard input.
        problem: told of shards that are cut short.

    Raises:
        GeolocError: an input does not exist, or is no readable list or shard.
        OSError: an input cannot be read.
    """
    for given in inputs:
        if given == STDIN:
            yield from _standard_input(sys.stdin.buffer, work)
        elif storage.is_address(given):
            yield from _address(given, problem)
        elif os.path.isdir(given):
            yield from map(_file, photos_below(given))
        elif os.path.exists(given):
            yield from _known(given, problem)
        elif glob.has_magic(given):
            yield from _matching(given, problem)
        else:
            raise GeolocError(f"{given!r}: no such file or folder; check the path")


def _known(given: str, problem: Callable[[str], None]) -> Iterator[Item]:
    """Photos of one existing file or address."""
    if rows.is_table(given):
        yield from _listed(rows.read_rows(given), tables.folder_of(given), given)
    elif rows.suffix(given) == ".tar":
        yield from _shard(given, problem)
    else:
        yield _file(given)


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


def _matching(pattern: str, problem: Callable[[str], None]) -> Iterator[Item]:
    """Photos, shards and lists that a pattern matches; lists only if it says so by its ending."""
    found = False
    for path in sorted(glob.iglob(pattern, recursive=True)):
        if os.path.isdir(path):
            if "**" not in pattern:
                found = True
                yield from map(_file, photos_below(path))
        elif _is_wanted(path, pattern):
            found = True
            yield from _known(path, problem)
    if not found:
        raise GeolocError(f"{pattern!r}: matches no photo, list or tar shard")


def _address(given: str, problem: Callable[[str], None]) -> Iterator[Item]:
    if not given.endswith("/") and not glob.has_magic(given):
        yield from _known(given, problem)
        return
    found = [path for path in storage.matches(given) if _is_wanted(path, given)]
    if not found:
        raise GeolocError(f"{given}: there is no photo, list or tar shard")
    for path in found:
        yield from _known(path, problem)


def _is_wanted(path: str, pattern: str) -> bool:
    kind = rows.suffix(path)
    return is_photo(path) or kind == ".tar" or kind == rows.suffix(pattern)


def _listed(listed: Iterable[rows.Row], folder: str, source: str) -> Iterator[Item]:
    """Photos of the rows of a table; `folder` is what their files are relative to.

    Columns `offset` and `size`, as tables of `geoloc-train manifest` have them, say where in a tar
    shard a photo lies.
    """
    column = None
    for number, row in enumerate(listed, start=1):
        if column is None or column not in row:
            column = file_name_column(list(row), {name: [value] for name, value in row.items()})
            if column is None:
                raise TableError(
                    f"{source}: no column says where the photos are; call it file"
                    f" (there are: {', '.join(map(str, row))})"
                )
        name = row.pop(column)
        if not isinstance(name, str) or not name:
            raise TableError(f"{source}: row {number} names no photo in column {column}")
        yield _named(name, folder, row)


def _named(name: str, folder: str, row: rows.Row) -> Item:
    """The photo of a file name, with the other columns of its row."""
    location = shown = tables.resolve(folder, name)
    if not storage.is_address(location):
        location = os.path.abspath(location)
    offset, size = row.get("offset"), row.get("size")
    place: tuple[int, int] | tuple[None, None] = (None, None)
    if isinstance(offset, int) and isinstance(size, int):
        place = (offset, size)
        row = {key: value for key, value in row.items() if key not in ("offset", "size")}
        key = row.get("photo_id")
        shown = f"{shown}/{key if key is not None else offset}"
    columns = {str(key): rows.scalar(value) for key, value in row.items()}
    return Item(shown, location, stamp_of(location), columns, *place)


def _standard_input(file: BinaryIO, work: Path) -> Iterator[Item]:
    stream = io.BufferedReader(file, 1 << 16)  # type: ignore[type-var]
    start = stream.peek(1 << 16)
    if start.startswith(_PICTURE_STARTS) or start[4:8] == b"ftyp" or start[8:12] == b"WEBP":
        yield _kept(stream.read(), work)
    elif start.lstrip().startswith(b"{"):
        yield from _listed(rows.json_rows(stream, "standard input"), "", "standard input")
    else:
        names = _names(stream, b"\0") if b"\0" in start else _lines(stream)
        for name in names:
            yield _named(os.fsdecode(name), "", {})


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    yield from (name for line in stream if (name := line.rstrip(b"\r\n")))


def _names(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 16):
        *names, rest = (rest + block).split(end)
        yield from filter(None, names)
    if rest:
        yield rest


def _kept(content: bytes, work: Path) -> Item:
    """A photo that came through standard input."""
    place = str(work / f"stdin-{hashlib.sha256(content).hexdigest()[:32]}")
    storage.write(place, content)
    return Item("standard input", place, (len(content), 0), {}, kept=True)
