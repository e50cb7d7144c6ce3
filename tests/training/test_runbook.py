"""The runbook, followed literally on the synthetic planet; its figures are the plan's."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from training.config import TINY_TOWERS
from training.data.loading import load_photo
from training.pretrain import clip
from training.recipes.plan import Plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "training" / "RUNBOOK.md").read_text("utf-8")
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.strip()]


@pytest.mark.slow
def test_every_command_works(tmp_path):
    shutil.copy(TINY_TOWERS, tmp_path / "towers.json")
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")
    }  # fmt: skip
    followed = []
    for command in commands():
        if "--dry-run" in command:  # has its own test
            continue
        if "geoloc locate" in command:
            table = pq.read_table(tmp_path / "photos" / "split.parquet")
            load_photo(table, tmp_path / "photos", 0).image.save(tmp_path / "photo.jpg")
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        followed.append(command.split()[1])
    assert {"manifest", "split", "audit", "pigeotto", "pretrain", "embed", "assemble"} <= {
        *followed
    }
    assert (tmp_path / "other.bundle" / "bundle.json").is_file()


def test_the_figures_are_the_plans():
    plan = Plan.of(clip.configuration("ViT-L-14-336"))
    rows = {
        "PIGEON pretraining": (400_000, 20), "PIGEOTTO pretraining": (4_500_000, 4)
    }  # fmt: skip
    for name, (photos, epochs) in rows.items():
        hours = [plan.training_hours(photos, epochs, n, "h100", cached=True) for n in (1, 8)]
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {name} |")]
        assert f"| {hours[0]:.1f} h | {hours[1]:.1f} h | {plan.memory_gb(32):.0f} GB |" in line
    hours = [plan.embedding_hours(4_500_000, n, "h100") for n in (1, 8)]
    assert f"| {hours[0]:.1f} h | {hours[1]:.1f} h |" in PAGE
