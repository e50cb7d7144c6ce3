"""Photos in, embeddings out, in order: decoding overlaps encoding, memory stays bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from geoloc import photo
from geoloc.encoder import FloatArray, ImageEncoder
from geoloc.errors import PhotoError

BATCH = 32

Item = TypeVar("Item")


class Load(Protocol):
    """Reads a photo from whatever it is kept in."""

    def __call__(self, source: Any, *, min_side: int | None) -> photo.Photo:  # noqa: ANN401
        """See `geoloc.photo.load`; raises PhotoError."""
        ...


@dataclass(frozen=True, eq=False)
class Encoded:
    """A batch of photos that could be read, and those that could not."""

    photos: list[photo.Photo | PhotoError]
    """In the order they came; pixels are released, only what the file says is kept."""
    embeddings: FloatArray
    """(number of readable photos, D), in their order."""


def encode(
    encoder: ImageEncoder,
    sources: Iterable[Any],
    batch: int = BATCH,
    load: Load = photo.load,
) -> Iterator[Encoded]:
    """Decode on threads and encode batch by batch, while the next batches are being decoded.

    Args:
        encoder: the network.
        sources: what `load` takes; for `photo.load` paths, bytes, open files or PIL images.
        batch: photos that are encoded together.
        load: reads one photo, or raises PhotoError.
    """
    pixels = encoder.spec.preprocessing

    def prepare(source: Any) -> tuple[photo.Photo | PhotoError, FloatArray | None]:  # noqa: ANN401
        try:
            loaded = load(source, min_side=pixels.min_side)
        except PhotoError as error:
            return error, None
        return replace(loaded, image=_NO_PIXELS), pixels(loaded.image)

    remaining = iter(sources)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[tuple[photo.Photo | PhotoError, FloatArray | None]]] = deque()
        while True:
            for source in islice(remaining, 3 * batch - len(waiting)):
                waiting.append(pool.submit(prepare, source))
            if not waiting:
                return
            done = [waiting.popleft().result() for _ in range(min(batch, len(waiting)))]
            ready = [prepared for _, prepared in done if prepared is not None]
            embeddings = (
                encoder.embed(np.stack(ready))
                if ready
                else np.empty((0, encoder.spec.dim), np.float32)
            )
            yield Encoded([loaded for loaded, _ in done], embeddings)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each computed while the one before it is used."""
    with ThreadPoolExecutor(1) as worker:
        following = worker.submit(lambda: list(islice(items, 1)))
        while current := following.result():
            following = worker.submit(lambda: list(islice(items, 1)))
            yield from current


_NO_PIXELS = Image.new("RGB", (1, 1))
