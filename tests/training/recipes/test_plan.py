"""Planned operations equal those that torch counts, and hours and memory follow from them."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.training.planet import TOWERS, write_towers
from training.pretrain import clip
from training.recipes.plan import Plan, Tower


def test_operations_equal_those_that_torch_counts(tmp_path):
    towers = clip.build(str(write_towers(tmp_path)))
    plan = Plan.of(TOWERS)
    with FlopCounterMode(display=False) as counter:  # without gradients torch fuses layers
        towers.model.train().encode_image(torch.zeros(1, 3, 32, 32))
    vision = plan.vision
    fused = 4 * vision.layers * vision.tokens**2 * vision.width  # not counted by torch
    patches = 2 * (vision.tokens - 1) * 3 * 8 * 8 * vision.width  # not in the plan
    counted = counter.get_total_flops()
    assert vision.flops - fused + patches == pytest.approx(counted, rel=0.01)
    count = sum(parameter.numel() for parameter in towers.model.parameters())
    assert plan.weights == pytest.approx(count, rel=0.02)


def test_large_model_has_the_published_size():
    plan = Plan.of(clip.configuration("ViT-L-14-336"))
    assert plan.weights / 1e6 == pytest.approx(428, abs=4)
    assert plan.vision.flops / 1e9 == pytest.approx(382, abs=4)


def test_hours_and_memory_scale():
    plan = Plan(Tower(2, 64, 10), Tower(1, 32, 5), 0.0)
    once = plan.training_hours(1000, 1, 1, "h100", cached=False)
    assert plan.training_hours(1000, 4, 2, "h100", cached=False) == pytest.approx(2 * once)
    assert plan.training_hours(1000, 1, 1, "h100", cached=True) == pytest.approx(4 / 3 * once)
    assert plan.memory_gb(64) > plan.memory_gb(64, checkpointing=True)
    assert plan.memory_gb(1) > plan.memory_gb(1, shards=8)


def test_command_prints_hours_by_number_of_gpus(geoloc_train):
    done = geoloc_train("plan", "--model", "ViT-B-32", "--photos", 1_000_000)
    assert done.returncode == 0, done.stderr
    assert "| 8 h100 |" in done.stdout


@pytest.mark.parametrize(
    ("model", "reason"), [("no-such", "no-such"), ("RN50", "only vision transformers")]
)
def test_command_refuses_other_models(geoloc_train, model, reason):
    done = geoloc_train("plan", "--model", model)
    assert done.returncode == 2
    assert reason in done.stderr
