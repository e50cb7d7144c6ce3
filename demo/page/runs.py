"""Uploads that are being read: how many photos of each are, and which visitors gave up.

The browser names its runs at random. It asks for the progress with GET requests of its own: events
of gradio answer once, at their end.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

REMEMBERED = 1000
"""Runs that are remembered."""


@dataclass
class Run:
    """One set of uploads."""

    photos: int = 0
    read: int = 0
    """Photos that are decoded, or cannot be."""
    is_cancelled: bool = False


class Runs:
    """The last REMEMBERED runs of all visitors by name; "" is no run."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, photos: int) -> None:
        """Count the photos of a run from now on; one that was cancelled before stays so."""
        with self._lock:
            self._of(name).photos = photos

    def count(self, name: str) -> None:
        """Count one photo more as read."""
        with self._lock:
            self._of(name).read += 1

    def cancel(self, name: str) -> None:
        """Stop a run before its next photo."""
        with self._lock:
            self._of(name).is_cancelled = True

    def is_cancelled(self, name: str) -> bool:
        """Return whether a run was cancelled."""
        return bool(name) and self.of(name).is_cancelled

    def of(self, name: str) -> Run:
        """Return a run; one without photos if it is not known."""
        return self._runs.get(name) or Run()

    def _of(self, name: str) -> Run:
        run = self._runs.setdefault(name, Run())
        while len(self._runs) > REMEMBERED:
            self._runs.popitem(last=False)
        return run


RUNS = Runs()
"""Those of this process."""
