"""Thumbnails for a bundle: small pictures of its openly licensed photos, within a size."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from geocells.sphere import unit_vectors
from geoloc.bundle import directory as bundles
from geoloc.bundle.change import alone, changing, target_of
from geoloc.errors import BundleError, PhotoError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.io.thumbnails import FILE as THUMBNAILS
from geoloc.io.thumbnails import THUMBNAIL_PX, Thumbnails
from geoloc.photos.decode import load
from training.data.manifest import Manifest, read_all

QUALITY = 50
"""Of the WebP; a picture takes about 3 KB."""

ROW_BYTES = 12
"""Of the table, for each picture beside the picture and its source."""

_OPEN = re.compile(r"\s*(CC0|CC[ -]BY([ -]SA)?(?![ -]?(NC|ND|SA-NC))|public[ -]domain|PDM)", re.I)
_FREE_OF_CREDIT = re.compile(r"\s*(CC0|public[ -]domain|PDM)", re.I)
_RESTRICTED = re.compile(r"\b(NC|ND|noncommercial|no[ -]?derivatives)\b", re.I)


def is_open(licence: str, author: str, source: str) -> bool:
    """Return whether a photo may be shown with its credit.

    Its licence is CC0, CC BY, CC BY-SA or the public domain, the source is an address on the web,
    and the author is known where the licence asks for a credit.
    """
    allowed = _OPEN.match(licence) is not None and _RESTRICTED.search(licence) is None
    credited = bool(author.strip()) or _FREE_OF_CREDIT.match(licence) is not None
    return allowed and credited and source.startswith(("https://", "http://"))


@dataclass(frozen=True)
class Pictures:
    """Thumbnails by source, ready to be written."""

    by_source: dict[str, bytes] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the file of a bundle."""
        Thumbnails.write(path, self.by_source)


def make_thumbnails(
    manifest: Manifest,
    megabytes: float,
    members: Iterable[str] | None = None,
    report: Reporter | None = None,
) -> Pictures | None:
    """Return thumbnails of openly licensed photos, of as many places as possible.

    Args:
        manifest: the photos, with their files.
        megabytes: the file is not larger.
        members: sources of the photos of the bundle; None if those of the manifest are.
        report: receives photos that cannot be read.

    Returns:
        None if there are none.
    """
    if megabytes <= 0.0:
        return None
    known = None if members is None else set(members)
    rows = [
        row
        for row, (licence, author, source) in enumerate(
            zip(manifest.licence, manifest.author, manifest.source, strict=True)
        )
        if is_open(licence, author, source) and (known is None or source in known)
    ]
    pictures: dict[str, bytes] = {}
    left = megabytes * 1e6
    for row in spread_order(manifest, rows):
        source = str(manifest.source[row])
        try:
            image = picture(manifest.file[row])
        except PhotoError as error:
            (report or NullReporter()).problem(str(error))
            continue
        size = len(image) + len(source.encode()) + ROW_BYTES
        if size <= left and source not in pictures:
            pictures[source] = image
            left -= size
    return Pictures(pictures) if pictures else None


def add_thumbnails(
    bundle: str | Path,
    photos: Sequence[str | Path],
    megabytes: float,
    out: Path | None = None,
    report: Reporter | None = None,
) -> tuple[int, int]:
    """Put thumbnails into a bundle; older ones are replaced.

    Args:
        bundle: name or path.
        photos: tables or folders of its photos; see `training.data.manifest.read`.
        megabytes: of the file, at most.
        out: the bundle to write; by default the bundle itself is replaced.
        report: receives photos that cannot be read.

    Returns:
        Number of pictures, and bytes of the file.

    Raises:
        BundleError: it is damaged, or none of its photos may be shown.
        TableError: a table cannot be read.
    """
    path = bundles.find(bundle)
    target = target_of(path, out)
    manifest, _ = read_all(photos)
    members = bundles.load(path).ranker.gallery.members.source
    made = make_thumbnails(manifest, megabytes, map(str, members), report)
    if made is None:
        raise BundleError(
            f"{path}: none of these photos is in it, under an open licence, and with author and"
            " source; give the table that it was made from"
        )
    with alone(target), changing(path, target) as change:
        made.write(change.file(THUMBNAILS))
    return len(made.by_source), (target / THUMBNAILS).stat().st_size


def picture(file: str) -> bytes:
    """Return a photo as a small WebP without metadata.

    Raises:
        PhotoError: it cannot be read.
    """
    image = load(file, min_side=THUMBNAIL_PX).image
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=6)
    return out.getvalue()


def spread_order(manifest: Manifest, rows: list[int]) -> list[int]:
    """Return rows such that every place comes once before any comes twice, about 10 km wide."""
    place = np.round(unit_vectors(manifest.latlon[rows]) * 600.0).astype(np.int64)
    seen: dict[tuple[int, ...], int] = {}
    turn = []
    for key in map(tuple, place.tolist()):
        turn.append(seen.get(key, 0))
        seen[key] = turn[-1] + 1
    return [rows[i] for i in np.argsort(turn, kind="stable")]
