"""Every command of `geoloc-train` and every option has a line of help, and usage names inputs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from training.cli.geoclip import geoclip
from training.cli.main import app

ROOT = Path(__file__).parents[3]
BUILT_IN = {"--help", "-h", "--version"}


def walk(command: App, *path: str) -> Iterator[tuple[tuple[str, ...], App]]:
    """Yield the words of every command and subcommand below, with its application."""
    for name in command:
        if name not in BUILT_IN:
            yield (*path, name), command[name]
            yield from walk(command[name], *path, name)


def bundle_command() -> App:
    """Return the command behind `geoloc bundle build geoclip`."""
    alone = App(name="geoclip")
    alone.default(geoclip)
    return alone


COMMANDS = [*walk(app), (("bundle", "build", "geoclip"), bundle_command())]
NAMES = [" ".join(path) for path, _ in COMMANDS]


def test_walk_finds_every_command():
    assert len(COMMANDS) >= 17
    assert {"learn", "cells", "cells report", "pigeotto", "ablation"} <= set(NAMES)


@pytest.mark.parametrize("command", [command for _, command in COMMANDS], ids=NAMES)
def test_every_command_and_option_has_help(command):
    first = command.help.strip().splitlines()[0]
    assert re.fullmatch(r"[A-Z].{10,}\.", first), first
    arguments = [
        argument
        for argument in command.assemble_argument_collection(parse_docstring=True)
        if argument.show
    ]
    assert arguments
    missing = [a.name for a in arguments if len((a.parameter.help or "").strip()) < 5]
    assert missing == []


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "training", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_module_prints_the_commands():
    printed = run("--help")
    for path, _ in walk(app):
        if len(path) == 1:
            assert f"│ {path[0]} " in printed


@pytest.mark.parametrize(
    ("command", "inputs"),
    [("learn", "PHOTOS"), ("pigeon", "[PHOTOS]"), ("audit", "PHOTOS [TEST]"), ("cells", "COORDS")],
)
def test_usage_names_the_inputs(command, inputs):
    usage = run(command, "--help").splitlines()[0]
    assert usage.startswith(f"Usage: geoloc-train {command} ")
    assert usage.rstrip().endswith(f" {inputs}")


@pytest.mark.parametrize("path", [path for path, _ in walk(app)], ids=" ".join)
def test_every_command_has_the_option_quiet(path):
    command = app
    for name in path:
        command = command[name]
    arguments = command.assemble_argument_collection(parse_docstring=True)
    assert "--quiet" in {name for argument in arguments for name in argument.names}
