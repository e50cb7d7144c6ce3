"""What a batch shows on the way: a bar with rate and time left, nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from typing import Any

SHOWN_PROBLEMS = 20


class Progress:
    """A bar on standard error: a `geoloc.batch.run.Reporter`."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._problems = self._done = 0
        self._begun = time.monotonic()
        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            speed_estimate_period=60.0,
        )
        self._task = self._bars.add_task("", total=None, rate="")

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        self._bars.stop()
        if self._problems > SHOWN_PROBLEMS:
            print(f"… and {self._problems - SHOWN_PROBLEMS:,} more", file=sys.stderr)

    def stage(self, name: str, total: int | None = None) -> None:
        """See `geoloc.batch.run.Reporter`."""
        self._done, self._begun = 0, time.monotonic()
        self._bars.remove_task(self._task)
        self._task = self._bars.add_task(name, total=total, rate="")

    def advance(self, photos: int, already: bool = False) -> None:
        """See `geoloc.batch.run.Reporter`."""
        if already:  # says nothing of how quick this run is
            task = self._bars.tasks[0]
            self._bars.reset(self._task, completed=int(task.completed) + photos)
            return
        self._done += photos
        rate = self._done / max(time.monotonic() - self._begun, 1e-9)
        self._bars.update(self._task, advance=photos, rate=f"{rate:,.1f} photos/s")

    def problem(self, line: str) -> None:
        """See `geoloc.batch.run.Reporter`."""
        self._problems += 1
        if self._problems <= SHOWN_PROBLEMS:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
