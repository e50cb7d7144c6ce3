"""The commands of training/README.md run in order, and its estimates are those of the plan."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

from training.cli.main import app
from training.config import TINY_TOWERS
from training.data.packed import load_photo
from training.pretrain import clip
from training.recipes.plan import Plan
from training.retrieve.costs import COLLECTIONS, price
from training.retrieve.settings import RetrieveRecipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "training" / "README.md").read_text("utf-8")
BIN = Path(sys.executable).parent

ELSEWHERE = {
    "pigeon --rehearse": "tests/training/recipes/test_pigeon.py runs it",
    "retrieve --rehearse": "tests/training/recipes/test_retrieve.py runs it",
    "bundle get geoclip": "downloads 1.3 GB; tests/training/recipes/geoclip builds a small one",
}


def blocks(language: str) -> list[str]:
    """Return the commands in the blocks of a language, without comments."""
    text = "".join(re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S))
    lines = text.replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip()]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_command_works(tmp_path, photo_folder):
    shutil.copy(TINY_TOWERS, tmp_path / "towers.json")
    (tmp_path / "my-photos").mkdir()
    for number in range(30):
        shutil.copy(photo_folder / f"{number:02}.jpg", tmp_path / "my-photos")
    shutil.copy(photo_folder / "31.jpg", tmp_path / "photo.jpg")
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = []
    for command in blocks("bash"):
        if any(part in command for part in ELSEWHERE):
            continue
        if "--bundle pigeotto.bundle" in command:
            table = pq.read_table(tmp_path / "photos" / "split.parquet")
            load_photo(table, tmp_path / "photos", 0).image.save(tmp_path / "photo.jpg")
        result = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == 0, f"{command}\n{result.stderr}"
        done.append(command.split()[1])
    assert {*done} == {
        "learn", "locate", "plan", "planet", "manifest", "split", "audit", "pigeotto", "enrich",
        "cells", "pretrain", "embed", "assemble", "finetune", "retrieve",
    }  # fmt: skip
    for bundle in ("my.bundle", "pigeotto.bundle", "other.bundle"):
        assert (tmp_path / bundle / "bundle.json").is_file()


def test_commands_that_are_not_run_have_only_known_options():
    """They need a GPU, a download or the development data."""
    for command in [*blocks("text"), *blocks("bash")]:
        words = command.split()
        if words[0] != "geoloc-train":
            continue
        arguments = app[words[1]].assemble_argument_collection(parse_docstring=False)
        known = {name for argument in arguments for name in argument.names}
        options = {word for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert options <= known, command


def test_every_exception_occurs():
    assert all(any(part in command for command in blocks("bash")) for part in ELSEWHERE)


def test_estimates_are_those_of_the_plan():
    plan = Plan.of(clip.configuration("ViT-L-14-336"))
    rows = {
        "PIGEON pretraining": (400_000, 20), "PIGEOTTO pretraining": (4_500_000, 4)
    }  # fmt: skip
    for name, (photos, epochs) in rows.items():
        hours = [plan.training_hours(photos, epochs, n, "h100", cached=True) for n in (1, 8)]
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {name} |")]
        assert f"| {hours[0]:.1f} h | {hours[1]:.1f} h | {plan.memory_gb(32):.0f} GB |" in line
    recipe = RetrieveRecipe()
    for row in price(recipe, sum(COLLECTIONS.values()), 55.0, "h100").lines("h100", 3.0)[2:]:
        assert row in PAGE
    hours = [plan.embedding_hours(4_500_000, n, "h100") for n in (1, 8)]
    assert f"| {hours[0]:.1f} h | {hours[1]:.1f} h |" in PAGE
