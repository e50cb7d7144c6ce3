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


WAIT_S = 0.005
"""Longest wait for calls that may join a batch. A photo alone costs as much as two together in the
encoder, and as much as four in ranking."""


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

    The first idle caller runs one batch for all queued callers, and then wakes the next one. It
    waits for at most WAIT_S while there are others who may join. No worker thread is needed.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        size: Callable[[Item], int] = lambda item: 1,
        max_size: int = MAX_BATCH_PHOTOS,
        callers: Callable[[], int] = lambda: 0,
    ) -> None:
        """Wrap a batch function.

        Args:
            compute: returns one result per item, in order. If it raises, every caller of the batch
                gets the error.
            size: the size of an item, in the unit of `max_size`.
            max_size: the largest batch. A single item may be larger.
            callers: returns how many there are at present who call, have called or will call.
        """
        self._compute, self._size, self._max_size = compute, size, max_size
        self._queue: deque[_Pending[Item, Result]] = deque()
        self._callers = callers
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._computing = False

    def __call__(self, item: Item) -> Result:
        """Return the result for one item; blocks until it is computed."""
        pending: _Pending[Item, Result] = _Pending(item, self._size(item))
        with self._lock:
            self._queue.append(pending)
            self._arrived.notify()
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
            self._arrived.wait_for(self._nobody_to_wait_for, WAIT_S)
            batch = [self._queue.popleft()]
            free = self._max_size - batch[0].size
            while self._queue and self._queue[0].size <= free:
                batch.append(self._queue.popleft())
                free -= batch[-1].size
            return batch

    def _nobody_to_wait_for(self) -> bool:
        queued = sum(pending.size for pending in self._queue)
        return queued >= self._max_size or len(self._queue) >= self._callers()

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

    def __init__(
        self,
        inner: ImageEncoder,
        max_photos: int = MAX_BATCH_PHOTOS,
        callers: Callable[[], int] = lambda: 0,
    ) -> None:
        """Wrap an encoder; its batches hold at most `max_photos`, unless one call brings more.

        Args:
            inner: the encoder.
            max_photos: in a batch, unless one call brings more.
            callers: see `MicroBatcher`.
        """
        self.spec = inner.spec
        self.inner = inner
        self.takes_bytes = getattr(inner, "takes_bytes", False)
        self._batcher: MicroBatcher[Pixels, Float32Array] = MicroBatcher(
            self._embed_all, len, max_photos, callers
        )

    def embed(self, pixels: Pixels) -> Float32Array:
        """Return embeddings (N, D) of preprocessed photos; see `ImageEncoder.embed`."""
        return self._batcher(pixels)

    def _embed_all(self, inputs: Sequence[Pixels]) -> Sequence[Float32Array]:
        embeddings = self.inner.embed(inputs[0] if len(inputs) == 1 else np.concatenate(inputs))
        return np.split(embeddings, np.cumsum([len(pixels) for pixels in inputs])[:-1])
