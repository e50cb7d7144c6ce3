"""Fixtures for tests of training."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Done:
    """The result of a command, with the names of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def geoloc_train(capsys) -> Callable[..., Done]:
    """Run `geoloc-train` in this process, which saves loading the libraries again."""
    from training.cli.main import app

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        try:
            returned = app(list(map(str, arguments)), result_action="return_value")
        except SystemExit as stop:
            returned = stop.code
        printed = capsys.readouterr()
        return Done(returned or 0, printed.out, printed.err)

    return run
