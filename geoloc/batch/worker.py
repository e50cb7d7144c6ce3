"""Answers parts of a batch and keeps them: here, and in every actor of a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from geoloc.batch import answers
from geoloc.batch.answers import Failure
from geoloc.batch.items import Item, load
from geoloc.batch.plan import Part
from geoloc.belief.fusion import ConstraintMask
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import BATCH, Encoded, batched, encode_batches, prefetch
from geoloc.errors import FileError, PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.output.formats import Record
from geoloc.photos import storage
from geoloc.photos.decode import Photo, printable
from geoloc.types import Float32Array


@dataclass(frozen=True, slots=True)
class Step:
    """How far a worker has come."""

    photos: int
    failures: list[Failure]


@dataclass(frozen=True)
class Worker:
    """What it takes to answer parts; small, so that it can be sent to other machines."""

    bundle: str
    top: int
    within: str | None
    parts: str
    """Folder, or address, that keeps them."""
    cache: Path | None
    """Folder of embeddings kept between runs; None for none."""

    @cached_property
    def geolocator(self) -> Geolocator:
        """Loaded when first needed."""
        return Geolocator.from_bundle(self.bundle)

    @cached_property
    def constraint(self) -> ConstraintMask | None:
        """The constraint on all photos, as a mask over the bundle's cells."""
        return self.geolocator.restrict(self.within)

    def answer(self, parts: Iterable[Part]) -> Iterator[Step]:
        """Answer parts; each is kept when the last of its steps is given.

        Photos are decoded while others are encoded, and encoded while others are ranked, across
        the borders of parts. What is ranked together depends on the part alone, so that answers
        are the same, to the last bit, however often a run was killed.

        Raises:
            GeolocError: the encoder cannot be loaded, or the cache cannot be used.
            OSError: a part cannot be written.
        """
        begun: deque[Part] = deque()
        encoder = self.geolocator.encoder
        cache = EmbeddingCache(self.cache, encoder.spec) if self.cache else nullcontext()
        with cache as kept:
            batches = encode_batches(encoder, _batches(parts, begun), load, kept)
            waiting: _Answering | None = None
            for encoded in prefetch(batches):
                waiting = waiting or _Answering(self, begun.popleft())
                failures = waiting.add(encoded)
                if waiting.complete:
                    place = answers.place(self.parts, waiting.part.key)
                    storage.write(place, answers.encode(waiting.lines))
                    waiting = None
                yield Step(len(encoded.results), failures)


def _batches(parts: Iterable[Part], begun: deque[Part]) -> Iterator[Sequence[Item]]:
    """Photos that are encoded together; each part is noted before its first batch."""
    for part in parts:
        begun.append(part)
        yield from batched(part.items, BATCH)


class _Answering:
    """A part on the way."""

    def __init__(self, worker: Worker, part: Part) -> None:
        self.part = part
        self.lines: list[bytes] = []
        self._worker = worker
        self._photos: list[Photo | PhotoError] = []
        self._vectors: list[Float32Array] = []
        self._done = self._ranked = 0

    @property
    def complete(self) -> bool:
        """Whether every photo is answered."""
        return self._done == len(self.part.items)

    def add(self, encoded: Encoded) -> list[Failure]:
        """The next photos; whoever now has all its photos is answered. Returns what failed."""
        self._photos += encoded.results
        self._vectors += list(encoded.embeddings)
        sizes = self.part.sizes[self._ranked :]
        ends = np.cumsum(sizes, dtype=np.intp)
        whole = int(np.searchsorted(ends, len(self._photos), side="right"))
        count = int(ends[whole - 1]) if whole else 0
        items = self.part.items[self._done : self._done + count]
        photos, self._photos = self._photos[:count], self._photos[count:]
        groups = _divided(list(zip(items, photos, strict=True)), sizes[:whole])
        readable = [[(i, p) for i, p in each if isinstance(p, Photo)] for each in groups]
        number = sum(map(len, readable))
        vectors, self._vectors = self._vectors[:number], self._vectors[number:]
        failures = [_failure(i, p) for i, p in zip(items, photos, strict=True)
                    if isinstance(p, PhotoError)]  # fmt: skip
        self.lines += map(answers.line, failures)
        self._answer(readable, vectors, self._ranked)
        self._done, self._ranked = self._done + count, self._ranked + whole
        return failures

    def _answer(
        self, groups: list[list[tuple[Item, Photo]]], vectors: list[Float32Array], first: int
    ) -> None:
        """Rank groups of readable photos, the first of which has this number in the part."""
        there = [number for number, each in enumerate(groups) if each]
        if not there:
            return
        locator, top = self._worker.geolocator, self._worker.top
        constraint = self._worker.constraint
        embeddings = np.stack(vectors)
        groups = [groups[number] for number in there]
        photos = [[photo for _, photo in each] for each in groups]
        if self.part.names is None:
            guesses = locator.guess(embeddings, [each for (each,) in photos], top, constraint)
        else:
            guesses = locator.guess_together(embeddings, photos, top, constraint)
            names = [self.part.names[first + number] for number in there]
            guesses = [_called(guess, name) for guess, name in zip(guesses, names, strict=True)]
        for guess, members in zip(guesses, groups, strict=True):
            items = [item for item, _ in members]
            self.lines.append(answers.line(Record(guess, _shared(items), items[0].source)))


def _divided(
    pairs: list[tuple[Item, Photo | PhotoError]], sizes: list[int]
) -> list[list[tuple[Item, Photo | PhotoError]]]:
    remaining = iter(pairs)
    return [[next(remaining) for _ in range(size)] for size in sizes]


def _called(guess: Guess, name: str | None) -> Guess:
    """A group goes by what its photos have in common."""
    return guess if name is None else replace(guess, photo=printable(name))


def _shared(items: list[Item]) -> dict[str, str | int | float | bool | None]:
    """Columns that are the same for all."""
    first = items[0].columns
    return {
        name: value
        for name, value in first.items()
        if all(name in item.columns and item.columns[name] == value for item in items)
    }


def _failure(item: Item, error: PhotoError) -> Failure:
    return Failure(printable(item.name), str(error), item.columns, isinstance(error, FileError))
