"""Micro-batching: concurrent calls of a function are computed together in one call."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.types import Float32Array

Item = TypeVar("Item")
Result = TypeVar("Result")

Pixels = Any
"""(N, 3, size, size): normalised numbers, or bytes for an encoder that takes them."""

MAX_BATCH_PHOTOS = 32
"""Photos in one call of the encoder. Larger batches raise latency without raising throughput."""


@dataclass(eq=False)
class _Pending(Generic[Item, Result]):
    """One queued call."""

    item: Item
    size: int
    turn: threading.Event = field(default_factory=threading.Event)
    """Set when the call is answered, or when it is the first one and has to run the next batch."""
    done: bool = False
    result: Result | None = None
    error: BaseException | None = None


class MicroBatcher(Generic[Item, Result]):
    """A thread-safe function of one item that is computed for several queued items at once.

    The first idle caller runs one batch for all queued callers, and then wakes the next one. No
    worker thread is needed, and no call is delayed to wait for others.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        size: Callable[[Item], int] = lambda item: 1,
        max_size: int = MAX_BATCH_PHOTOS,
    ) -> None:
        """Wrap a batch function.

        Args:
            compute: returns one result per item, in order. If it raises, every caller of the batch
                gets the error.
            size: the size of an item, in the unit of `max_size`.
            max_size: the largest batch. A single item may be larger.
        """
        self._compute, self._size, self._max_size = compute, size, max_size
        self._queue: deque[_Pending[Item, Result]] = deque()
        self._lock = threading.Lock()
        self._computing = False

    def __call__(self, item: Item) -> Result:
        """Return the result for one item; blocks until it is computed."""
        pending: _Pending[Item, Result] = _Pending(item, self._size(item))
        with self._lock:
            self._queue.append(pending)
            waits, self._computing = self._computing, True
        if waits:
            pending.turn.wait()
        if not pending.done:  # the first one of the queue
            self._run(self._next_batch())
        if pending.error is not None:
            raise pending.error
        return pending.result  # type: ignore[return-value]

    def _next_batch(self) -> list[_Pending[Item, Result]]:
        with self._lock:
            batch = [self._queue.popleft()]
            free = self._max_size - batch[0].size
            while self._queue and self._queue[0].size <= free:
                batch.append(self._queue.popleft())
                free -= batch[-1].size
            return batch

    def _run(self, batch: list[_Pending[Item, Result]]) -> None:
        """Compute a batch, whose first call is that of this thread, and wake who waits for it."""
        try:
            results = self._compute([pending.item for pending in batch])
            for pending, result in zip(batch, results, strict=True):
                pending.result = result
        except BaseException as error:
            for pending in batch:
                pending.error = error
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._computing = following is not None
        if following is not None:
            following.turn.set()
        for pending in batch:
            pending.done = True
            pending.turn.set()


class BatchingEncoder:
    """An `ImageEncoder` for many threads: concurrent calls are encoded in one batch."""

    def __init__(self, inner: ImageEncoder, max_photos: int = MAX_BATCH_PHOTOS) -> None:
        """Wrap an encoder; its batches hold at most `max_photos`, unless one call brings more."""
        self.spec = inner.spec
        self.inner = inner
        self.takes_bytes = getattr(inner, "takes_bytes", False)
        self._batcher: MicroBatcher[Pixels, Float32Array] = MicroBatcher(
            self._embed_all, len, max_photos
        )

    def embed(self, pixels: Pixels) -> Float32Array:
        """Return embeddings (N, D) of preprocessed photos; see `ImageEncoder.embed`."""
        return self._batcher(pixels)

    def _embed_all(self, inputs: Sequence[Pixels]) -> Sequence[Float32Array]:
        embeddings = self.inner.embed(inputs[0] if len(inputs) == 1 else np.concatenate(inputs))
        return np.split(embeddings, np.cumsum([len(pixels) for pixels in inputs])[:-1])
