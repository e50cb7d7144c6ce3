"""The photos of a pack as a table: all that it is made again from when photos come or go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geocells.columns import numbers, objects, read_parquet, to_numbers, to_strings
from geoloc.encoders.signatures import SIDE
from geoloc.errors import BundleError
from geoloc.types import BoolArray, StrArray
from training.data.manifest import Manifest, Skipped
from training.embed.library import Library

_TEXTS = ("group", "collection", "source", "licence", "author", "folder")


def write_photos(path: Path, library: Library) -> None:
    """Write the photos of a pack. Of their paths only the names of the files are kept."""
    manifest, vectors = library.manifest, library.embeddings.astype(np.float16)
    columns = {
        "sha256": to_strings(map(str, library.sha256)),
        "file": to_strings(Path(str(file)).name for file in manifest.file),
        "lat": to_numbers(manifest.latlon[:, 0], pa.float64()),
        "lon": to_numbers(manifest.latlon[:, 1], pa.float64()),
        "precision_km": to_numbers(manifest.precision_km.astype(np.float64), pa.float64()),
        **{name: to_strings(map(str, getattr(manifest, name))) for name in _TEXTS},
        "embedding": fixed(vectors, vectors.shape[1] * 2),
        "signature": fixed(library.signatures, SIDE * SIDE),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_photos(path: Path) -> Library:
    """Read a file that `write_photos` wrote.

    Raises:
        BundleError: it is damaged.
    """
    try:
        table = read_parquet(path)
        texts = {name: objects(table[name]) for name in ("file", *_TEXTS)}
        manifest = Manifest(
            latlon=np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=1),
            precision_km=np.array(numbers(table["precision_km"])),
            **texts,
        )
        vectors = _bytes(table["embedding"]).view(np.float16).astype(np.float32)
        signatures = _bytes(table["signature"]).reshape(-1, SIDE, SIDE)
        return Library(manifest, vectors, signatures, Skipped(), objects(table["sha256"]))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"{path}: damaged ({reason}); learn the bundle again") from error


def joined(parts: Sequence[Library]) -> Library:
    """Return the photos of several libraries, each content once."""
    digests = np.concatenate([part.sha256 for part in parts])
    manifests = [part.manifest for part in parts]
    columns = {
        name: np.concatenate([getattr(each, name) for each in manifests])
        for name in ("file", "latlon", "precision_km", *_TEXTS)
    }
    whole = Library(
        Manifest(**columns),
        np.concatenate([part.embeddings for part in parts]),
        np.concatenate([part.signatures for part in parts]),
        parts[-1].skipped,
        digests,
    )
    first = np.sort(np.unique(digests.astype(str), return_index=True)[1])
    return whole.take(first)


def known(library: Library, digests: StrArray) -> BoolArray:
    """Return which photos (N,) of a library have one of these digests."""
    return np.isin(library.sha256.astype(str), digests.astype(str))


def fixed(values: np.ndarray, size: int) -> pa.Array:
    """Return rows of numbers as a column of bytes, `size` in each row."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values).tobytes())]
    return pa.Array.from_buffers(pa.binary(size), len(values), buffers)


def _bytes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of bytes of one size as an array (N, size)."""
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(len(column), -1).copy()
