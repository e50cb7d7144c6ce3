"""Shared by the commands: exit codes, error lines, and the console for tables."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

if TYPE_CHECKING:
    from rich.console import Console

SOME_FAILED = 1
"""Exit code when the output is complete, but some inputs failed."""

BAD_INPUT = 2
"""Exit code when an input or an argument cannot be used."""

STOPPED = 130
"""Exit code after Ctrl-C, as in shells."""


def fail(program: str, reason: object) -> int:
    """Print a reason on standard error as one line; returns BAD_INPUT."""
    print(f"{program}: {reason}", file=sys.stderr)
    return BAD_INPUT


def fail_writing(program: str, error: OSError, place: object) -> int:
    """Print which file could not be read or written, and why; returns BAD_INPUT.

    Args:
        program: the name that starts the line.
        error: names the file, or `place` does.
        place: the file or folder that the command was to write.
    """
    reason = f"{error.filename or place}: {error.strerror or error}"
    return fail(program, f"{reason}; free some space or choose another place")


def table_console(width: int = 110) -> Console:
    """Return a console for tables: as wide as the terminal, or `width` where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width, highlight=False)


def run(app: App) -> None:
    """Run a command line and exit with its code; unusable arguments are BAD_INPUT."""
    try:
        sys.exit(app(exit_on_error=False, result_action="return_value") or 0)
    except CycloptsError:  # already printed
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except BrokenPipeError:  # the reader of the output has ended, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
