"""A pool of worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from threading import Thread
from typing import TypeVar

_SLOW_TO_IMPORT = "sklearn.cluster"

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """Worker processes for splitting units; a context manager.

    The modules that tasks need are imported in the background, while the caller continues. With
    more than one process, the main module must be importable without side effects
    (`if __name__ == "__main__"`), as multiprocessing requires.
    """

    def __init__(self, number: int = 1) -> None:
        """Start `number` processes; with 1, tasks run in the calling process."""
        self._pool = None
        if number == 1:
            Thread(target=_import_early, daemon=True).start()
        else:
            self._pool = ProcessPoolExecutor(number, mp_context=get_context("spawn"))
            for _ in range(number):
                self._pool.submit(_import_early)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterable[Result]:
        """Return results in the order of the tasks."""
        return self._pool.map(function, tasks) if self._pool else map(function, tasks)


def _import_early() -> None:
    """Import what clustering needs; where it is not installed, units are only bisected."""
    with suppress(ImportError):
        import_module(_SLOW_TO_IMPORT)
