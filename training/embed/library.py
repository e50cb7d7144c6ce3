"""Read and embed the photos to learn from; exact copies and unreadable photos are left out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import Encoded, encode_all
from geoloc.io.progress import Reporter
from geoloc.photos.tables import photo_problems, row_problem
from geoloc.types import BoolArray, Float32Array, IndexArray, StrArray, UInt8Array
from training.data.manifest import Manifest, Skipped, read_all


@dataclass(frozen=True, eq=False)
class Library:
    """N different photos with coordinates, and their embeddings."""

    manifest: Manifest
    embeddings: Float32Array
    """(N, D)"""
    signatures: UInt8Array
    """(N, SIDE, SIDE) see `geoloc.encoders.signatures`."""
    skipped: Skipped
    sha256: StrArray
    """(N,) of the files, which photos are known by."""

    def take(self, rows: IndexArray) -> Library:
        """Return some of the photos."""
        parts = self.embeddings[rows], self.signatures[rows]
        return Library(self.manifest.take(rows), *parts, self.skipped, self.sha256[rows])


def read_library(
    photos: Sequence[str | os.PathLike[str]],
    network: ImageEncoder,
    cache: Path,
    report: Reporter,
) -> Library:
    """Read and embed geotagged photos, each content once.

    Args:
        photos: folders and tables; see `training.data.manifest.read`.
        network: the encoder.
        cache: folder of cached embeddings.
        report: receives the progress, and a line for each kind of photos that is left out.

    Raises:
        TableError: a table or folder is unusable.
    """
    report.stage("reading photos")
    manifest, skipped = read_all(photos)
    report.stage("embedding photos", len(manifest))
    with EmbeddingCache(cache, network.spec) as store:
        files = list(map(str, manifest.file))
        encoded = encode_all(network, files, cache=store, progress=report.advance)
    skipped += _unreadable(encoded, photos)
    digests = np.array([photo.sha256 for photo in encoded.photos], dtype=object)
    first = _first_copies(digests)
    readable = manifest.take(encoded.index)
    if not first.all():
        copies = "are exact copies of other photos, which are learned once"
        line = row_problem(_names(photos), readable.file, ~first, copies, "photos")
        skipped += Skipped(notes=(line,))
    for line in skipped.problems:
        report.problem(line)
    for line in skipped.notes:
        report.note(line)
    signatures = np.array([photo.signature for photo in encoded.photos], np.uint8)
    return Library(
        readable.take(np.flatnonzero(first)),
        encoded.embeddings[first],
        signatures[first],
        skipped,
        digests[first],
    )


def _unreadable(encoded: Encoded, photos: Sequence[str | os.PathLike[str]]) -> Skipped:
    return Skipped(tuple(photo_problems(_names(photos), encoded.errors, len(encoded.results))))


def _first_copies(digests: StrArray) -> BoolArray:
    """Return (M,) whether no earlier one of the readable photos is the same file."""
    first = np.zeros(len(digests), bool)
    first[np.unique(digests.astype(str), return_index=True)[1]] = True
    return first


def _names(photos: Sequence[str | os.PathLike[str]]) -> str:
    return ", ".join(str(os.fspath(each)) for each in photos)
