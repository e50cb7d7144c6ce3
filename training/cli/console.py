"""Shared by the commands: the option --out, package checks, licences, progress and problems."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geoloc.cli.console import Quiet, exit_code, fail, notice
from geoloc.io.progress import ProgressBars

Out = Annotated[Path, Parameter(name=["--out", "-o"])]
"""The option of every command that writes a file or folder."""


_quiet = ContextVar("quiet", default=False)


def with_quiet(command: Callable[..., int]) -> Callable[..., int]:
    """Return a command with the further option --quiet, which silences `progress_bars`."""

    @wraps(command)
    def quietly(*arguments: object, quiet: bool = False, **options: object) -> int:
        token = _quiet.set(quiet)
        try:
            return command(*arguments, **options)
        finally:
            _quiet.reset(token)

    option = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False)
    signature = inspect.signature(command)
    parameters = [*signature.parameters.values(), option]
    quietly.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    quietly.__annotations__ = {**command.__annotations__, "quiet": Quiet}
    return quietly


def require(*packages: str) -> None:
    """Check that packages of the extra `train` are installed, before any photo is read.

    Raises:
        MissingExtraError: one of them is not installed; the message says how to install it.
    """
    from geoloc.errors import MissingExtraError

    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, "train")


def show_licence(encoder: str) -> None:
    """Print the publisher and licence of published weights before they are downloaded."""
    from geoloc.encoders.registry import licence_notice

    if text := licence_notice(encoder):
        print(f"geoloc-train: {text}", file=sys.stderr)


def progress_bars() -> ProgressBars:
    """Return the progress bars of a training command; logs get a line for each stage."""
    return ProgressBars(problem_prefix="left out: ", log_stages=True, quiet=_quiet.get())


def progress_line(line: str) -> None:
    """Print a line of progress on standard error, unless the command is quiet."""
    notice(line, quiet=_quiet.get())


def print_problems(program: str, problems: Sequence[str]) -> int:
    """Print a line on standard error for each problem; return the exit code."""
    for line in problems:
        fail(program, line)
    return exit_code(1, len(problems))
