"""What the README tells people to type works."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


@pytest.fixture
def desk(tmp_path, photo_folder):
    """A folder with a photo.jpg, some photos to learn from, and a table of coordinates."""
    rows = [f"{40 + i / 100},{-4 + i % 7 / 10}" for i in range(300)]
    (tmp_path / "coordinates.csv").write_text("lat,lon\n" + "\n".join(rows))
    shutil.copy(photo_folder / "00.jpg", tmp_path / "photo.jpg")
    library = tmp_path / "my-photos"
    library.mkdir()
    for number in range(30):
        shutil.copy(photo_folder / f"{number:02}.jpg", library)
    return tmp_path


def test_commands(desk, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk / "cache"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    typed = [line for block in blocks("bash") for line in block.splitlines()]
    ours = [shlex.split(line, comments=True) for line in typed if line.startswith("geoloc")]
    assert len(ours) >= 4
    for line in ours:
        if "--dry-run" in line:  # tests/training/test_recipes.py runs it and looks at its bundle
            continue
        done = subprocess.run(line, cwd=desk, capture_output=True, text=True, check=False)
        if "get" in line:  # gigabytes; tests/training/test_world.py builds a small one
            assert "connect to the internet once" in done.stderr
            continue
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (desk / "answer.html").is_file()
    assert (desk / "cells.png").is_file()


def test_library(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    (code,) = blocks("python")
    exec(compile(code, "README", "exec"), {})
    assert "km" not in capsys.readouterr().err


def test_the_figures_are_those_of_the_starter():
    """The tables are the ones in the bundle's own model card."""
    card = (Path(__file__).parents[1] / "geoloc/bundles/starter/MODEL_CARD.md").read_text("utf-8")
    rows = [line for line in card.splitlines() if line.startswith("| full")]
    for row in rows[:6]:  # Sydney and the world
        assert row in README


def test_targets_named_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+)", README):
        if target != "a":
            assert re.search(rf"^{target}:", makefile, flags=re.M), target
