"""In which order photos are shown: a pure function of seed and epoch.

Whoever knows how many steps were taken knows which photos come next, so a run that was killed in
the middle of an epoch goes on exactly where it stopped, and no state of any reader has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.types import Int64Array

WINDOW = 64
"""Shards whose photos are mixed. Shards are shuffled too, so that over the epochs all meet all, and
reading stays close to sequential: the pages of a window are read from disk once."""


def epoch_order(shard: npt.NDArray[np.integer], seed: int, epoch: int) -> Int64Array:
    """A shuffle of photos that reads few shards at a time.

    Args:
        shard: (N,) number of the file that holds each photo; all different if each has its own.
        seed: of the run.
        epoch: number of the pass.

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
    """The batches of one process, endless: epoch after epoch.

    A step takes `accumulate` micro-batches of `size` photos in each of `world_size` processes. What
    is left at the end of an epoch, less than a step, is not shown in that epoch.
    """

    shard: npt.NDArray[np.integer]
    """(N,) see `epoch_order`."""
    size: int
    accumulate: int = 1
    rank: int = 0
    world_size: int = 1
    seed: int = 0
    start: int = 0
    """The first step."""

    @property
    def photos_per_step(self) -> int:
        """Photos of all processes."""
        return self.size * self.accumulate * self.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Whole steps."""
        return len(self.shard) // self.photos_per_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Micro-batches of (epoch, row)."""
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
