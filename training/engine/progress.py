"""What commands that take long show on the way."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import TaskID

SHOWN_PROBLEMS = 20


def require(*packages: str) -> None:
    """Say at once, rather than after the photos were read, that an extra is missing."""
    from importlib.util import find_spec

    from geoloc.errors import MissingExtraError

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, "train")


def show_licence(encoder: str) -> None:
    """Say whose published weights are about to be fetched, and what their licence allows."""
    from geoloc.encoders.published import notice

    if said := notice(encoder):
        print(f"geoloc-train: {said}", file=sys.stderr)


class Progress:
    """A bar for each stage, on standard error: a `training.recipes.learn.Reporter`."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self.problems = 0
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._current: TaskID | None = None

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        self._finish()
        self._bars.stop()
        if self.problems > SHOWN_PROBLEMS:
            print(f"… and {self.problems - SHOWN_PROBLEMS} more", file=sys.stderr)

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage of `total` steps begins."""
        self._finish()
        self._current = self._bars.add_task(name, total=total or 1)
        self._counted = total is not None

    def advance(self, steps: int = 1) -> None:
        """See `training.recipes.learn.Reporter`."""
        if self._current is not None:
            self._bars.advance(self._current, steps)

    def problem(self, line: str) -> None:
        """See `training.recipes.learn.Reporter`."""
        self.problems += 1
        if self.problems <= SHOWN_PROBLEMS:
            self._console.print(f"left out: {line}", markup=False, highlight=False, soft_wrap=True)

    def _finish(self) -> None:
        if self._current is not None and not self._counted:
            self._bars.advance(self._current)
        self._current = None
