"""One photo of the input of a batch: where it is, what came along, and how to read it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from geoloc.errors import FileError
from geoloc.photos import decode, storage

Columns = Mapping[str, str | int | float | bool | None]

MISSING = (-1, -1)
"""Stamp of a file that is not there."""

UNCHECKED = (0, 0)
"""Stamp of an address: asking for each would cost a request."""


@dataclass(frozen=True, slots=True)
class Item:
    """A photo that is not read yet."""

    name: str
    """As the caller gave it; bytes that are no text are kept as in PEP 383."""
    location: str
    """Absolute path, or address, of the file that holds it."""
    stamp: tuple[int, int]
    """Size and time of that file: when they change, the photo is answered again."""
    columns: Columns
    """Carried along."""
    offset: int | None = None
    """Of the photo in a tar shard; None for a file of its own."""
    size: int | None = None
    kept: bool = False
    """Came from standard input, and is kept in the work folder."""

    @property
    def source(self) -> str | None:
        """Path of the photo on this machine, if it has one."""
        inside = self.offset is not None or self.kept or storage.is_address(self.location)
        return None if inside else self.location

    def to_json(self) -> list[Any]:
        """Plain values; the inverse of `Item(*values)` but for the stamp."""
        return [
            self.name, self.location, self.stamp, dict(self.columns), self.offset, self.size,
            self.kept,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, values: list[Any]) -> Item:
        """The inverse of `to_json`."""
        name, location, stamp, *rest = values
        return cls(name, location, tuple(stamp), *rest)


def stamp_of(location: str) -> tuple[int, int]:
    """The stamp of a file."""
    if storage.is_address(location):
        return UNCHECKED
    try:
        return storage.stamp(location)
    except (OSError, ValueError):
        return MISSING


def load(
    item: Item, *, min_side: int | None = None, skip_pixels: Container[str] = ()
) -> decode.Photo:
    """Read and decode; see `geoloc.photos.decode.load`.

    Raises:
        FileError: the file cannot be opened, or ends before the photo.
        PhotoError: it is no photo.
    """
    if item.offset is None and not storage.is_address(item.location):
        return decode.load(
            item.location, name=item.name, min_side=min_side, skip_pixels=skip_pixels
        )
    try:
        content = storage.read(item.location, item.offset or 0, item.size)
    except Exception as error:  # each kind of storage raises its own
        name = decode.printable(item.name)
        raise FileError(f"{name}: cannot be read ({error}); check its address") from error
    if item.size is not None and len(content) < item.size:
        raise FileError(f"{decode.printable(item.name)}: the shard ends within it; fetch it again")
    return decode.load(content, name=item.name, min_side=min_side, skip_pixels=skip_pixels)
