"""Photos: decoding whatever cameras and people produce, and reading what the file says itself."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from geoloc.errors import PhotoError
from geoloc.guess import Exif

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image
"""What a photo may be given as."""

MOST_MEGAPIXELS = 200
"""Larger pictures are refused by their header, before they fill the memory."""

LEAST_SIDE_PX = 16

_READABLE = "give a JPEG, PNG, WebP, HEIC or TIFF photo"


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo, ready to be looked at."""

    name: str
    """What the caller calls it."""
    image: Image.Image
    """Upright, RGB."""
    exif: Exif
    sha256: str
    """Of the file's bytes; of the pixels for a picture that never was a file."""


def load(source: Source, *, name: str | None = None, min_side: int | None = None) -> Photo:
    """Decode a photo.

    Args:
        source: a path, the bytes of a file, an open binary file, or a PIL image.
        name: what to call it; the path, or "photo".
        min_side: the short side that suffices, in pixels. A JPEG is then decoded at 1/2, 1/4 or 1/8
            of its size, which is several times quicker, so that it keeps twice this side.

    Raises:
        PhotoError: it cannot be read; says why and what to do.
    """
    called = name or _name(source)
    if isinstance(source, Image.Image):
        digest = hashlib.sha256(source.tobytes()).hexdigest()
        return Photo(called, _upright_rgb(source, called), _exif(source), digest)
    content = _read(source, called)
    with _opened(content, called) as picture:
        exif = _exif(picture)
        if min_side and picture.format == "JPEG":
            picture.draft(None, (2 * min_side, 2 * min_side))
        image = _upright_rgb(picture, called)
    return Photo(called, image, exif, hashlib.sha256(content).hexdigest())


def read_exif(source: Source, *, name: str | None = None) -> Exif:
    """GPS position and time from a photo's metadata, without decoding its pixels.

    Raises:
        PhotoError: it is not a readable picture.
    """
    if isinstance(source, Image.Image):
        return _exif(source)
    called = name or _name(source)
    with _opened(_read(source, called), called) as picture:
        return _exif(picture)


def strip(source: Source) -> bytes:
    """The same picture upright in the same format, without any metadata.

    Raises:
        PhotoError: it cannot be read.
    """
    called = _name(source)
    picture = source if isinstance(source, Image.Image) else None
    if picture is None:
        picture = _opened(_read(source, called), called)  # type: ignore[arg-type]
    kind = picture.format or "PNG"
    image = _upright_rgb(picture, called)
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    out = io.BytesIO()
    lossy: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP", "HEIF") else {}
    clean.save(out, kind if kind != "MPO" else "JPEG", **lossy)
    return out.getvalue()


def _name(source: Source) -> str:
    if isinstance(source, str | os.PathLike):
        return str(source)
    return str(getattr(source, "name", None) or getattr(source, "filename", None) or "photo")


def _read(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> bytes:
    """The bytes of a file, or the reason why there are none."""
    try:
        if isinstance(source, bytes):
            content = source
        elif isinstance(source, str | os.PathLike):
            content = Path(source).read_bytes()
        else:
            content = source.read()
    except FileNotFoundError as error:
        raise PhotoError(f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise PhotoError(f"{name}: is a folder; give the photos in it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError(f"{name}: cannot be opened ({reason}); check its permissions") from error
    if not content:
        raise PhotoError(f"{name}: the file is empty; copy it again")
    return content


def _opened(content: bytes, name: str) -> Image.Image:
    """A picture whose header is readable and whose size is sane."""
    if content[4:8] == b"ftyp":
        _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limit below is ours
            picture = Image.open(io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise _too_large(name, "an enormous number of") from error
    except Exception as error:
        raise PhotoError(f"{name}: not a picture this program can read; {_READABLE}") from error
    width, height = picture.size
    if width * height > MOST_MEGAPIXELS * 1_000_000:
        raise _too_large(name, f"{width} x {height}")
    if min(width, height) < LEAST_SIDE_PX:
        raise PhotoError(
            f"{name}: {width} x {height} pixels show nothing; give at least {LEAST_SIDE_PX} x"
            f" {LEAST_SIDE_PX}"
        )
    return picture


def _too_large(name: str, size: str) -> PhotoError:
    return PhotoError(
        f"{name}: {size} pixels, more than {MOST_MEGAPIXELS} megapixels; make it smaller first"
    )


@cache
def _register_heif() -> None:
    """Teach Pillow HEIC and AVIF, when the first such file is met."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _upright_rgb(picture: Image.Image, name: str) -> Image.Image:
    """Decode the first frame, turn it upright, and make it RGB."""
    try:
        picture.seek(0)
        picture.load()
        turned = ImageOps.exif_transpose(picture)
        return _rgb(turned)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PhotoError(f"{name}: damaged picture ({reason}); copy it again") from error


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return _from_deep(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return picture.convert("RGB")


def _from_deep(picture: Image.Image) -> Image.Image:
    """16-bit and floating-point grey, which Pillow would clip at 255, scaled to 8 bits."""
    values = np.asarray(picture, np.float32)
    if picture.mode.startswith("I") and values.max(initial=0.0) > 255.0:
        values = values / 257.0
    elif picture.mode == "F" and values.max(initial=0.0) <= 1.0:
        values = values * 255.0
    grey = Image.fromarray(np.clip(np.nan_to_num(values), 0.0, 255.0).astype(np.uint8))
    return grey.convert("RGB")


def _exif(picture: Image.Image) -> Exif:
    """What the metadata says; nothing where it is missing or makes no sense."""
    try:
        tags = picture.getexif()
        gps = tags.get_ifd(ExifTags.IFD.GPSInfo)
        details = tags.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # damaged metadata is common, and no reason to refuse the picture
        return Exif()
    lat = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), 90.0)
    lon = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), 180.0)
    if lat is None or lon is None:
        lat = lon = None
    taken = details.get(ExifTags.Base.DateTimeOriginal) or tags.get(ExifTags.Base.DateTime)
    return Exif(lat, lon, _iso_time(taken))


def _degrees(parts: Any, side: Any, most: float) -> float | None:  # noqa: ANN401
    """Degrees, minutes, seconds and N, S, E or W as signed degrees."""
    try:
        degrees, minutes, seconds = (float(part) for part in (*parts, 0.0, 0.0)[:3])
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60.0 + seconds / 3600.0
    if not -most <= value <= most:  # False for NaN, which zero denominators give
        return None
    letter = side.decode("ascii", "ignore") if isinstance(side, bytes) else str(side or "")
    return -value if letter.strip("\0 ").upper() in ("S", "W") else value


def _iso_time(text: Any) -> str | None:  # noqa: ANN401
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
