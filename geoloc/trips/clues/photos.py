"""Photos of a library: embeddings, positions, times and cameras, read once."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import encode
from geoloc.errors import GeolocError, PhotoError
from geoloc.geolocator import Geolocator
from geoloc.io import machine
from geoloc.io.progress import Reporter
from geoloc.photos import decode
from geoloc.photos.discover import photos_below
from geoloc.photos.exif import gps_position
from geoloc.trips.clues.screens import is_drawn, mentions_screen
from geoloc.trips.clues.times import PhotoTime, exif_time, name_time, sidecar_time
from geoloc.trips.model.evidence import Evidence, gather, joined

PathLike = str | os.PathLike[str]

MANY = 128
"""Photos that are read and ranked at once."""


@dataclass(frozen=True, slots=True)
class LibraryPhoto:
    """What the file of one photo says."""

    photo: str
    """Path in the library, with forward slashes."""
    sha256: str
    camera: str
    """Make, model and serial number; "" if unknown."""
    time: PhotoTime
    lat: float | None
    """Degrees; None without a GPS position."""
    lon: float | None
    drawn: bool = False
    """Whether it is a picture of no place: a screenshot, a page, a diagram."""
    made: str = ""
    """Format, size and a digest of the tables of compression."""


@dataclass(frozen=True, eq=False)
class Library:
    """N readable photos of a library with the evidence of their pictures."""

    name: str
    photos: list[LibraryPhoto]
    evidence: Evidence
    problems: list[str]
    """One line for each unreadable file."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    """One photo, with the facts that `decode.Photo` does not have."""

    camera: str
    time: PhotoTime
    drawn: bool
    made: str


def find(photos: PathLike | Iterable[PathLike]) -> tuple[Path, list[str]]:
    """Return the folder of a library and the paths of its photos, in their order.

    Args:
        photos: a folder, one photo, or any number of both.

    Raises:
        GeolocError: there are no photos, or a path does not exist.
    """
    given = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
    sources = [os.fspath(path) for path in given]
    found: list[str] = []
    for source in sources:
        if not os.path.exists(source):
            raise GeolocError(f"{source!r}: no such file or folder; check the path")
        found += photos_below(source) if os.path.isdir(source) else [source]
    if not found:
        names = ", ".join(sources) or "the library"
        raise GeolocError(f"{names}: no photos in it; give a folder with photos")
    if len(sources) == 1 and os.path.isdir(sources[0]):
        return Path(sources[0]), found
    try:
        root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in found])
    except ValueError:  # on several drives
        root = os.path.abspath(os.sep)
    return Path(root), list(dict.fromkeys(map(os.path.abspath, found)))


def read(
    photos: PathLike | Iterable[PathLike],
    geolocator: Geolocator,
    cache: Path | None,
    report: Reporter,
) -> Library:
    """Read, embed and rank all photos of a library; unreadable ones become problems.

    Args:
        photos: as for `find`.
        geolocator: whose encoder embeds them, and whose witnesses are asked.
        cache: folder of cached embeddings; None for no cache.
        report: receives the progress and the problems.

    Raises:
        GeolocError: there are no photos, or none can be read.
    """
    root, paths = find(photos)
    report.stage("reading photos", len(paths))
    known: list[LibraryPhoto] = []
    found: list[Evidence] = []
    problems: list[str] = []
    opened = EmbeddingCache(cache, geolocator.encoder.spec) if cache else nullcontext()
    done = 0
    with opened as embeddings, ThreadPoolExecutor(machine.cores()) as pool:
        for part in encode(geolocator.encoder, paths, MANY, geolocator.read, embeddings):
            here = paths[done : done + len(part.results)]
            done += len(here)
            facts = pool.map(_facts, here)
            for path, result, fact in zip(here, part.results, facts, strict=True):
                if isinstance(result, PhotoError):
                    problems.append(str(result))
                    report.problem(str(result))
                else:
                    known.append(_photo(root, path, result, fact))
            if part.photos:
                asked = part.photos if geolocator.witnesses else None
                found.append(gather(geolocator, part.embeddings, asked))
            report.advance(len(here))
    if not known:
        raise GeolocError(f"{root}: none of {len(paths):,} photos can be read; {problems[0]}")
    return Library(root.name or str(root), known, joined(found), problems)


def _photo(root: Path, path: str, result: decode.Photo, fact: _Loaded) -> LibraryPhoto:
    lat, lon = gps_position(result.exif) or (None, None)
    name = Path(os.path.relpath(path, root)).as_posix()
    return LibraryPhoto(
        name, result.sha256, fact.camera, fact.time, lat, lon, fact.drawn, fact.made
    )


def _facts(path: str) -> _Loaded:
    """Return the camera and the time of a photo; empty ones for damaged metadata."""
    exif: Any = {}
    detail: Any = {}
    gps: Any = {}
    made = ""
    try:
        with Image.open(path) as picture:
            made = _made(picture)
            exif = picture.getexif()
            detail = exif.get_ifd(ExifTags.IFD.Exif)
            gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # damaged metadata raises errors of any type; the picture was read
        detail = gps = {}
    time = exif_time(exif, detail, gps)
    if not time.plausible:
        others = (sidecar_time(Path(path)), name_time(path))
        time = next((other for other in others if other.plausible), time)
    parts = [exif.get(0x010F), exif.get(0x0110), detail.get(0xA431)]
    words = [" ".join(str(part).strip("\0 ").split()) for part in parts if part]
    if len(words) > 1 and words[1].lower().startswith(words[0].lower()):
        del words[0]  # "Canon", "Canon EOS 5D"
    camera = " ".join(words)
    mentioned = mentions_screen(str(detail.get(0x9286, "")) + os.path.basename(path))
    taken = camera or time.source in ("exif", "gps")
    return _Loaded(camera, time, mentioned or (not taken and _is_drawn(path)), made)


def _made(picture: Image.Image) -> str:
    """Return how a file is made, which tells cameras without a name apart.

    Every program that writes JPEG has tables of its own, and most have few of them.
    """
    tables = getattr(picture, "quantization", None) or {}
    digest = zlib.crc32(repr([list(table) for table in tables.values()]).encode())
    longer, shorter = sorted(picture.size, reverse=True)
    return f"{picture.format} {longer} x {shorter} {digest:08x}"


def _is_drawn(path: str) -> bool:
    """Return whether a picture is a drawing; no for files of which this cannot be said."""
    try:
        with Image.open(path) as picture:
            return is_drawn(picture)
    except Exception:  # damaged files raise errors of any type; the picture was read
        return False
