"""A limit on the memory of all decoded photos of a server."""

from __future__ import annotations

import io
import os
import threading
import weakref
from collections.abc import Callable

from PIL import Image

from geoloc.photos import decode, jpeg

JPEG_BYTES, OTHER_BYTES = 8, 12
"""Bytes for each pixel while a photo is decoded: of a progressive JPEG, whose coefficients are kept
beside the pixels, and of other formats, which are converted."""

DECODED_BYTES = 4
"""Bytes for each pixel of a decoded photo; Pillow does not pack RGB."""

File = bytes | str | os.PathLike[str]
"""A photo: the content of a file, or its path."""


class MemoryBudget:
    """Lets photos be decoded while all decoded photos together take less than a limit.

    A photo counts from its decoding until its pixels are released. A single photo may exceed the
    limit if there is no other one.
    """

    def __init__(self, max_bytes: int, max_megapixels: int) -> None:
        """Take the limit in bytes, and the size that is assumed for unknown formats."""
        self._max_bytes, self._max_pixels = max_bytes, max_megapixels * 1_000_000
        self._held = 0
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """Bytes that are counted at present."""
        return self._held

    def load(self, source: File, load: Callable[[File], decode.Photo]) -> decode.Photo:
        """Return the photo that a function decodes; blocks until there is memory for it."""
        cost = self._cost(source)
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + cost <= self._max_bytes)
            self._held += cost
        kept = 0
        try:
            photo = load(source)
            if photo.image is not decode.NO_PIXELS:
                kept = min(photo.image.width * photo.image.height * DECODED_BYTES, cost)
                weakref.finalize(photo.image, self._release, kept)
            return photo
        finally:
            self._release(cost - kept)

    def _cost(self, source: File) -> int:
        """Return the bytes that decoding takes, by the header."""
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        formats = [name for name in (*decode.FORMATS, "HEIF", "AVIF") if name in Image.OPEN]
        try:
            with Image.open(file, formats=formats) as picture:
                each = JPEG_BYTES if picture.format in jpeg.FORMATS else OTHER_BYTES
                return min(picture.width * picture.height, self._max_pixels) * each
        except Exception:  # HEIC before the first one, or no picture: `load` says so
            return self._max_pixels * OTHER_BYTES

    def _release(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()
