"""Shared by the commands: the option --out, package checks, licence notice and progress bars."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geoloc.io.progress import ProgressBars

Out = Annotated[Path, Parameter(name=["--out", "-o"])]
"""The option of every command that writes a file or folder."""


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
    return ProgressBars(problem_prefix="left out: ", log_stages=True)
