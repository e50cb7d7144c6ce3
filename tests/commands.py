"""Helpers that run commands: in this process, or as processes of their own."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from cyclopts import App

from geoloc.cli.main import app


@dataclass(frozen=True)
class Done:
    """The result of a command, with the names of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def in_process(capsys, program: App = app) -> Callable[..., Done]:
    """Return a function that runs a command in this process, where the libraries are loaded."""

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        try:
            returned = program(list(map(str, arguments)), result_action="return_value")
        except SystemExit as stop:
            returned = stop.code
        printed = capsys.readouterr()
        return Done(returned or 0, printed.out, printed.err)

    return run


def process(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    command = [sys.executable, "-m", "geoloc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)
