"""Runs commands of `geoloc-train` inside the test process."""

from dataclasses import dataclass

import pytest

from training.cli.main import app


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Done:
    """Run `geoloc-train` with arguments; unlike the real command it raises on wrong options."""
    capsys.readouterr()
    code = app([*map(str, arguments)], exit_on_error=False, result_action="return_value")
    captured = capsys.readouterr()
    return Done(code or 0, captured.out, captured.err)
