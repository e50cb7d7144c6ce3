"""Processes that share a list of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from threading import Thread
from typing import TypeVar

_SLOW_TO_IMPORT = "sklearn.cluster"

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """A context manager; what tasks need is imported while the caller goes on.

    With more than one process the caller's main module must be importable, as always with
    multiprocessing (`if __name__ == "__main__"`).
    """

    def __init__(self, number: int = 1) -> None:
        """Start `number` processes; with one, everything runs in the caller's."""
        self._pool = None
        if number == 1:
            Thread(target=import_module, args=(_SLOW_TO_IMPORT,), daemon=True).start()
        else:
            self._pool = ProcessPoolExecutor(number, mp_context=get_context("spawn"))
            for _ in range(number):
                self._pool.submit(import_module, _SLOW_TO_IMPORT)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterable[Result]:
        """Results in the order of the tasks."""
        return self._pool.map(function, tasks) if self._pool else map(function, tasks)
