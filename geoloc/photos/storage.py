"""Files on this machine, on shared storage, or behind an address that fsspec knows (s3://…)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from geoloc.errors import MissingExtraError
from geoloc.io.atomic import atomic_write_bytes


def is_address(place: str) -> bool:
    """Whether a place is an address rather than a path."""
    return "://" in place


def stamp(place: str) -> tuple[int, int]:
    """Size, and time of the last change in ns; what changes when a file does.

    Raises:
        OSError: there is no such file.
    """
    if is_address(place):
        system, path = _system(place)
        return int(system.info(path)["size"]), 0
    found = os.stat(place)
    return found.st_size, found.st_mtime_ns


def opened(place: str) -> BinaryIO:
    """A file to read from, at any position.

    Raises:
        OSError: it cannot be opened.
    """
    if is_address(place):
        system, path = _system(place)
        file: BinaryIO = system.open(path, "rb")
        return file
    return Path(place).open("rb")


def read(place: str, offset: int = 0, size: int | None = None) -> bytes:
    """Bytes of a file, or of a part of it.

    Raises:
        OSError: it cannot be read.
    """
    if is_address(place):
        system, path = _system(place)
        end = None if size is None else offset + size
        content: bytes = system.cat_file(path, start=offset, end=end)
        return content
    with Path(place).open("rb") as file:
        file.seek(offset)
        return file.read() if size is None else file.read(size)


def write(place: str, content: bytes) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        OSError: it cannot be written; names the file.
    """
    if is_address(place):
        system, path = _system(place)
        system.pipe_file(path, content)  # object stores show a file when it is whole
        return
    atomic_write_bytes(place, content)


def exists(place: str) -> bool:
    """Whether there is such a file."""
    if is_address(place):
        system, path = _system(place)
        return bool(system.exists(path))
    return os.path.exists(place)


def matches(pattern: str) -> list[str]:
    """Addresses that match a pattern, or lie below a folder, by name."""
    system, path = _system(pattern)
    found = system.find(path) if path.endswith("/") or system.isdir(path) else system.glob(path)
    return [system.unstrip_protocol(each) for each in sorted(found)]


def text(place: str) -> io.TextIOWrapper:
    """A text file in UTF-8; bytes that are none are kept (see PEP 383)."""
    return io.TextIOWrapper(opened(place), "utf-8-sig", "surrogateescape", newline="")


def _system(place: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError("fsspec", "ray") from error
    try:
        system, path = fsspec.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise OSError(None, str(error), place) from error
    return system, path
