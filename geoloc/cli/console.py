"""How a command of this project ends: exit codes and one-line errors."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

BAD_INPUT = 2
"""Exit code when an input or an argument is unusable."""


def fail(program: str, reason: object) -> int:
    """Say on standard error why something cannot be done; returns BAD_INPUT."""
    print(f"{program}: {reason}", file=sys.stderr)
    return BAD_INPUT


def fail_writing(program: str, error: OSError, place: object) -> int:
    """Say that something could not be written, or read, and what helps; returns BAD_INPUT."""
    reason = f"{error.filename or place}: {error.strerror or error}"
    return fail(program, f"{reason}; free some space or choose another place")


def run(app: App) -> None:
    """Run a command line and exit; a wrong argument is an unusable input."""
    try:
        sys.exit(app(exit_on_error=False, result_action="return_value") or 0)
    except CycloptsError:  # already printed
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
