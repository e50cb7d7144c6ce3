"""Fine-tuning: only the last block changes, the loss falls, an interrupted run resumes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geoloc.errors import TableError
from training.config import FinetuneConfig, HeadConfig
from training.data.table import latlon_of
from training.engine.checkpoint import CheckpointError
from training.pretrain import clip
from training.pretrain.finetune import finetune, photos_without_captions
from training.pretrain.panoramas import Panoramas, Views
from training.pretrain.starting_heads import starting_heads
from training.pretrain.tuned_tower import TowerAndHeads

HEADS = HeadConfig(tau_km=300.0, attributes=True, hierarchical=True)
CONFIG = FinetuneConfig(epochs=8, batch=32, learning_rate=3e-3, workers=0, save_every=4)


@pytest.fixture(scope="module")
def planet(small_planet):
    """Folder, photo table and geocells."""
    folder, table = small_planet
    return folder, table, build_cells(latlon_of(table), CellConfig(4, 8))


def tuned(planet, run, **changed):
    folder, table, cells = planet
    config = replace(CONFIG, **changed)
    return finetune(table, folder, folder / "model", cells, run, HEADS, config)


def curve(run) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "losses.jsonl").read_text().splitlines()]


def test_only_the_last_block_changes_and_the_loss_falls(planet, tmp_path):
    model = tuned(planet, tmp_path / "run")
    losses = curve(tmp_path / "run")
    assert len(losses) == 8 * (128 // 32)
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.1
    before = load_file(planet[0] / "model" / "open_clip_model.safetensors")
    after = load_file(model / "open_clip_model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("visual.transformer.resblocks.1.") for name in changed)
    assert clip.build(str(model)).model is not None


def test_it_starts_with_heads_trained_on_the_frozen_tower(planet, tmp_path):
    """The first loss and accuracy are those of the heads that a bundle of this tower would have."""
    folder, table, cells = planet
    panoramas = Panoramas.of(table)
    start = starting_heads(panoramas, folder, folder / "model", cells, tmp_path, HEADS, {})
    tower = clip.build(str(folder / "model"))
    network = TowerAndHeads(tower.model.visual, panoramas, cells, start, HEADS).eval()
    photos = photos_without_captions(panoramas.table, folder, tower, CONFIG)
    batch = Views(photos, panoramas.rows[panoramas.train]).__getitems__(
        [(0, i) for i in range(128)]
    )
    with torch.no_grad():
        right = int(network(batch.images, batch.row))
        loss = float(network.train()(batch.images, batch.row))
        for parameter in network.heads.parameters():
            parameter.zero_()
        untrained = float(network(batch.images, batch.row))
    assert right > 3 * 128 / len(start.active), "three times chance"
    assert loss < untrained - 1.0
    tuned(planet, tmp_path / "run")
    assert curve(tmp_path / "run")[0] < untrained - 1.0


def test_starting_heads_are_trained_once(planet, tmp_path):
    folder, table, cells = planet
    parts = Panoramas.of(table), folder, folder / "model", cells, tmp_path, HEADS
    first = starting_heads(*parts, {"photos": 1})
    stamp = (tmp_path / "starting_heads.safetensors").stat().st_mtime_ns
    again = starting_heads(*parts, {"photos": 1})
    assert (tmp_path / "starting_heads.safetensors").stat().st_mtime_ns == stamp
    pairs = zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    starting_heads(*parts, {"photos": 2})
    assert (tmp_path / "starting_heads.safetensors").stat().st_mtime_ns != stamp


def test_interrupted_run_resumes_with_the_same_result(planet, tmp_path):
    reference = tuned(planet, tmp_path / "reference")
    tuned(planet, tmp_path / "run")
    (tmp_path / "run" / "model").rename(tmp_path / "run" / "best" / "model")
    last = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1]
    shutil.rmtree(last)
    again = tuned(planet, tmp_path / "run")
    assert curve(tmp_path / "run") == curve(tmp_path / "reference")
    one, other = (load_file(m / "open_clip_model.safetensors") for m in (reference, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(CheckpointError, match=r"epochs = 8, not 9"):
        tuned(planet, tmp_path / "run", epochs=9)


def test_too_few_photos_are_refused(planet, tmp_path):
    with pytest.raises(TableError, match=r"128 places to train on are fewer than the 500"):
        tuned(planet, tmp_path / "run", batch=500)
