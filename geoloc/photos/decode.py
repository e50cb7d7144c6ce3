"""Photos: decoding whatever cameras and people produce, and reading what the file says itself."""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from geoloc.errors import FileError, PhotoError
from geoloc.guess import Exif
from geoloc.photos.exif import exif_of

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image
"""What a photo may be given as."""

MOST_MEGAPIXELS = 200
"""Larger pictures are refused by their header, before they fill the memory."""

LEAST_SIDE_PX = 16

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
"""What Pillow may try, besides HEIC and AVIF: others, like PostScript, start programs."""

SUFFIXES = frozenset(".jpg .jpeg .png .webp .heic .heif .tif .tiff .gif .bmp .avif".split())
"""How the names of photos end, in lower case."""

NO_PIXELS = Image.new("RGB", (1, 1))
"""Stands for pixels that nobody needs."""

_READABLE = "give a JPEG, PNG, WebP, HEIC or TIFF photo"


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo, ready to be looked at."""

    name: str
    """What the caller calls it, in characters that can be printed on one line."""
    image: Image.Image
    """Upright, RGB."""
    exif: Exif
    sha256: str
    """Of the file's bytes; of the upright pixels for a picture that never was a file."""


def load(
    source: Source,
    *,
    name: str | None = None,
    min_side: int | None = None,
    known: Container[str] = (),
    most_megapixels: int = MOST_MEGAPIXELS,
) -> Photo:
    """Decode a photo; of an animation the first frame.

    Args:
        source: a path, the bytes of a file, an open binary file, or a PIL image.
        name: what to call it; the path, or "photo".
        min_side: the short side that suffices, in pixels. A JPEG is then decoded at 1/2, 1/4 or 1/8
            of its size, which is several times quicker, so that it keeps twice this side.
        known: sha256 of files whose pixels nobody needs: they get NO_PIXELS.
        most_megapixels: larger pictures are refused by their header.

    Raises:
        FileError: the file cannot be opened.
        PhotoError: it is no photo; says why and what to do.
    """
    called = _name(source, name)
    if isinstance(source, Image.Image):
        _check_size(source, called, most_megapixels)
        image = _rgb_or_error(source, called)
        pixels = str(image.size).encode() + image.tobytes()
        return Photo(called, image, exif_of(source), hashlib.sha256(pixels).hexdigest())
    with _explained(called), _file(source) as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    with _opened(io.BytesIO(content), called) as picture:
        _check_size(picture, called, most_megapixels)
        exif = exif_of(picture)
        if digest in known:
            return Photo(called, NO_PIXELS, exif, digest)
        if picture.format in ("JPEG", "MPO"):
            _check_complete(content, called)
            picture.decodermaxblock = len(content)  # in one go: threads wait for each other between
            if min_side:
                picture.draft(None, (2 * min_side, 2 * min_side))
        return Photo(called, _rgb_or_error(picture, called), exif, digest)


def read_exif(source: Source, *, name: str | None = None) -> Exif:
    """GPS position and time from a photo's metadata, reading no more of a file than it must.

    Raises:
        PhotoError: it is not a readable picture.
    """
    if isinstance(source, Image.Image):
        return exif_of(source)
    called = _name(source, name)
    with _explained(called), _file(source) as file, _opened(file, called) as picture:
        return exif_of(picture)


def strip(source: Source) -> bytes:
    """The same picture upright in the same format, without any metadata.

    Lossy formats are encoded again at quality 95; of an animation the first frame stays. A colour
    profile is metadata too (it names devices), so colours are converted to sRGB first.

    Raises:
        PhotoError: it cannot be read.
    """
    called = _name(source, None)
    if isinstance(source, Image.Image):
        _check_size(source, called)
        return _encoded_clean(source, called)
    with _explained(called), _file(source) as file:
        content = file.read()
    with _opened(io.BytesIO(content), called) as picture:
        if picture.format in ("JPEG", "MPO"):
            _check_complete(content, called)
        return _encoded_clean(picture, called)


def _name(source: Source, given: str | None) -> str:
    if given is None and isinstance(source, str | os.PathLike):
        given = os.fspath(source)
    given = given or str(getattr(source, "name", "") or getattr(source, "filename", "") or "photo")
    return printable(given)


def printable(name: str) -> str:
    """A name for one line: line breaks and bytes that are no text are escaped."""
    unprintable = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
    return re.sub(unprintable, lambda c: ascii(c[0])[1:-1], name)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say in one line why a file cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileError(f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise FileError(f"{name}: is a folder; give the photos in it") from error
    except (OSError, ValueError) as error:
        reason = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise FileError(f"{name}: {reason}; check its path and permissions") from error


def _file(source: str | os.PathLike[str] | bytes | BinaryIO) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    return io.BytesIO(source.read())


_PILLOW_LIMIT = threading.Lock()

_NO_LIMIT = 2**62
"""Not None: other threads multiply the limit while it is set."""


def _opened(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """A picture whose header is readable and whose size is sane."""
    start = file.read(12)
    file.seek(0)
    if not start:
        raise PhotoError(f"{name}: the file is empty; copy it again")
    formats = _heif_formats() if start[4:8] == b"ftyp" else FORMATS
    with _PILLOW_LIMIT:  # Pillow's own limit is global, and lower than ours
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, _NO_LIMIT
        try:
            picture = Image.open(file, formats=formats)
        except Exception as error:  # damaged headers raise whatever they like
            raise PhotoError(f"{name}: not a picture this program can read; {_READABLE}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    _check_size(picture, name)
    return picture


def _check_size(picture: Image.Image, name: str, most: int = MOST_MEGAPIXELS) -> None:
    width, height = picture.size
    if width * height > most * 1_000_000:
        raise PhotoError(
            f"{name}: {width} x {height} pixels are more than {most} megapixels;"
            " make it smaller first"
        )
    if min(width, height) < LEAST_SIDE_PX:
        raise PhotoError(
            f"{name}: {width} x {height} pixels show nothing; give at least {LEAST_SIDE_PX} x"
            f" {LEAST_SIDE_PX}"
        )


@cache
def _heif_formats() -> tuple[str, ...]:
    """Teach Pillow HEIC when the first such file is met; AVIF where Pillow itself knows it."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    Image.init()
    return tuple(kind for kind in ("HEIF", "AVIF") if kind in Image.OPEN)


def _check_complete(jpeg: bytes, name: str) -> None:
    """Refuse a JPEG without an end: broken copies are padded with zeros, and decode to grey."""
    at = 2  # skips metadata, which may hold whole pictures with ends of their own
    while jpeg[at : at + 1] == b"\xff" and jpeg[at + 1 : at + 2] != b"\xda":
        padding = jpeg[at + 1 : at + 2] == b"\xff"
        at += 1 if padding else 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    if jpeg.rfind(b"\xff\xd9", at) < 0:
        raise PhotoError(f"{name}: damaged picture (its end is missing); copy it again")


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Say in one line why pixels cannot be decoded; decoders raise whatever they like."""
    try:
        yield
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PhotoError(f"{name}: damaged picture ({reason}); copy it again") from error


def _rgb_or_error(picture: Image.Image, name: str) -> Image.Image:
    with _decoding(name):
        return _rgb(_upright(picture))


def _upright(picture: Image.Image) -> Image.Image:
    """Decode the first frame and turn it upright."""
    picture.seek(0)
    picture.load()
    return ImageOps.exif_transpose(picture)


def _encoded_clean(picture: Image.Image, name: str) -> bytes:
    kind = {None: "PNG", "MPO": "JPEG"}.get(picture.format, picture.format)
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP", "HEIF", "AVIF") else {}
    out = io.BytesIO()
    with _decoding(name):
        clean = _in_srgb(_upright(picture)).copy()
        clean.info = {key: clean.info[key] for key in ("transparency",) if key in clean.info}
        clean.save(out, kind, **options)
    return out.getvalue()


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Colours as they look without the profile; a profile that makes no sense is ignored."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    from PIL import ImageCms

    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, given, srgb, outputMode=mode) or picture
    except (ImageCms.PyCMSError, OSError):
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return _from_deep(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return picture.convert("RGB")


def _from_deep(picture: Image.Image) -> Image.Image:
    """Deep grey, which Pillow would clip at 255, scaled to 8 bits.

    16 bits are scaled as such; 32 bits and floating point by the smallest usual white that the
    brightest pixel does not exceed, for these files do not say what white is.
    """
    values = np.nan_to_num(np.asarray(picture, np.float64))
    whites = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0, 65535.0)
    brightest = values.max()
    white = next((white for white in whites if brightest <= white), brightest)
    grey = np.clip(values * (255.0 / white), 0.0, 255.0).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
