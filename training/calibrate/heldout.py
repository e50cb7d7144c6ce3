"""`HeldOut`: photos with rankers that never saw them, the input of every calibration fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geoloc.answer.ranker import NEIGHBOURS, Ranker
from geoloc.answer.ranking import Sources
from geoloc.retrieval.gallery import NearestClusters
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

    @cached_property
    def nearest(self) -> NearestClusters:
        """(N, NEIGHBOURS) of each photo, by the ranker that answers it.

        No calibration changes them, so that they are searched once for all passes.
        """
        similarity = np.full((len(self), NEIGHBOURS), -1.0, np.float32)
        cluster = np.full((len(self), NEIGHBOURS), -1, np.int64)
        for ranker, rows in self.batches():
            found = ranker.search(self.embeddings[rows])
            similarity[rows, : found.cluster.shape[1]] = found.similarity
            cluster[rows, : found.cluster.shape[1]] = found.cluster
        return NearestClusters(similarity, cluster)

    def nearest_of(self, ranker: Ranker, rows: IndexArray) -> NearestClusters:
        """Return the nearest clusters of photos (N,) that a ranker answers."""
        found, width = self.nearest.take(rows), len(ranker.gallery.clusters)
        return NearestClusters(found.similarity[:, :width], found.cluster[:, :width])

    def sources(self, ranker: Ranker, rows: IndexArray) -> Sources:
        """Return the sources of photos (N,) that a ranker answers."""
        left_out = self.left_out(ranker, rows)
        return ranker.sources(self.embeddings[rows], None, left_out, self.nearest_of(ranker, rows))

    def take(self, rows: IndexArray, weights: Float32Array | None = None) -> HeldOut:
        """Return the same rankers with some of the photos, and perhaps other weights (M,)."""
        taken = HeldOut(
            self.rankers,
            self.ranker[rows],
            self.apart[:, rows],
            self.embeddings[rows],
            self.latlon[rows],
            self.weights[rows] if weights is None else weights,
            self.collection[rows],
            self.place[rows],
            self.new[rows],
        )
        if "nearest" in self.__dict__:  # searched already
            taken.__dict__["nearest"] = self.nearest.take(rows)
        return taken

    def left_out(
        self, ranker: Ranker, rows: IndexArray, group: IndexArray | None = None
    ) -> BoolArray:
        """Return which background photos of a ranker are of the collections of held-out photos.

        Args:
            ranker: with M background photos.
            rows: (N,) photos.
            group: (N,) ascending groups 0..G-1 of photos; each photo is its own without it.

        Returns:
            (N, M), or (G, M) of the collections of all photos of a group.
        """
        each = ranker.background.of_collections(self.collection[rows])
        if group is None:
            return each
        starts = np.searchsorted(group, np.arange(group[-1] + 1))
        return np.logical_or.reduceat(each, starts, axis=0)

    def sample(self, most: int, seed: int) -> HeldOut:
        """Return at most so many photos, drawn by their weights and weighted for those left out."""
        rows, weights = draw(self.weights, most, np.random.default_rng(seed))
        return self.take(rows, weights)


def draw(
    weights: Float32Array, most: int, rng: np.random.Generator
) -> tuple[IndexArray, Float32Array]:
    """Draw at most so many of N rows, and return them with the weight of what each stands for.

    A row is drawn with the probability min(1, c weight), and its weight is divided by it (Horvitz
    and Thompson 1952). Rows that are always drawn keep their weights: few questions of a kind,
    most of them of one collection, would otherwise count as so many.

    Args:
        weights: (N,) greater than 0.
        most: upper limit on the rows drawn, which are as many if there are as many.
        rng: of the draws.

    Returns:
        Rows, ascending, and their weights of mean 1.
    """
    share = weights.astype(np.float64)
    if not len(share):
        return np.zeros(0, np.intp), np.zeros(0, np.float32)
    if len(share) <= most:
        return np.arange(len(share)), np.asarray(share / share.mean(), np.float32)
    chance = np.minimum(share * (most / share.sum()), 1.0)
    while (chance < 1.0).any() and most - chance.sum() > 1e-6:
        rest = chance < 1.0
        chance[rest] *= (most - (~rest).sum()) / chance[rest].sum()
        chance = np.minimum(chance, 1.0)
    # systematic sampling in random order draws the same number each time
    order = rng.permutation(len(share))
    passed = np.floor(np.cumsum(chance[order]) + rng.uniform(0.0, 1.0 - 1e-6))
    rows = np.sort(order[np.diff(passed, prepend=0.0) > 0.5])
    weight = share[rows] / chance[rows]
    return rows, np.asarray(weight / weight.mean(), np.float32)


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
