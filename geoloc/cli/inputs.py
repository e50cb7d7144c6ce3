"""Inputs of `geoloc locate`: photos, folders, patterns and standard input."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from geoloc.errors import PhotoError
from geoloc.photos import decode, storage
from geoloc.photos.discover import is_photo, photos_below

STDIN = "-"


@dataclass(frozen=True)
class Input:
    """A photo that has not been read yet, or the reason why an input is none."""

    name: str
    """As given by the user, on one line."""
    source: str | bytes | PhotoError


def find_inputs(places: Iterable[str]) -> Iterator[Input]:
    """Yield the photos that the arguments of a command name, in order.

    An argument that names no photo becomes an `Input` with the error, so that the others are
    answered.

    Args:
        places: files, folders, glob patterns, or "-" for a photo from standard input.
    """
    for place in places:
        if place == STDIN:
            yield Input("standard input", sys.stdin.buffer.read())
            continue
        error = _no_photo(place)
        if error:
            yield Input(decode.printable(place), PhotoError(f"{decode.printable(place)}: {error}"))
        else:
            yield from (Input(decode.printable(photo), photo) for photo in _photos(place))


def load(
    given: Input, /, *, min_side: int | None = None, skip_pixels: Container[str] = ()
) -> decode.Photo:
    """Decode an input; see `geoloc.photos.decode.load`.

    Raises:
        PhotoError: it is no photo that can be read.
    """
    if isinstance(given.source, PhotoError):
        raise given.source
    return decode.load(given.source, name=given.name, min_side=min_side, skip_pixels=skip_pixels)


def _no_photo(place: str) -> str:
    """Return why an argument names no photo, and what to do; "" if it may name some."""
    if place.startswith(("http://", "https://")):
        return f"photos are not downloaded; run  curl -sL {shlex.quote(place)} | geoloc locate -"
    if storage.is_address(place) or _is_collection(place):
        command = f"geoloc batch {shlex.quote(place)} -o answers.jsonl"
        return f"holds photos, but is none itself; run  {command}"
    if next(_photos(place), None) is None:
        return "no photos in it; give a folder or a pattern with photos"
    return ""


def _is_collection(place: str) -> bool:
    """Return whether a file is a list or a tar shard by its name."""
    from geoloc.photos.tabular import rows

    return os.path.isfile(place) and (rows.is_table(place) or rows.suffix(place) == ".tar")


def _photos(place: str) -> Iterator[str]:
    """Yield the photos of a path or pattern; a missing file too: reading it reports the error."""
    if os.path.isdir(place):
        yield from photos_below(place)
    elif os.path.exists(place) or not glob.has_magic(place):
        yield place
    else:
        for match in sorted(glob.iglob(place, recursive=True)):
            if is_photo(match) and os.path.isfile(match):
                yield match
            elif os.path.isdir(match) and "**" not in place:  # else its photos match by themselves
                yield from photos_below(match)
