"""The order of photos in training: a pure function of seed and epoch.

The number of steps taken determines the next photos. A run that was killed in the middle of an
epoch continues exactly where it stopped, without any saved state of a reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.types import Int64Array

WINDOW = 64
"""Shards whose photos are shuffled together. The shards are shuffled too, so that over the epochs
all photos are mixed, while reading stays nearly sequential: each window is read from disk once."""


def epoch_order(shard: npt.NDArray[np.integer], seed: int, epoch: int) -> Int64Array:
    """Return the photos in random order that reads few shards at a time.

    Args:
        shard: (N,) number of the file that holds each photo; all different if every photo has its
            own file.
        seed: of the run.
        epoch: number of the pass over the data.

    Returns:
        (N,) rows.
    """
    rng = np.random.default_rng((seed, epoch))
    names, number = np.unique(shard, return_inverse=True)
    if len(names) == len(shard):
        return rng.permutation(len(shard))
    window = rng.permutation(len(names))[number] // WINDOW
    mixed = rng.permutation(len(shard))
    return mixed[np.argsort(window[mixed], kind="stable")]


@dataclass(frozen=True)
class Batches:
    """The endless micro-batches of one process, epoch after epoch.

    A step takes `accumulate` micro-batches of `size` photos in each of `world_size` processes. The
    remainder of an epoch, less than a step, is left out in that epoch.
    """

    shard: npt.NDArray[np.integer]
    """(N,) number of the file of each photo; see `epoch_order`."""
    size: int
    accumulate: int = 1
    rank: int = 0
    world_size: int = 1
    seed: int = 0
    start: int = 0
    """The first step."""

    @property
    def photos_per_step(self) -> int:
        """Photos of one step in all processes."""
        return self.size * self.accumulate * self.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Complete steps of one epoch."""
        return len(self.shard) // self.photos_per_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield micro-batches of items (epoch, row)."""
        epoch, step = divmod(self.start, self.steps_per_epoch)
        while True:
            order = epoch_order(self.shard, self.seed, epoch)
            for number in range(step, self.steps_per_epoch):
                yield from self._of_step(order, epoch, number)
            epoch, step = epoch + 1, 0

    def _of_step(self, order: Int64Array, epoch: int, step: int) -> Iterator[list[tuple[int, int]]]:
        begin = step * self.photos_per_step
        rows = order[begin : begin + self.photos_per_step]
        rows = rows.reshape(self.accumulate, self.world_size, self.size)
        for micro in range(self.accumulate):
            yield [(epoch, row) for row in rows[micro, self.rank].tolist()]
