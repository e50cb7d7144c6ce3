"""Decode photos of every common format, read their metadata, and remove it."""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps

from geoloc.errors import FileError, PhotoError
from geoloc.guess import Exif
from geoloc.observation import Observation
from geoloc.photos import jpeg
from geoloc.photos.colour import to_rgb, to_srgb
from geoloc.photos.exif import Metadata, metadata_of

_File = str | os.PathLike[str] | bytes | bytearray | BinaryIO
PhotoSource = _File | Image.Image | npt.NDArray[np.uint8]
"""A photo: path or bytes of a file, open binary file, PIL image, or RGB array (H, W, 3)."""

MAX_MEGAPIXELS = 300
"""Larger pictures are refused by their header, before they fill the memory; JPEG, the format of
panoramas, is decoded at reduced size instead."""

MIN_SIDE_PX = 16

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
"""Formats that Pillow may try, besides HEIC and AVIF: others, like PostScript, start programs."""

SUFFIXES = frozenset(".jpg .jpeg .png .webp .heic .heif .tif .tiff .gif .bmp .avif".split())
"""Endings of file names of photos, in lower case."""

NO_PIXELS = Image.new("RGB", (1, 1))  # the image of a photo whose pixels are not needed


@dataclass(frozen=True, eq=False)
class Photo:
    """One decoded photo."""

    name: str
    """As the caller gave it, in characters that can be printed on one line."""
    image: Image.Image
    """Upright, RGB."""
    exif: Exif
    sha256: str
    """Of the file's bytes; of the upright pixels for PIL images and arrays."""
    signature: npt.NDArray[np.uint8] | None = None
    """See `geoloc.encoders.signatures`; None until the photo is encoded."""
    content: bytes | None = field(default=None, repr=False)
    """Bytes of the file; None for pixels from memory, and once the photo is encoded."""
    path: str | None = None
    """Of the file on this machine; None if it has none."""
    observations: tuple[Observation, ...] = ()
    """What witnesses found; see `geoloc.belief.witnesses`."""


def load(
    source: PhotoSource,
    *,
    name: str | None = None,
    min_side: int | None = None,
    skip_pixels: Container[str] = (),
    max_megapixels: int | None = None,
) -> Photo:
    """Decode a photo; of an animation the first frame.

    Args:
        source: see PhotoSource.
        name: of the photo, for messages and results; by default its path, or "photo".
        min_side: pixels of the short side that are needed: JPEGs are decoded at 1/2 to 1/8 of
            their size, several times faster, but at least at twice this length.
        skip_pixels: sha256 of files that need not be decoded: their image is NO_PIXELS.
        max_megapixels: larger pictures are refused by their header, JPEG as well.

    Raises:
        FileError: the file cannot be opened.
        PhotoError: the source is no photo; the message says why and what to do.
    """
    name = _name(source, name)
    source = _from_memory(source, name)
    if isinstance(source, Image.Image):
        _check_size(source, name, max_megapixels)
        image = _rgb_or_error(source, name)
        pixels = str(image.size).encode() + image.tobytes()
        return Photo(name, image, metadata_of(source).exif, hashlib.sha256(pixels).hexdigest())
    digest = hashlib.sha256(content := _read(source, name)).hexdigest()
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    with _opened(io.BytesIO(content), name) as picture:
        _check_size(picture, name, max_megapixels)
        exif = metadata_of(picture, source).exif
        photo = Photo(name, NO_PIXELS, exif, digest, content=content, path=path)
        if digest in skip_pixels:
            return photo
        if picture.format in jpeg.FORMATS:
            jpeg.check_complete(content, name)
            if not jpeg.has_one_scan(picture, content):
                _check_size(picture, name, MAX_MEGAPIXELS)
            picture.decodermaxblock = len(content)  # in one go: threads wait for each other between
            jpeg.reduce(picture, min_side, MAX_MEGAPIXELS * 1_000_000)
        return replace(photo, image=_rgb_or_error(picture, name))


def read_exif(source: PhotoSource, *, name: str | None = None) -> Exif:
    """Read position and time of a photo; see `read_metadata`."""
    return read_metadata(source, name=name).exif


def read_metadata(source: PhotoSource, *, name: str | None = None) -> Metadata:
    """Read position and time of a photo, without decoding its pixels.

    The position is that of EXIF, or else of embedded XMP, or else, for a path, of an XMP sidecar.

    Raises:
        FileError: the file cannot be opened.
        PhotoError: it is not a readable picture.
    """
    name = _name(source, name)
    source = _from_memory(source, name)
    if isinstance(source, Image.Image):
        return metadata_of(source)
    with _explained(name), _file(source) as file, _opened(file, name) as picture:
        return metadata_of(picture, source)


def strip(source: PhotoSource) -> bytes:
    """Return the same picture, upright and in the same format, without any metadata.

    Lossy formats are encoded again at quality 95; of an animation the first frame stays. Colours
    are converted to sRGB, because colour profiles are metadata that can identify a device.

    Raises:
        FileError: the file cannot be opened.
        PhotoError: it is not a readable picture.
    """
    name = _name(source, None)
    source = _from_memory(source, name)
    if isinstance(source, Image.Image):
        _check_size(source, name)
        return _encoded_clean(source, name)
    content = _read(source, name)
    with _opened(io.BytesIO(content), name) as picture:
        _check_size(picture, name, MAX_MEGAPIXELS)
        if picture.format in jpeg.FORMATS:
            jpeg.check_complete(content, name)
        return _encoded_clean(picture, name)


def printable(name: str) -> str:
    """Return a name on one line: line breaks, controls and invalid bytes are escaped."""
    unprintable = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
    return re.sub(unprintable, lambda match: ascii(match[0])[1:-1], name)


def _name(source: PhotoSource, given: str | None) -> str:
    if given is None and isinstance(source, str | os.PathLike):
        given = os.fspath(source)
    given = given or str(getattr(source, "name", "") or getattr(source, "filename", "") or "photo")
    return printable(given)


def _from_memory(source: PhotoSource, name: str) -> Image.Image | _File:
    """Return arrays as pictures, everything else as it is; raise PhotoError for other types."""
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3:
            raise PhotoError(
                f"{name}: an array of shape {source.shape} and type {source.dtype} is no photo;"
                " give RGB values of shape (H, W, 3) and type uint8"
            )
        if not source.size:
            raise PhotoError(f"{name}: the array is empty; give at least {MIN_SIDE_PX} rows")
        return Image.fromarray(np.ascontiguousarray(source))
    if isinstance(source, str | os.PathLike | bytes | bytearray | Image.Image):
        return source
    if not hasattr(source, "read"):
        raise PhotoError(
            f"{name}: {type(source).__name__} is no photo; give a path, bytes, an open binary"
            " file, a PIL image or a uint8 array of shape (H, W, 3)"
        )
    return source


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn errors of opening and reading a file into a FileError of one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileError.about(name, "no such file", "check the path") from error
    except IsADirectoryError as error:
        raise FileError.about(name, "is a folder", "give the photos in it") from error
    except (OSError, ValueError) as error:
        reason = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise FileError.about(name, reason, "check its path and permissions") from error


def _read(source: _File, name: str) -> bytes:
    with _explained(name), _file(source) as file:
        return file.read()


def _file(source: _File) -> BinaryIO:
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    content = source if isinstance(source, bytes | bytearray) else source.read()
    return io.BytesIO(cast(bytes, content))


_PILLOW_LIMIT = threading.Lock()

_NO_LIMIT = 2**62  # not None: other threads multiply the limit while it is set


def _opened(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """Open a picture whose header is readable and whose size is within the limits."""
    start = file.read(12)
    file.seek(0)
    if not start:
        raise PhotoError.about(name, "the file is empty", "copy it again")
    formats = _heif_formats() if start[4:8] == b"ftyp" else FORMATS
    with _PILLOW_LIMIT:  # Pillow's own limit is global, and lower than ours
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, _NO_LIMIT
        try:
            picture = Image.open(file, formats=formats)
        except Exception as error:  # damaged headers raise errors of any type
            problem = "not a picture this program can read"
            remedy = "give a JPEG, PNG, WebP, HEIC or TIFF"
            raise PhotoError.about(name, problem, remedy) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    _check_size(picture, name)
    return picture


def _check_size(picture: Image.Image, name: str, max_megapixels: int | None = None) -> None:
    """Refuse a picture by its size; without a limit JPEG may be larger than MAX_MEGAPIXELS."""
    (width, height), limit = picture.size, max_megapixels or MAX_MEGAPIXELS
    can_be_reduced = max_megapixels is None and picture.format in jpeg.FORMATS
    if width * height > limit * 1_000_000 and not can_be_reduced:
        problem = f"are more than {limit} megapixels; make it smaller first"
    elif min(width, height) < MIN_SIDE_PX:
        problem = f"show nothing; give at least {MIN_SIDE_PX} x {MIN_SIDE_PX}"
    else:
        return
    line = f"{name}: {width} x {height} pixels {problem}"
    raise PhotoError(line, name=name, kind=f"their pixels {problem}")


@cache
def _heif_formats() -> tuple[str, ...]:
    """Register HEIC with Pillow when the first such file is read, and AVIF if Pillow has it."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    Image.init()
    return tuple(kind for kind in ("HEIF", "AVIF") if kind in Image.OPEN)


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn errors of decoders, which may be of any type, into a PhotoError of one line."""
    try:
        yield
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PhotoError.about(name, *jpeg.DAMAGED, reason) from error


def _rgb_or_error(picture: Image.Image, name: str) -> Image.Image:
    with _decoding(name):
        return to_rgb(_upright(picture))


def _upright(picture: Image.Image) -> Image.Image:
    """Decode the first frame and turn it upright; an upright one is not copied."""
    picture.seek(0)
    picture.load()
    upright = picture.getexif().get(ExifTags.Base.Orientation, 1) == 1
    return picture if upright else ImageOps.exif_transpose(picture)


def _encoded_clean(picture: Image.Image, name: str) -> bytes:
    kind = {None: "PNG", "MPO": "JPEG"}.get(picture.format, picture.format)
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP", "HEIF", "AVIF") else {}
    out = io.BytesIO()
    with _decoding(name):
        clean = to_srgb(_upright(picture)).copy()
        clean.info = {key: clean.info[key] for key in ("transparency",) if key in clean.info}
        clean.save(out, kind, **options)
    return out.getvalue()
