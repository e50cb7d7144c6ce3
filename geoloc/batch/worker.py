"""Workers, which answer and store parts of a batch: in this process, or in an actor of Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.batch import answers
from geoloc.batch.answers import Failure
from geoloc.batch.items import Item, load
from geoloc.batch.plan import Part
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.witnesses.base import observed
from geoloc.belief.witnesses.options import BY_DEFAULT, WitnessOptions
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.forms import form_of
from geoloc.encoders.pipeline import BATCH, Encoded, batched, encode_batches
from geoloc.errors import FileError, PhotoError
from geoloc.geolocator import Geolocator
from geoloc.guess import Guess
from geoloc.output.formats import Columns, Record
from geoloc.photos import storage
from geoloc.photos.decode import Photo, printable
from geoloc.types import Float32Array


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of a worker since its previous step."""

    photos: int
    failures: list[Failure]


@dataclass(frozen=True)
class Worker:
    """Settings of a worker, small enough to be sent to other machines; models load on first use."""

    bundle: str
    top: int
    within: str | None
    parts: str
    """Folder or address of the stored parts."""
    cache: Path | None
    """Folder of cached embeddings; None for no cache."""
    asked: WitnessOptions = BY_DEFAULT
    """Which witnesses are asked about all photos."""
    form: str | None = None
    """Form of the encoder, the same on all machines; None for the faster one here."""

    @cached_property
    def geolocator(self) -> Geolocator:
        """The bundle, loaded when first used."""
        geolocator = Geolocator.from_bundle(self.bundle, self.form)
        return geolocator.with_witnesses(self.asked.witnesses(geolocator.cells, _reported))

    @property
    def chosen_form(self) -> str:
        """Form of the encoder that is used."""
        return form_of(self.geolocator.bundle.chosen_spec)

    @cached_property
    def constraint(self) -> ConstraintMask | None:
        """The constraint on all photos, as a mask over the bundle's cells."""
        return self.geolocator.restrict(self.within)

    def _read(self, item: Item, /, **options: Any) -> Photo:  # noqa: ANN401
        return observed(load(item, **options), self.geolocator.witnesses)

    def answer(self, parts: Iterable[Part]) -> Iterator[Step]:
        """Answer parts, and yield after each batch; a part is stored before its last step.

        Decoding, encoding and ranking overlap, also between parts. Which photos are ranked together
        depends on the part alone, so that answers are identical to the last bit, however often a
        run was killed.

        Raises:
            GeolocError: the encoder cannot be loaded, or the cache cannot be used.
            OSError: a part cannot be written.
        """
        started: deque[Part] = deque()
        encoder = self.geolocator.encoder
        cache = EmbeddingCache(self.cache, encoder.spec) if self.cache else nullcontext()
        with cache as embeddings:
            batches = encode_batches(encoder, _batches(parts, started), self._read, embeddings)
            current: _PartInProgress | None = None
            for encoded in batches:
                current = current or _PartInProgress(self, started.popleft())
                failures = current.add(encoded)
                if current.complete:
                    path = answers.part_path(self.parts, current.part.key)
                    storage.write(path, answers.encode(current.lines))
                    current = None
                yield Step(len(encoded.results), failures)


def _batches(parts: Iterable[Part], started: deque[Part]) -> Iterator[Sequence[Item]]:
    """Yield photos to encode together; each part is added to `started` before its first batch."""
    for part in parts:
        started.append(part)
        yield from batched(part.items, BATCH)


class _PartInProgress:
    """A part whose photos arrive batch by batch; groups are answered when they are complete."""

    def __init__(self, worker: Worker, part: Part) -> None:
        self.part = part
        self.lines: list[bytes] = []
        self._worker = worker
        self._photos: list[Photo | PhotoError] = []
        self._embeddings: list[Float32Array] = []
        self._photos_done = self._groups_done = 0

    @property
    def complete(self) -> bool:
        """Whether every group is answered."""
        return self._photos_done == len(self.part.items)

    def add(self, encoded: Encoded) -> list[Failure]:
        """Add the next photos and answer the groups that are complete now; returns the failures."""
        self._photos += encoded.results
        self._embeddings += list(encoded.embeddings)
        sizes = self.part.sizes[self._groups_done :]
        ends = np.cumsum(sizes, dtype=np.intp)
        complete = int(np.searchsorted(ends, len(self._photos), side="right"))
        count = int(ends[complete - 1]) if complete else 0
        items = self.part.items[self._photos_done : self._photos_done + count]
        photos, self._photos = self._photos[:count], self._photos[count:]
        groups = _split(list(zip(items, photos, strict=True)), sizes[:complete])
        readable = [[(i, p) for i, p in each if isinstance(p, Photo)] for each in groups]
        number = sum(map(len, readable))
        embeddings, self._embeddings = self._embeddings[:number], self._embeddings[number:]
        failures = [_failure(i, p) for i, p in zip(items, photos, strict=True)
                    if isinstance(p, PhotoError)]  # fmt: skip
        self.lines += map(answers.line, failures)
        self._answer(readable, embeddings, self._groups_done)
        self._photos_done += count
        self._groups_done += complete
        return failures

    def _answer(
        self, groups: list[list[tuple[Item, Photo]]], embeddings: list[Float32Array], first: int
    ) -> None:
        """Answer groups of readable photos, and add a line for each.

        Args:
            groups: may be empty, if none of their photos is readable.
            embeddings: (D,) of each readable photo, in order.
            first: number of the first group in the part.
        """
        nonempty = [number for number, each in enumerate(groups) if each]
        if not nonempty:
            return
        locator, top = self._worker.geolocator, self._worker.top
        constraint = self._worker.constraint
        stacked = np.stack(embeddings)
        groups = [groups[number] for number in nonempty]
        photos = [[photo for _, photo in each] for each in groups]
        if self.part.names is None:
            guesses = locator.guess(stacked, [each for (each,) in photos], top, constraint)
        else:
            guesses = locator.guess_together(stacked, photos, top, constraint)
            names = [self.part.names[first + number] for number in nonempty]
            guesses = [_rename(guess, name) for guess, name in zip(guesses, names, strict=True)]
        for guess, members in zip(guesses, groups, strict=True):
            items = [item for item, _ in members]
            record = Record(guess, _common_columns(items), items[0].source)
            self.lines.append(answers.line(record))


def _split(
    pairs: list[tuple[Item, Photo | PhotoError]], sizes: list[int]
) -> list[list[tuple[Item, Photo | PhotoError]]]:
    """Split a list into consecutive groups."""
    remaining = iter(pairs)
    return [[next(remaining) for _ in range(size)] for size in sizes]


def _rename(guess: Guess, name: str | None) -> Guess:
    """Return the answer for a group under the name of the group."""
    return guess if name is None else replace(guess, photo=printable(name))


def _common_columns(items: list[Item]) -> Columns:
    """Return the columns that have the same value for all photos."""
    first = items[0].columns
    return {
        name: value
        for name, value in first.items()
        if all(name in item.columns and item.columns[name] == value for item in items)
    }


def _failure(item: Item, error: PhotoError) -> Failure:
    return Failure(printable(item.name), str(error), item.columns, isinstance(error, FileError))


def _reported(line: str) -> None:
    """Take a problem that the run has reported before its first part."""
