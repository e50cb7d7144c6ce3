"""Embed once: photos to vectors, cached by content hash and encoder fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import encode
from geoloc.errors import PhotoError
from geoloc.types import Float32Array, IndexArray


def embed_files(
    files: Sequence[str],
    encoder: ImageEncoder,
    cache_folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Float32Array, IndexArray, list[str]]:
    """Embed photos, reading from the cache what it has.

    Args:
        files: N paths.
        encoder: the network.
        cache_folder: where embeddings are kept between runs.
        progress: called with how many more photos are done.

    Returns:
        (M, D) vectors, (M,) which of the files they belong to, and a line for each unreadable file.

    Raises:
        CacheError: the cache cannot be used.
    """
    vectors = [np.empty((0, encoder.spec.dim), np.float32)]
    readable: list[bool] = []
    problems: list[str] = []
    with EmbeddingCache(cache_folder, encoder.spec) as cache:
        for encoded in encode(encoder, files, cache=cache):
            vectors.append(encoded.embeddings)
            failed = [item for item in encoded.photos if isinstance(item, PhotoError)]
            readable += [not isinstance(item, PhotoError) for item in encoded.photos]
            problems += map(str, failed)
            progress(len(encoded.photos))
    return np.concatenate(vectors), np.flatnonzero(readable), problems
