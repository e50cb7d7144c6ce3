"""Processes that read photos: batches come through shared memory, and a dead process is replaced.

The order of the photos depends on seed and step only, so that a new process reads what the dead one
would have read.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from itertools import islice
from multiprocessing import active_children
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Protocol

import torch
from torch.utils.data import DataLoader

from geoloc.errors import GeolocError, TableError
from training.data.loading import Batch
from training.data.sampler import Batches

MOST_DEATHS = 3
"""After this many deaths of readers in a run the next one ends it: memory is short, or a photo
crashes its decoder."""

_AHEAD = 4
"""Batches that each process reads ahead."""

_PATIENCE_S = 5.0
"""Until a process whose connection broke counts as alive."""


class Batched(Protocol):
    """A dataset that returns whole batches."""

    def __getitems__(self, items: list[tuple[int, int]]) -> Batch:
        """Return the batch of items (epoch, row)."""
        ...


class _WithErrors:
    """A dataset that returns errors instead of raising them, as torch adds a traceback to those."""

    def __init__(self, photos: Batched) -> None:
        self._photos = photos

    def __getitems__(self, items: list[tuple[int, int]]) -> Batch | GeolocError:
        try:
            return self._photos.__getitems__(items)
        except GeolocError as error:
            return error


def load_batches(photos: Batched, batches: Batches, workers: int) -> Iterator[Batch]:
    """Yield batches in their order, read ahead by `workers` processes, or read here without any.

    If a process dies, all are replaced, and the next batch says so in its `left_out`.

    Raises:
        TableError: too many photos cannot be read, or processes die again and again.
    """
    delivered, deaths = 0, 0
    lines: list[str] = []
    while True:
        stream, processes = _started(photos, islice(batches, delivered, None), workers)
        try:
            for read in stream:
                if isinstance(read, GeolocError):
                    raise read
                read.left_out.extend(lines)
                lines.clear()
                yield read
                delivered += 1
        except (RuntimeError, OSError, EOFError):
            # torch's error for a dead process, or that of a batch that it had not handed over
            if not wait([process.sentinel for process in processes], _PATIENCE_S):
                raise
        deaths += 1
        reason = _ends_of(processes)
        if deaths > MOST_DEATHS:
            raise TableError(
                f"{reason}, after {MOST_DEATHS} others; start the same command again with fewer"
                " --workers, in case memory or shared memory ran out: it continues from the last"
                " checkpoint"
            )
        del stream  # its other processes end
        lines.append(f"{reason}; new processes read on from the same photos")


def _started(
    photos: Batched, batches: Iterator[list[tuple[int, int]]], workers: int
) -> tuple[Iterator[Batch | GeolocError], list[BaseProcess]]:
    """Start to read; return what is read and the processes, which end with the iterator."""
    loader = DataLoader(
        _WithErrors(photos),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_identity,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=_AHEAD if workers else None,
    )
    others, handler = active_children(), signal.getsignal(signal.SIGCHLD)
    stream = iter(loader)
    if workers and threading.current_thread() is threading.main_thread():
        # torch's handler raises wherever the death of a process is noticed, even in the optimiser
        signal.signal(signal.SIGCHLD, handler)
    return stream, [process for process in active_children() if process not in others]


def _ends_of(processes: list[BaseProcess]) -> str:
    """Say how the processes ended that ended."""
    ends = []
    for process in processes:
        if code := process.exitcode:
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
            ends.append(f"the reading process {process.pid} ended {how}")
    return ", ".join(ends) or "a reading process ended"


def _identity(batch: Batch) -> Batch:
    return batch
