"""JPEG files: whether they are complete, and how to decode them at reduced size."""

from __future__ import annotations

from typing import cast

from PIL import ImageFile, JpegImagePlugin

from geoloc.errors import PhotoError

FORMATS = ("JPEG", "MPO")
"""Formats of Pillow whose pictures are JPEG."""

DAMAGED = ("damaged picture", "copy it again")
"""Problem and remedy of pictures that cannot be decoded."""

_START_OF_SCAN = 0xDA
_REDUCTIONS = (1, 2, 4, 8)


def check_complete(content: bytes, name: str) -> None:
    """Refuse a file without an end marker: broken copies are padded with zeros, and decode grey.

    Args:
        content: of the file. Its metadata is skipped, because it may hold whole pictures with ends
            of their own.
        name: of the photo.
    """
    if content.rfind(b"\xff\xd9", _scan(content)) < 0:
        raise PhotoError.about(name, *DAMAGED, "its end is missing")


def has_one_scan(picture: ImageFile.ImageFile, content: bytes) -> bool:
    """Return whether rows are stored one after the other, so that decoding needs little memory.

    The rows of progressive pictures, and of those with a scan for each colour, are complete at the
    end of the file only: the decoder holds all of them at full size.
    """
    components = content[_scan(content) + 4 :][:1]  # after the marker and the length of its segment
    layers = cast(JpegImagePlugin.JpegImageFile, picture).layers
    return "progressive" not in picture.info and components == bytes([layers])


def reduce(picture: ImageFile.ImageFile, min_side: int | None, max_pixels: int) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, several times faster.

    Args:
        picture: not decoded yet.
        min_side: half of the smallest length of the short side in pixels; None for the full size.
        max_pixels: the picture is reduced further, if it is possible, until it has no more pixels.
    """
    width, height = picture.size
    wanted = (width, height) if min_side is None else (2 * min_side, 2 * min_side)
    factor = next((f for f in _REDUCTIONS if width * height <= max_pixels * f * f), _REDUCTIONS[-1])
    if min_side is None and factor == 1:
        return
    picture.draft(None, (min(wanted[0], width // factor), min(wanted[1], height // factor)))


def _scan(content: bytes) -> int:
    """Return the position of the first scan, after all metadata."""
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != bytes([_START_OF_SCAN]):
        repeated = content[at + 1 : at + 2] == b"\xff"
        at += 1 if repeated else 2 + int.from_bytes(content[at + 2 : at + 4])
    return at
