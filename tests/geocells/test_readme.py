"""The examples and commands of geocells/README.md run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "geocells" / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_examples_run(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[number], f"README example {number}", "exec"), {})


@pytest.mark.slow
def test_commands_run(tmp_path):
    photos = np.random.default_rng(0).uniform((38, -5), (42, -2), (100, 2))
    np.savetxt(tmp_path / "coordinates.csv", photos, "%.4f", ",", header="lat,lon", comments="")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    (commands,) = blocks("bash")
    for command in commands.splitlines():
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert {"cells.parquet", "cells.png", "cells.html"} <= {p.name for p in tmp_path.iterdir()}


def test_modules_and_links_exist():
    names = re.findall(r"^\| (`[^|]*) \|", README, flags=re.MULTILINE)
    modules = [name for cell in names for name in re.findall(r"`(\w+/?)`", cell)]
    assert len(modules) >= 8
    for name in modules:
        path = ROOT / "geocells" / name
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (ROOT / "geocells" / target).exists(), target
