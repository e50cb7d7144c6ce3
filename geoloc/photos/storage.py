"""Files on this machine, on shared storage, or at an address that fsspec supports (s3://…)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from geoloc.errors import MissingExtraError
from geoloc.io.atomic import atomic_write_bytes


def is_address(place: str) -> bool:
    """Return whether a place is an address rather than a path."""
    return "://" in place


def stamp(place: str) -> tuple[int, int]:
    """Return the size and the modification time in ns of a file; addresses have no time.

    Raises:
        OSError: there is no such file.
    """
    if is_address(place):
        system, path = _system(place)
        return int(system.info(path)["size"]), 0
    found = os.stat(place)
    return found.st_size, found.st_mtime_ns


def opened(place: str) -> BinaryIO:
    """Open a seekable file for reading.

    Raises:
        OSError: it cannot be opened.
    """
    if is_address(place):
        system, path = _system(place)
        file: BinaryIO = system.open(path, "rb")
        return file
    return Path(place).open("rb")


def read(place: str, offset: int = 0, size: int | None = None) -> bytes:
    """Return the bytes of a file, or of a part of it.

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
    """Write a file that appears complete or not at all.

    Raises:
        OSError: it cannot be written; names the file.
    """
    if is_address(place):
        system, path = _system(place)
        system.pipe_file(path, content)  # object stores show a file when it is complete
        return
    atomic_write_bytes(place, content)


def exists(place: str) -> bool:
    """Return whether a file exists."""
    if is_address(place):
        system, path = _system(place)
        return bool(system.exists(path))
    return os.path.exists(place)


def matches(pattern: str) -> list[str]:
    """Return the addresses that match a pattern, or lie below a folder, sorted by name."""
    system, path = _system(pattern)
    found = system.find(path) if path.endswith("/") or system.isdir(path) else system.glob(path)
    return [system.unstrip_protocol(each) for each in sorted(found)]


def _system(place: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError("fsspec", "ray") from error
    try:
        system, path = fsspec.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise OSError(None, str(error), place) from error
    return system, path
