"""The plan's operations are those that torch counts, its hours follow from them."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.training.planet import TOWERS, write_towers
from training.pretrain import clip
from training.recipes.plan import Plan, Tower

BIN = Path(sys.executable).parent


def test_operations_are_what_torch_counts(tmp_path):
    towers = clip.build(str(write_towers(tmp_path)))
    plan = Plan.of(TOWERS)
    with FlopCounterMode(display=False) as counter:  # with gradients: without, torch fuses layers
        towers.model.train().encode_image(torch.zeros(1, 3, 32, 32))
    vision = plan.vision
    fused = 4 * vision.layers * vision.tokens**2 * vision.width  # which torch does not count
    patches = 2 * (vision.tokens - 1) * 3 * 8 * 8 * vision.width  # which the plan does not
    counted = counter.get_total_flops()
    assert vision.flops - fused + patches == pytest.approx(counted, rel=0.01)
    count = sum(parameter.numel() for parameter in towers.model.parameters())
    assert plan.weights == pytest.approx(count, rel=0.02)


def test_the_large_model_is_as_large_as_published():
    plan = Plan.of(clip.configuration("ViT-L-14-336"))
    assert plan.weights / 1e6 == pytest.approx(428, abs=4)
    assert plan.vision.flops / 1e9 == pytest.approx(382, abs=4)


def test_hours_follow():
    plan = Plan(Tower(2, 64, 10), Tower(1, 32, 5), 0.0)
    once = plan.training_hours(1000, 1, 1, "h100", cached=False)
    assert plan.training_hours(1000, 4, 2, "h100", cached=False) == pytest.approx(2 * once)
    assert plan.training_hours(1000, 1, 1, "h100", cached=True) == pytest.approx(4 / 3 * once)
    assert plan.memory_gb(64) > plan.memory_gb(64, checkpointing=True)
    assert plan.memory_gb(1) > plan.memory_gb(1, shards=8)


def test_the_command(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [BIN / "geoloc-train", "plan", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("--model", "ViT-B-32", "--photos", "1000000")
    assert done.returncode == 0, done.stderr
    assert "| 8 h100 |" in done.stdout
    assert run("--model", "no-such").returncode == 2
    done = run("--model", "RN50")
    assert done.returncode == 2
    assert "only vision transformers" in done.stderr
