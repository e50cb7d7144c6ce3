"""`HeldOut`: photos with rankers that never saw them, the input of every calibration fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int32Array, StrArray

BATCH = 256

IN_COLLECTION_SHARE = 0.5
"""Weight of photos of collections that the model knows, relative to photos of new ones."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """N held-out photos, and R rankers.

    A photo may be there twice: answered by a ranker that knows other photos of its collection, and
    by one that knows none.
    """

    rankers: Sequence[Ranker]
    ranker: IndexArray
    """(N,) the ranker that answers each photo."""
    apart: BoolArray
    """(R, N) whether a ranker may be calibrated on a photo, because no photo that is measured with
    this ranker is linked to it. All photos for a single ranker, which is not measured on them."""
    embeddings: Float32Array
    """(N, D)"""
    latlon: Float64Array
    """(N, 2) degrees."""
    weights: Float32Array
    """(N,)"""
    collection: Int32Array
    """(N,) see `geoloc.belief.background.collection_codes`."""
    place: StrArray
    """(N,) photos of one place have the same name."""
    new: BoolArray
    """(N,) whether the ranker knows no photo of the collection."""

    def __len__(self) -> int:
        return len(self.ranker)

    def batches(self) -> Iterator[tuple[Ranker, IndexArray]]:
        """Yield each ranker with its rows, BATCH at a time."""
        for number, ranker in enumerate(self.rankers):
            own = np.flatnonzero(self.ranker == number)
            for start in range(0, len(own), BATCH):
                yield ranker, own[start : start + BATCH]

    def take(self, rows: IndexArray) -> HeldOut:
        """Return the same rankers with some of the photos."""
        return HeldOut(
            self.rankers,
            self.ranker[rows],
            self.apart[:, rows],
            *(
                column[rows]
                for column in (
                    self.embeddings,
                    self.latlon,
                    self.weights,
                    self.collection,
                    self.place,
                    self.new,
                )
            ),
        )

    def sample(self, most: int, seed: int) -> IndexArray:
        """Return at most so many rows, ascending, drawn with their weights."""
        if len(self) <= most:
            return np.arange(len(self))
        share = self.weights / self.weights.sum(dtype=np.float64)
        drawn = np.random.default_rng(seed).choice(len(self), most, replace=False, p=share)
        return np.sort(drawn)


def single(
    ranker: Ranker,
    embeddings: Float32Array,
    latlon: Float64Array,
    weights: Float32Array,
    collection: Int32Array,
    place: StrArray,
) -> HeldOut:
    """Return N photos that one ranker never saw."""
    count = len(latlon)
    return HeldOut(
        [ranker],
        np.zeros(count, np.intp),
        np.ones((1, count), bool),
        embeddings,
        latlon,
        weights,
        collection,
        place,
        np.ones(count, bool),
    )
