"""Work that many threads ask for, done together: one call for everything that waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from geoloc.encoders.base import ImageEncoder
from geoloc.types import Float32Array

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

MOST_TOGETHER = 32
"""Photos in one call of the encoder; more make it no faster, and everybody wait."""


@dataclass(eq=False)
class _Waiting(Generic[Asked, Answered]):
    item: Asked
    size: int
    done: bool = False
    answer: Answered | None = None
    error: BaseException | None = None


class Together(Generic[Asked, Answered]):
    """A function of one item that many threads may call, computed for several items at once.

    Whoever comes while nothing is computed does it for everybody who waits; there is no thread to
    start or to stop, and nobody waits for company.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Asked]], Sequence[Answered]],
        size: Callable[[Asked], int] = lambda item: 1,
        most: int = MOST_TOGETHER,
    ) -> None:
        """Take what computes.

        Args:
            compute: items to their answers, in order; an error is everybody's.
            size: how much an item counts.
            most: how much is computed at once; a single item may be larger.
        """
        self._compute, self._size, self._most = compute, size, most
        self._waiting: deque[_Waiting[Asked, Answered]] = deque()
        self._changed = threading.Condition()
        self._computing = False

    def __call__(self, item: Asked) -> Answered:
        """The answer to one item; blocks until it is there."""
        mine: _Waiting[Asked, Answered] = _Waiting(item, self._size(item))
        with self._changed:
            self._waiting.append(mine)
        while group := self._my_turn(mine):
            self._answer(group)
        if mine.error is not None:
            raise mine.error
        return mine.answer  # type: ignore[return-value]

    def _my_turn(self, mine: _Waiting[Asked, Answered]) -> list[_Waiting[Asked, Answered]]:
        """Wait until the answer is there (nothing to do) or until a group has to be computed."""
        with self._changed:
            self._changed.wait_for(lambda: mine.done or not self._computing)
            if mine.done:
                return []
            self._computing = True
            group = [self._waiting.popleft()]
            room = self._most - group[0].size
            while self._waiting and self._waiting[0].size <= room:
                group.append(self._waiting.popleft())
                room -= group[-1].size
            return group

    def _answer(self, group: list[_Waiting[Asked, Answered]]) -> None:
        try:
            answers = self._compute([waiting.item for waiting in group])
            for waiting, answer in zip(group, answers, strict=True):
                waiting.answer = answer
        except BaseException as error:
            for waiting in group:
                waiting.error = error
        with self._changed:
            for waiting in group:
                waiting.done = True
            self._computing = False
            self._changed.notify_all()


class BatchingEncoder:
    """An `ImageEncoder` for many threads: what they ask for meanwhile is encoded in one call."""

    def __init__(self, inner: ImageEncoder, most: int = MOST_TOGETHER) -> None:
        """Wrap an encoder; `most` photos go into one of its calls."""
        self.spec = inner.spec
        self._inner = inner
        self._together: Together[Float32Array, Float32Array] = Together(self._embed_all, len, most)

    def embed(self, pixels: Float32Array) -> Float32Array:
        """See `ImageEncoder.embed`."""
        return self._together(pixels)

    def _embed_all(self, inputs: Sequence[Float32Array]) -> Sequence[Float32Array]:
        embeddings = self._inner.embed(inputs[0] if len(inputs) == 1 else np.concatenate(inputs))
        return np.split(embeddings, np.cumsum([len(pixels) for pixels in inputs])[:-1])
