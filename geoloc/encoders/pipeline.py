"""Photos in, embeddings out, in order: decoding overlaps encoding, memory stays bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.cache import EmbeddingCache
from geoloc.errors import PhotoError
from geoloc.photos import decode
from geoloc.types import Float32Array

BATCH = 32

AHEAD = 3
"""Batches that wait for the encoder at most."""

Item = TypeVar("Item")
Prepared = tuple[decode.Photo | PhotoError, Float32Array | None]
"""A photo without its picture, and what the network is fed: None if it is not needed."""


class Load(Protocol):
    """Reads a photo from whatever it is kept in; see `geoloc.photos.decode.load`."""

    def __call__(
        self,
        source: Any,  # noqa: ANN401
        /,
        *,
        min_side: int | None = None,
        known: Container[str] = (),
    ) -> decode.Photo:
        """Raises PhotoError."""
        ...


@dataclass(frozen=True, eq=False)
class Encoded:
    """A batch of photos that could be read, and those that could not."""

    photos: list[decode.Photo | PhotoError]
    """In the order they came; pixels are released, only what the file says is kept."""
    embeddings: Float32Array
    """(number of readable photos, D), in their order."""


def encode(
    encoder: ImageEncoder,
    sources: Iterable[Any],
    batch: int = BATCH,
    load: Load = decode.load,
    cache: EmbeddingCache | None = None,
) -> Iterator[Encoded]:
    """Decode on threads and encode batch by batch, while the next batches are being decoded.

    Args:
        encoder: the network.
        sources: what `load` takes; for `photo.load` paths, bytes, open files or PIL images.
        batch: photos that are encoded together.
        load: reads one photo, or raises PhotoError.
        cache: embeddings that are there are neither decoded nor encoded, the others are added.
    """
    yield from encode_batches(encoder, batched(sources, batch), load, cache)


def encode_batches(
    encoder: ImageEncoder,
    batches: Iterable[Sequence[Any]],
    load: Load = decode.load,
    cache: EmbeddingCache | None = None,
) -> Iterator[Encoded]:
    """Like `encode`, with batches as the caller divides them."""
    prepare = partial(_prepare, encoder, load, () if cache is None else cache)
    remaining = iter(batches)
    waiting: deque[list[Future[Prepared]]] = deque()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        while True:
            for sources in islice(remaining, AHEAD - len(waiting)):
                waiting.append([pool.submit(prepare, each) for each in sources])
            if not waiting:
                return
            yield _embed(encoder, [future.result() for future in waiting.popleft()], cache)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(
    encoder: ImageEncoder,
    load: Load,
    known: Container[str],
    source: Any,  # noqa: ANN401
) -> Prepared:
    pixels = encoder.spec.preprocessing
    try:
        loaded = load(source, min_side=pixels.min_side, known=known)
    except PhotoError as error:
        return error, None
    if loaded.image is decode.NO_PIXELS:
        return loaded, None
    return replace(loaded, image=decode.NO_PIXELS), pixels(loaded.image)


def _embed(
    encoder: ImageEncoder, prepared: Sequence[Prepared], cache: EmbeddingCache | None
) -> Encoded:
    photos = [loaded for loaded, _ in prepared]
    fresh = [pixels for _, pixels in prepared if pixels is not None]
    embeddings = np.empty((0, encoder.spec.dim), np.float32)
    if fresh:
        embeddings = encoder.embed(np.stack(fresh))
    if cache is not None:
        readable = [
            (each.sha256, pixels) for each, pixels in prepared if isinstance(each, decode.Photo)
        ]
        cache.add([digest for digest, pixels in readable if pixels is not None], embeddings)
        embeddings = cache.get([digest for digest, _ in readable])
    return Encoded(photos, embeddings)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items; the last may be shorter."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each computed while the one before it is used."""
    with ThreadPoolExecutor(1) as worker:
        following = worker.submit(lambda: list(islice(items, 1)))
        while current := following.result():
            following = worker.submit(lambda: list(islice(items, 1)))
            yield from current
