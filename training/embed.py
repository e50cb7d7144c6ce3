"""Embed once: photos to vectors, cached by content hash and encoder fingerprint."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

from geoloc.encoder import FloatArray, ImageEncoder
from geoloc.errors import PhotoError
from geoloc.photo import Photo
from geoloc.stream import encode

SHARD = 1024
"""Photos in one file of the cache: what is lost at most when the machine stops."""


def default_cache() -> Path:
    """The user's cache folder, by the XDG convention."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "planet-geoloc"


class EmbeddingCache:
    """Vectors of one encoder on disk, keyed by the sha256 of the photo files."""

    def __init__(self, folder: Path, encoder: ImageEncoder) -> None:
        """Open or start the cache of an encoder below `folder`."""
        self._folder = folder / "embeddings" / encoder.spec.fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._rows: dict[bytes, tuple[int, int]] = {}
        self._vectors: list[npt.NDArray[np.float16]] = []
        for shard in sorted(self._folder.glob("*.safetensors")):
            tensors = load_file(shard)
            self._remember([row.tobytes() for row in tensors["sha256"]], tensors["embedding"])

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._rows

    def get(self, digests: Sequence[bytes]) -> FloatArray:
        """Vectors (N, D) of photos that are in the cache."""
        rows = [self._vectors[shard][row] for shard, row in (self._rows[d] for d in digests)]
        return np.asarray(rows, np.float32)

    def add(self, digests: list[bytes], vectors: npt.NDArray[np.float16]) -> None:
        """Write a shard: to a temporary name, then renamed."""
        keys = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1)
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
        partial = self._folder / f"{name}.{os.getpid()}.part"
        partial.write_bytes(save({"sha256": keys, "embedding": np.ascontiguousarray(vectors)}))
        partial.replace(self._folder / f"{name}.safetensors")
        self._remember(digests, vectors)

    def _remember(self, digests: list[bytes], vectors: npt.NDArray[np.float16]) -> None:
        self._vectors.append(vectors)
        shard = len(self._vectors) - 1
        self._rows.update({digest: (shard, row) for row, digest in enumerate(digests)})


def embed_files(
    files: Sequence[str],
    encoder: ImageEncoder,
    cache_folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[FloatArray, npt.NDArray[np.intp], list[str]]:
    """Embed photos, reading from the cache what it has.

    Args:
        files: N paths.
        encoder: the network.
        cache_folder: where embeddings are kept between runs.
        progress: called with how many more photos are done.

    Returns:
        (M, D) vectors, (M,) which of the files they belong to, and a line for each unreadable file.
    """
    cache = EmbeddingCache(cache_folder, encoder)
    digest: list[bytes | None] = [_digest(file) for file in files]
    missing = {d: i for i, d in enumerate(digest) if d is not None and d not in cache}
    unknown = sorted([*missing.values(), *(i for i, d in enumerate(digest) if d is None)])
    progress(len(files) - len(unknown))
    problems: list[str] = []
    for hashes, vectors in _shards(encoder, [files[i] for i in unknown], problems, progress):
        cache.add(hashes, vectors)
    kept = [i for i, d in enumerate(digest) if d is not None and d in cache]
    if not kept:
        return np.empty((0, encoder.spec.dim), np.float32), np.array([], np.intp), problems
    vectors = cache.get([d for i in kept if (d := digest[i]) is not None])
    return vectors, np.array(kept, np.intp), problems


def _shards(
    encoder: ImageEncoder,
    files: Sequence[str],
    problems: list[str],
    progress: Callable[[int], None],
) -> Iterator[tuple[list[bytes], npt.NDArray[np.float16]]]:
    """Encode files and hand them out in shards of about SHARD photos."""
    hashes: list[bytes] = []
    vectors: list[npt.NDArray[np.float16]] = []
    for encoded in encode(encoder, files):
        readable = [item for item in encoded.photos if isinstance(item, Photo)]
        problems += [str(item) for item in encoded.photos if isinstance(item, PhotoError)]
        hashes += [bytes.fromhex(photo.sha256) for photo in readable]
        vectors.append(encoded.embeddings.astype(np.float16))
        progress(len(encoded.photos))
        if len(hashes) >= SHARD:
            yield hashes, np.concatenate(vectors)
            hashes, vectors = [], []
    if hashes:
        yield hashes, np.concatenate(vectors)


def _digest(file: str) -> bytes | None:
    """Content hash, or None where the file cannot be read: `encode` will say why."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return None
