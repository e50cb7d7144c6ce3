"""Encode photos in order: decoding overlaps encoding, and memory stays bounded."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.borders import without_borders
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.signatures import signature
from geoloc.errors import PhotoError
from geoloc.guess import Exif
from geoloc.io import machine
from geoloc.photos import decode
from geoloc.types import Float32Array, IndexArray, UInt8Array

BATCH = 32
"""Photos in one call of the encoder."""

QUEUED_BATCHES = 3
"""Upper limit on batches that are decoded or encoded before the caller takes them."""

ENCODED_TOGETHER = 2
"""Batches that are encoded side by side, so that no core waits while the last photos of one are."""

Item = TypeVar("Item")
Prepared = tuple[decode.Photo | PhotoError, UInt8Array | None]
"""A photo without its pixels, and the photo resized for the network; None if it is not needed."""


class Load(Protocol):
    """Reads one photo from its source; see `geoloc.photos.decode.load`."""

    def __call__(
        self,
        source: Any,  # noqa: ANN401
        /,
        *,
        min_side: int | None = None,
        skip_pixels: Container[str] = (),
    ) -> decode.Photo:
        """Return the decoded photo; raise PhotoError if it cannot be read."""
        ...


@dataclass(frozen=True, eq=False)
class Encoded:
    """N photos after decoding and encoding, with an embedding of each readable one."""

    results: list[decode.Photo | PhotoError]
    """(N,) in the order of the sources; pixels are released, metadata is kept."""
    embeddings: Float32Array
    """(M, D) of the M readable photos, in the order of the sources."""

    @property
    def photos(self) -> list[decode.Photo]:
        """The M readable photos."""
        return [each for each in self.results if isinstance(each, decode.Photo)]

    @property
    def errors(self) -> list[PhotoError]:
        """The N - M errors of the unreadable photos."""
        return [each for each in self.results if isinstance(each, PhotoError)]

    @property
    def index(self) -> IndexArray:
        """(M,) positions of the readable photos among the N sources."""
        return np.flatnonzero([isinstance(each, decode.Photo) for each in self.results])


def encode(
    encoder: ImageEncoder,
    sources: Iterable[Any],
    batch: int = BATCH,
    load: Load = decode.load,
    cache: EmbeddingCache | None = None,
) -> Iterator[Encoded]:
    """Decode photos on threads and encode them batch by batch.

    The next batches are decoded while one is encoded.

    Args:
        encoder: the network.
        sources: whatever `load` takes; for `decode.load` see `decode.PhotoSource`.
        batch: photos that are encoded together.
        load: reads one photo, or raises PhotoError.
        cache: embeddings it holds are neither decoded nor encoded; the others are added to it.

    Yields:
        One `Encoded` for each batch, in the order of the sources.
    """
    yield from encode_batches(encoder, batched(sources, batch), load, cache)


def encode_all(
    encoder: ImageEncoder,
    sources: Iterable[Any],
    load: Load = decode.load,
    cache: EmbeddingCache | None = None,
    progress: Callable[[int], None] = lambda done: None,
    *,
    strict: bool = False,
) -> Encoded:
    """Encode all photos; the embeddings have to fit in memory, the photos have not.

    Args:
        encoder: the network.
        sources: as for `encode`.
        load: as for `encode`.
        cache: as for `encode`.
        progress: called after each batch with its number of photos.
        strict: raise the first PhotoError instead of collecting errors.

    Raises:
        PhotoError: a photo cannot be read, and `strict` is set.
    """
    results: list[decode.Photo | PhotoError] = []
    embeddings = [np.empty((0, encoder.spec.dim), np.float32)]
    for encoded in encode(encoder, sources, load=load, cache=cache):
        if strict and encoded.errors:
            raise encoded.errors[0]
        results += encoded.results
        embeddings.append(encoded.embeddings)
        progress(len(encoded.results))
    return Encoded(results, np.concatenate(embeddings))


def encode_batches(
    encoder: ImageEncoder,
    batches: Iterable[Sequence[Any]],
    load: Load = decode.load,
    cache: EmbeddingCache | None = None,
) -> Iterator[Encoded]:
    """Encode photos in the batches that the caller gives, ahead of the caller; see `encode`."""
    prepare = functools.partial(_prepare, encoder, load, () if cache is None else cache)
    remaining = iter(batches)
    waiting: deque[_Batch] = deque()
    decoders = _decoders(os.getpid())
    with ThreadPoolExecutor(ENCODED_TOGETHER, thread_name_prefix="encode") as threads:
        try:
            while True:
                for sources in islice(remaining, QUEUED_BATCHES - len(waiting)):
                    prepared = [decoders.submit(prepare, each) for each in sources]
                    waiting.append(_Batch(prepared, functools.partial(_embed, encoder, cache)))
                if not waiting:
                    return
                if len(waiting) > 1:  # a single one needs no thread
                    for each in waiting:
                        each.start(threads)
                encoded = waiting[0].result()
                waiting.popleft()
                yield encoded
        finally:
            # sources are not read after the end
            wait([future for each in waiting for future in each.cancel()])


class _Batch:
    """A batch that is decoded, and encoded on a thread once it is started."""

    def __init__(
        self,
        prepared: Sequence[Future[Prepared]],
        embed: Callable[[Sequence[Future[Prepared]]], Encoded],
    ) -> None:
        self.prepared = prepared
        self._embed = embed
        self._encoded: Future[Encoded] | None = None

    def start(self, threads: ThreadPoolExecutor) -> None:
        """Encode it on one of the threads, once all its photos are decoded."""
        self._encoded = self._encoded or threads.submit(self._embed, self.prepared)

    def result(self) -> Encoded:
        """Wait for the batch; one that was not started is encoded by the caller."""
        return self._encoded.result() if self._encoded else self._embed(self.prepared)

    def cancel(self) -> list[Future[Prepared]]:
        """Leave out what was not begun; return the photos that are being decoded."""
        if self._encoded is not None:
            self._encoded.cancel()
        return [future for future in self.prepared if not future.cancel()]


@functools.cache
def _decoders(process: int) -> ThreadPoolExecutor:
    """Return the threads that decode, of all requests of a process; a fork has none of them."""
    return ThreadPoolExecutor(machine.cores(), thread_name_prefix=f"decode-{process}")


def _prepare(
    encoder: ImageEncoder,
    load: Load,
    skip_pixels: Container[str],
    source: Any,  # noqa: ANN401
) -> Prepared:
    pixels = encoder.spec.preprocessing
    try:
        loaded = load(source, min_side=pixels.min_side, skip_pixels=skip_pixels)
    except PhotoError as error:
        return error, None
    if loaded.image is decode.NO_PIXELS:
        return replace(loaded, content=None), None
    values = pixels.square(without_borders(loaded.image))
    small = signature(pixels.picture(values), pixels.std)
    kept = replace(loaded, image=decode.NO_PIXELS, content=None, signature=small)
    return kept, values


def _embed(
    encoder: ImageEncoder, cache: EmbeddingCache | None, prepared: Sequence[Future[Prepared]]
) -> Encoded:
    """Wait for the photos of a batch, and encode them."""
    ready = [future.result() for future in prepared]
    results = [loaded for loaded, _ in ready]
    fresh = [pixels for _, pixels in ready if pixels is not None]
    embeddings = np.empty((0, encoder.spec.dim), np.float32)
    if fresh:
        embeddings = encode_pixels(encoder, np.stack(fresh))
    if cache is not None:
        photos = [each for each in results if isinstance(each, decode.Photo)]
        new = [(p.sha256, p.signature) for p in photos if p.signature is not None]
        cache.add([digest for digest, _ in new], embeddings, [small for _, small in new])
        digests = [each.sha256 for each in photos]
        embeddings = cache.get(digests)
        known = dict(zip(digests, cache.signatures(digests), strict=True))
        results = [
            replace(each, signature=known[each.sha256]) if isinstance(each, decode.Photo) else each
            for each in results
        ]
    return Encoded(results, embeddings)


def encode_pixels(encoder: ImageEncoder, pixels: UInt8Array) -> Float32Array:
    """Return the embeddings of resized photos, which are normalised unless the network does it."""
    if getattr(encoder, "takes_bytes", False):
        return encoder.embed(pixels)  # type: ignore[arg-type]  # `takes_bytes`
    return encoder.embed(encoder.spec.preprocessing.normalised(pixels))


def unnamed_photos(count: int) -> list[decode.Photo]:
    """Return placeholders for photos of which only the embeddings are kept."""
    return [decode.Photo(f"embedding {row}", decode.NO_PIXELS, Exif(), "") for row in range(count)]


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Split items into lists of `size`; the last may be shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
