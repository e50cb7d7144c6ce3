"""Progress reports of long runs: the protocol, a reporter that does nothing, and progress bars."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rich.progress import TaskID

MAX_PRINTED_PROBLEMS = 20


class Reporter(Protocol):
    """Receiver of the progress of a run that consists of stages."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of `total` steps; None if their number is not known."""

    def advance(self, steps: int = 1, already: bool = False) -> None:
        """Count finished steps of the stage; `already` if an earlier run finished them."""

    def problem(self, line: str) -> None:
        """Report one input that cannot be used, with the reason."""

    def note(self, line: str) -> None:
        """Report something to know that is no fault of an input."""


class NullReporter:
    """A `Reporter` that ignores everything."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignore a stage."""

    def advance(self, steps: int = 1, already: bool = False) -> None:
        """Ignore steps."""

    def problem(self, line: str) -> None:
        """Ignore a problem."""

    def note(self, line: str) -> None:
        """Ignore a note."""


class ProgressBars:
    """A `Reporter` that draws one bar per stage and prints problems on standard error.

    Bars are drawn on terminals only. Use it as a context manager; on exit it prints how many
    problems were not printed.

    Attributes:
        problems: the number of problems so far.
    """

    def __init__(
        self,
        *,
        unit: str = "",
        problem_prefix: str = "",
        log_stages: bool = False,
        quiet: bool = False,
    ) -> None:
        """Prepare the bars.

        Args:
            unit: what the steps are; if given, bars show a rate such as "3.2 photos/s".
            problem_prefix: printed before each problem.
            log_stages: where there is no terminal, print the name of each stage instead of bars.
            quiet: print problems only.
        """
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.problems = 0
        self._unit, self._problem_prefix = unit, problem_prefix
        self._console = Console(stderr=True)
        self._log_stages = log_stages and not quiet and not self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            speed_estimate_period=60.0,
        )
        self._task: TaskID | None = None
        self._total: int | None = None
        self._completed = self._completed_before = 0
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish_stage()
        self._progress.stop()
        if self.problems > MAX_PRINTED_PROBLEMS:
            print(f"… and {self.problems - MAX_PRINTED_PROBLEMS:,} more", file=sys.stderr)

    def stage(self, name: str, total: int | None = None) -> None:
        """Draw a bar for the next stage; see `Reporter`."""
        self._finish_stage()
        if self._log_stages:
            print(name, file=sys.stderr)
        self._total, self._completed, self._completed_before = total, 0, 0
        self._started = time.monotonic()
        self._task = self._progress.add_task(name, total=total, rate="")

    def advance(self, steps: int = 1, already: bool = False) -> None:
        """Advance the bar; steps of an earlier run do not count towards the rate."""
        if self._task is None:
            return
        self._completed += steps
        if already:
            self._completed_before += steps
            self._progress.reset(self._task, total=self._total, completed=self._completed)
            return
        rate = ""
        if self._unit:
            seconds = max(time.monotonic() - self._started, 1e-9)
            rate = f"{(self._completed - self._completed_before) / seconds:,.1f} {self._unit}/s"
        self._progress.update(self._task, advance=steps, rate=rate)

    def problem(self, line: str) -> None:
        """Print the first MAX_PRINTED_PROBLEMS problems and count all of them."""
        self.problems += 1
        if self.problems <= MAX_PRINTED_PROBLEMS:
            self._print(f"{self._problem_prefix}{line}")

    def note(self, line: str) -> None:
        """Print a note."""
        self._print(f"note: {line}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _finish_stage(self) -> None:
        """Fill the bar of a stage whose number of steps was not known."""
        if self._task is not None and self._total is None:
            self._progress.update(self._task, total=1, completed=1)
        self._task = None
