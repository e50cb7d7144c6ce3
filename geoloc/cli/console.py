"""Shared by the commands: exit codes, error lines, notices, and the console for tables."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from geoloc.errors import GeolocError

if TYPE_CHECKING:
    from rich.console import Console

SOME_FAILED = 1
"""Exit code if some inputs failed, predictions are missing, or a program crashed."""

BAD_INPUT = 2
"""Exit code if nothing could be done, or an argument cannot be used."""

STOPPED = 130
"""Exit code after Ctrl-C, as in shells."""

PAGE_SUFFIXES = (".html", ".htm")

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def _refuse_options(kind: object, names: Sequence[str]) -> None:
    """Refuse misspelt options among names of photos, which may begin with a hyphen."""
    for name in names:
        if name.startswith("-") and name != "-" and not os.path.lexists(name):
            raise ValueError(f"unknown option: {name}")


Photos = Annotated[
    list[str],
    Parameter(negative=(), allow_leading_hyphen=True, validator=_refuse_options),
]
"""Names of photos; "-" is standard input."""

Quiet = Annotated[
    bool,
    Parameter(
        name=["--quiet", "-q"],
        negative=(),
        show_default=False,
        help="Print results and errors only: no progress and no notices.",
    ),
]


class UsageError(GeolocError):
    """Options that exclude each other, or that need each other."""


class LastCode(int):
    """Exit code of a command that has nothing left to clean up, so that the process ends at once.

    The system frees its memory; destructors of libraries take a tenth of a second.
    """

    def leave(self) -> None:
        """End the process; returns if the output is closed, which the usual way out reports."""
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            atexit._run_exitfuncs()
            os._exit(self)


def exit_code(answered: int, failed: int) -> int:
    """Return the exit code of a command that answers many inputs.

    Args:
        answered: number of inputs with an answer.
        failed: number of inputs without one, or that cannot be used; harmless notices do not count.

    Returns:
        0 if nothing failed, SOME_FAILED if something did, BAD_INPUT if there is no answer at all.
    """
    if not answered:
        return BAD_INPUT
    return SOME_FAILED if failed else 0


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


def notice(line: str, *, quiet: bool) -> None:
    """Print a line that is neither a result nor an error on standard error, unless `quiet`."""
    if not quiet:
        print(line, file=sys.stderr)


def prepare_page(option: str, page: Path | None) -> None:
    """Check the ending of an HTML page and create its folder, before any work is done.

    Args:
        option: that names the page, for the error message.
        page: to be written; None for no page.

    Raises:
        UsageError: it has another ending.
        OSError: the folder cannot be created.
    """
    if page is None:
        return
    if page.suffix.lower() not in PAGE_SUFFIXES:
        raise UsageError(f"{option} {page}: it is an HTML page; give a name that ends with .html")
    page.parent.mkdir(parents=True, exist_ok=True)


def table_console(width: int = 110) -> Console:
    """Return a console for tables: as wide as the terminal, or `width` where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width, highlight=False)


def run(app: App) -> None:
    """Run a command line and exit with its code; unusable arguments are BAD_INPUT."""
    try:
        code = app(exit_on_error=False, result_action="return_value")
        if isinstance(code, LastCode):
            code.leave()
        sys.exit(code or 0)
    except CycloptsError:  # already printed
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except BrokenPipeError:  # the reader of the output has ended, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
