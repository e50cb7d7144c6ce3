"""Photos of a batch before they are read: where each is stored, and its columns."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from geoloc.errors import FileError
from geoloc.output.formats import Columns
from geoloc.photos import decode, storage

MISSING = (-1, -1)
"""Stamp of a file that does not exist."""

UNCHECKED = (0, 0)
"""Stamp of an address; reading the size of each would cost a request."""


@dataclass(frozen=True, slots=True)
class Item:
    """A photo that has not been read yet."""

    name: str
    """As given by the user; bytes that are not UTF-8 are kept as in PEP 383."""
    location: str
    """Absolute path, or address, of the file that contains it."""
    stamp: tuple[int, int]
    """Size and modification time of that file: a changed photo is answered again."""
    columns: Columns
    """Other columns of the input list, copied to the output."""
    offset: int | None = None
    """Byte at which the photo begins in a tar shard; None for a file of its own."""
    size: int | None = None
    from_stdin: bool = False
    """The photo came from standard input, and a copy is in the work folder."""

    @property
    def source(self) -> str | None:
        """Path of the user's file, or None if the photo has none on this machine."""
        no_file = self.offset is not None or self.from_stdin or storage.is_address(self.location)
        return None if no_file else self.location

    def to_json(self) -> list[Any]:
        """Return plain values, which `from_json` reads."""
        return [
            self.name, self.location, self.stamp, dict(self.columns), self.offset, self.size,
            self.from_stdin,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, values: list[Any]) -> Item:
        """Return the photo of plain values, the inverse of `to_json`."""
        name, location, stamp, *rest = values
        return cls(name, location, tuple(stamp), *rest)


def stamp_of(location: str) -> tuple[int, int]:
    """Return the size and modification time of a file, MISSING, or UNCHECKED for an address."""
    if storage.is_address(location):
        return UNCHECKED
    try:
        return storage.stamp(location)
    except (OSError, ValueError):
        return MISSING


def load(
    item: Item, *, min_side: int | None = None, skip_pixels: Container[str] = ()
) -> decode.Photo:
    """Read and decode a photo; see `geoloc.photos.decode.load`.

    Raises:
        FileError: the file cannot be opened, or ends within the photo.
        PhotoError: the content cannot be decoded.
    """
    if item.offset is None and not storage.is_address(item.location):
        return decode.load(
            item.location, name=item.name, min_side=min_side, skip_pixels=skip_pixels
        )
    try:
        content = storage.read(item.location, item.offset or 0, item.size)
    except Exception as error:  # each storage library has its own exceptions
        name = decode.printable(item.name)
        raise FileError(f"{name}: cannot be read ({error}); check its address") from error
    if item.size is not None and len(content) < item.size:
        raise FileError(f"{decode.printable(item.name)}: the shard ends within it; fetch it again")
    return decode.load(content, name=item.name, min_side=min_side, skip_pixels=skip_pixels)
