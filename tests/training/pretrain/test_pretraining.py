"""Pretraining: convergence, gradient caching, resuming, parallel processes, bad input."""

import itertools
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from geoloc.errors import TableError
from training.cli.pretrain import pretrain as pretrain_command
from training.config import PretrainConfig
from training.data.loading import Batch, CaptionedPhotos
from training.data.sampler import Batches
from training.engine.checkpoint import CheckpointError
from training.engine.loop import LoopConfig, left_out_lines
from training.engine.readers import load_batches
from training.pretrain import clip
from training.pretrain.captions import Captioner
from training.pretrain.contrastive import CaptionLoss
from training.pretrain.grad_cache import backward
from training.pretrain.pretraining import pretrain

BIN = Path(sys.executable).parent


def settings(folder: Path, **changed: object) -> PretrainConfig:
    return replace(
        PretrainConfig(
            model=str(folder / "tiny_towers.json"), pretrained="", batch=16, accumulate=2, epochs=5,
            learning_rate=3e-3, workers=0, measure_every=10, save_every=2, average=0.9,
        ),
        **changed,
    )  # fmt: skip


def torchrun(folder: Path, run: Path, config: PretrainConfig, processes: int) -> list[str]:
    options = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in asdict(config).items()
        if isinstance(value, str | float | int) and not isinstance(value, bool)
    ]
    return [
        *(str(BIN / "torchrun"), "--standalone", f"--nproc-per-node={processes}"),
        *("-m", "training", "pretrain", str(folder / "photos.parquet"), "-o", str(run), *options),
    ]


def single_thread_environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def losses(run: Path) -> list[float]:
    lines = (run / "losses.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [json.loads(line)["loss"] for line in lines]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "open_clip_model.safetensors")


def test_pretraining_converges_and_writes_an_open_clip_model(small_planet, tmp_path):
    folder, table = small_planet
    model = pretrain(table, folder, tmp_path / "run", settings(folder, epochs=12))
    curve = losses(tmp_path / "run")
    assert len(curve) == 12 * (128 // 32)
    assert np.mean(curve[-4:]) < np.mean(curve[:4]) - 0.3
    measured = (tmp_path / "run" / "measurements.jsonl").read_text().splitlines()
    assert json.loads(measured[-1])["country_accuracy"] > 0.8
    import open_clip

    loaded = open_clip.create_model(f"local-dir:{model}")
    image = torch.rand(1, 3, 32, 32)
    again = clip.build(str(model)).model
    assert torch.equal(loaded.encode_image(image), again.encode_image(image))


def batch_stream(small_planet, seed: int = 0, workers: int = 0) -> Iterator[Batch]:
    folder, table = small_planet
    parts = clip.build(str(folder / "tiny_towers.json"))
    data = CaptionedPhotos(
        table, folder, Captioner("pigeon"), parts.tokenizer, parts.preprocessing, seed
    )
    return load_batches(data, Batches(np.arange(len(table)), 8, seed=seed), workers)


def batches(small_planet, count: int, seed: int = 0) -> list[Batch]:
    return list(itertools.islice(batch_stream(small_planet, seed), count))


@pytest.mark.parametrize("kind", ["infonce", "sigmoid"])
def test_gradient_caching_gives_the_gradient_of_the_whole_batch(small_planet, kind):
    folder, _ = small_planet
    micro = batches(small_planet, 4)
    whole = type(micro[0])(
        torch.cat([one.pixels for one in micro]),
        micro[0].scale,
        *(torch.cat([getattr(one, name) for one in micro])
          for name in ("tokens", "caption", "latlon", "row"))
    )  # fmt: skip
    found = []
    for parts in (micro, [whole]):
        torch.manual_seed(0)
        model = clip.build(str(folder / "tiny_towers.json")).model
        value = backward(model, CaptionLoss(kind, 500.0), LoopConfig(steps=1), parts, 0)
        found.append([value, *(p.grad for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_batch_depends_on_seed_and_position_only(small_planet):
    first, again, other = (batches(small_planet, 2, seed) for seed in (0, 0, 1))
    assert torch.equal(first[1].pixels, again[1].pixels)
    assert torch.equal(first[1].tokens, again[1].tokens)
    assert not torch.equal(first[1].latlon, other[1].latlon)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_give_the_result_of_one(small_planet, tmp_path, strategy):
    folder, table = small_planet
    config = settings(folder, strategy=strategy, epochs=3)
    pretrain(table, folder, tmp_path / "one", replace(config, batch=32, accumulate=1))
    run_two = torchrun(folder, tmp_path / "two", replace(config, batch=8), processes=2)
    for turn in range(2):  # the second time resumed from the middle
        done = subprocess.run(
            run_two, env=single_thread_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        shutil.move(tmp_path / "two" / "model", tmp_path / f"model {turn}")
        shutil.rmtree(tmp_path / "two" / "checkpoints" / steps_saved(tmp_path / "two")[-1])
    (tmp_path / "model 1").rename(tmp_path / "two" / "model")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name], two[name], atol=1e-5), name


KILLED_RUN = """
import itertools, os, pathlib, random, shutil, signal, sys
from pathlib import Path

import open_clip, torch, torch.utils.tensorboard  # once, not in every child
import pyarrow.parquet as pq
import safetensors.torch
from training.config import PretrainConfig
from training.engine import checkpoint, loop
from training.pretrain.pretraining import pretrain

folder, run = Path(sys.argv[1]), Path(sys.argv[2])
config = eval(sys.argv[3])
table = pq.read_table(folder / "photos.parquet")
rng = random.Random(0)
POINTS = [  # before the n-th call of a function
    (torch.optim.AdamW, "step", 7),
    (safetensors.torch, "save_file", 7),
    (pathlib.Path, "rename", 3),
    (loop, "_truncate_log", 1),
    (shutil, "rmtree", 4),
    (loop.Run, "log_step", 5),
    (checkpoint, "complete_checkpoints", 3),
]

def kill_at(owner, name, number):
    original, calls = getattr(owner, name), itertools.count(1)

    def counted(*arguments, **named):
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(owner, name, counted)

for turn in range(20):
    owner, name, most = POINTS[turn % len(POINTS)]
    child = os.fork()
    if not child:
        kill_at(owner, name, rng.randint(1, most) if turn >= len(POINTS) else most)
        pretrain(table, folder, run, config)
        os._exit(0)
    rng.random()  # the same sequence here and in the children
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, (turn, name, code)
assert not (run / "model").exists(), "killed before its end each time"
pretrain(table, folder, run, config)
"""


@pytest.mark.slow
def test_run_killed_twenty_times_gives_the_undisturbed_result(small_planet, tmp_path):
    """Killed during and between steps, and while checkpoints are written and deleted."""
    folder, table = small_planet
    config = settings(folder, epochs=40, save_every=2)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    command = [sys.executable, "-c", KILLED_RUN, str(folder), str(killed), repr(config)]
    done = subprocess.run(
        command, env=single_thread_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pretrain(table, folder, undisturbed, config)
    assert losses(killed) == losses(undisturbed)
    one, other = weights(undisturbed), weights(killed)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(list((killed / "checkpoints").iterdir())) == 2, "remains of killed runs are deleted"


def steps_saved(run: Path) -> list[str]:
    return sorted(path.parent.name for path in run.glob("checkpoints/step-*/state.json"))


def test_finished_run_is_not_repeated_and_other_settings_are_refused(small_planet, tmp_path):
    folder, table = small_planet
    config = settings(folder, epochs=1)
    model = pretrain(table, folder, tmp_path / "run", config)
    before = (model / "run.json").stat().st_mtime_ns
    assert pretrain(table, folder, tmp_path / "run", replace(config, workers=1)) == model
    assert (model / "run.json").stat().st_mtime_ns == before
    with pytest.raises(CheckpointError, match=r"learning_rate = 0.003, not 0.1"):
        pretrain(table, folder, tmp_path / "run", replace(config, learning_rate=0.1))


def test_run_is_not_resumed_with_other_settings(small_planet, tmp_path):
    folder, table = small_planet
    pretrain(table, folder, tmp_path / "run", settings(folder, epochs=1))
    (tmp_path / "run" / "model").rename(tmp_path / "away")
    with pytest.raises(CheckpointError, match=r"epochs = 1, not 2"):
        pretrain(table, folder, tmp_path / "run", settings(folder, epochs=2))


def test_finished_run_is_not_reused_for_other_photos_or_another_start(small_planet, tmp_path):
    """As many photos, and a model of the same name; only their content differs."""
    folder, table = small_planet
    towers = tmp_path / "start.json"
    shutil.copy(folder / "tiny_towers.json", towers)
    config = settings(folder, epochs=1, model=str(towers))
    pretrain(table, folder, tmp_path / "run", config)
    renamed = pa.array(["Atlantis", *table["country"].to_pylist()[1:]])
    other = table.set_column(table.column_names.index("country"), "country", renamed)
    with pytest.raises(CheckpointError, match="photos_digest"):
        pretrain(other, folder, tmp_path / "run", config)
    towers.write_text(towers.read_text() + "\n")
    with pytest.raises(CheckpointError, match="source_digest"):
        pretrain(table, folder, tmp_path / "run", config)


def test_run_of_an_earlier_version_is_still_finished(small_planet, tmp_path):
    folder, table = small_planet
    model = pretrain(table, folder, tmp_path / "run", settings(folder, epochs=1))
    stored = json.loads((model / "run.json").read_text())
    for newer in ("photos_digest", "source_digest"):
        del stored[newer]
    (model / "run.json").write_text(json.dumps(stored))
    assert pretrain(table, folder, tmp_path / "run", settings(folder, epochs=1)) == model


def test_damaged_checkpoint_is_skipped(small_planet, tmp_path):
    folder, table = small_planet
    pretrain(table, folder, tmp_path / "reference", settings(folder, epochs=2))
    pretrain(table, folder, tmp_path / "run", settings(folder, epochs=2))
    (tmp_path / "run" / "model").rename(tmp_path / "away")
    last = tmp_path / "run" / "checkpoints" / steps_saved(tmp_path / "run")[-1]
    content = bytearray((last / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (last / "model.safetensors").write_bytes(content)
    pretrain(table, folder, tmp_path / "run", settings(folder, epochs=2))
    assert losses(tmp_path / "run") == losses(tmp_path / "reference")


def test_killed_readers_are_named_and_replaced_and_no_photo_is_lost(small_planet):
    undisturbed = batches(small_planet, 12)
    stream = batch_stream(small_planet, workers=2)
    read = [next(stream)]
    killed = multiprocessing.active_children()
    for process in killed:
        process.kill()
    read += itertools.islice(stream, 11)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(read, undisturbed, strict=True))
    (line,) = [line for batch in read for line in batch.left_out]
    assert any(str(process.pid) in line for process in killed)
    assert "ended by signal SIGKILL" in line
    assert "new processes read on" in line


def test_readers_that_die_again_and_again_end_the_run(small_planet):
    def killing() -> None:
        for _ in batch_stream(small_planet, workers=1):
            for process in multiprocessing.active_children():
                process.kill()

    with pytest.raises(
        TableError,
        match=r"reading process .* ended by signal SIGKILL, after 3 others.*fewer --workers",
    ):
        killing()


def test_error_of_a_reader_is_one_line(small_planet):
    folder, table = small_planet
    files = pa.array(["missing.tar"] * len(table))
    broken = table.set_column(table.column_names.index("file"), "file", files)
    with pytest.raises(TableError) as caught:
        next(batch_stream((folder, broken), workers=1))
    assert len(str(caught.value).splitlines()) == 1


def test_photos_of_the_test_split_are_never_read(small_planet, tmp_path):
    folder, table = small_planet
    split = ["test" if i % 4 == 0 else "train" for i in range(len(table))]
    hidden = table.set_column(table.column_names.index("split"), "split", pa.array(split))
    gone = [
        "nowhere.tar" if kind == "test" else file
        for file, kind in zip(table["file"].to_pylist(), split, strict=True)
    ]
    hidden = hidden.set_column(table.column_names.index("file"), "file", pa.array(gone))
    pretrain(hidden, folder, tmp_path / "run", settings(folder, epochs=2))
    assert not list((tmp_path / "run").glob("left_out*"))


def test_bad_photos_are_reported_and_substituted(small_planet, tmp_path):
    folder, table = small_planet
    shard = (folder / "000001.tar").read_bytes()
    (tmp_path / "short.tar").write_bytes(shard[: len(shard) // 2])
    (tmp_path / "000000.tar").symlink_to(folder / "000000.tar")
    files = ["short.tar" if file == "000001.tar" else file for file in table["file"].to_pylist()]
    files[2] = "missing.tar"
    countries = [None, None, *table["country"].to_pylist()[2:]]
    koppen = ["", "", *table["koppen"].to_pylist()[2:]]
    side = ["", "", *table["driving_side"].to_pylist()[2:]]
    bad = table.drop_columns(["file", "country", "koppen", "driving_side"])
    for name, values in (
        ("file", files), ("country", countries), ("koppen", koppen), ("driving_side", side)
    ):  # fmt: skip
        bad = bad.append_column(name, pa.array(values))
    config = settings(folder, epochs=1, style="location")
    pretrain(bad, tmp_path, tmp_path / "run", config)
    lines = (tmp_path / "run" / "left_out.0.jsonl").read_text()
    reasons = [json.loads(line)["reason"] for line in lines.splitlines()]
    assert any("000001: no metadata to build a caption from" in r for r in reasons)
    assert len([reason for reason in reasons if "short.tar: cut short" in reason]) == 1
    assert len([reason for reason in reasons if "missing.tar" in reason]) == 1
    assert len(losses(tmp_path / "run")) == 4


def test_broken_shard_costs_its_photos_only_and_one_line(small_planet, tmp_path):
    """More photos than may be substituted one after the other are neighbours in it."""
    folder, table = small_planet
    files = [str(folder / file) for file in table["file"].to_pylist()]
    files[:110] = ["missing.tar"] * 110
    index = table.column_names.index("file")
    broken = table.set_column(index, "file", pa.array(files))
    run = tmp_path / "run"
    pretrain(broken, tmp_path, run, settings(folder, epochs=2))
    assert len(losses(run)) == 2 * 4
    assert [line for line in left_out_lines(run) if "missing.tar" not in line] == []
    assert len(left_out_lines(run)) == 1


def test_loss_that_is_no_number_ends_the_run_before_it_is_saved(small_planet, tmp_path):
    folder, table = small_planet
    config = settings(folder, epochs=1, save_every=1)
    run = tmp_path / "run"
    with pytest.raises(CheckpointError, match=r"step 2 has the loss nan.*training diverges"):
        pretrain(table, folder, run, replace(config, learning_rate=float("inf"), warmup=0.0))
    assert steps_saved(run) == ["step-00000001"]


def test_collection_without_readable_photos_stops_the_run(small_planet, tmp_path):
    folder, table = small_planet
    files = pa.array(["missing.tar"] * len(table))
    broken = table.set_column(table.column_names.index("file"), "file", files)
    with pytest.raises(
        TableError, match=r"100 photos drawn one after the other cannot be used.*missing\.tar"
    ):
        pretrain(broken, folder, tmp_path / "run", settings(folder, epochs=1))


def test_full_disk_stops_with_an_error_and_the_run_resumes_later(small_planet, tmp_path, capsys):
    folder, table = small_planet
    config = settings(folder, epochs=2)
    run = tmp_path / "run"

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        code = pretrain_command(folder / "photos.parquet", out=run, config=config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written (File too large (os error 27))" in message
    assert not list(run.glob("checkpoints/*"))
    pretrain(table, folder, run, config)
    pretrain(table, folder, tmp_path / "reference", config)
    assert losses(run) == losses(tmp_path / "reference")


def test_too_few_photos_are_refused(small_planet, tmp_path):
    folder, table = small_planet
    with pytest.raises(TableError, match=r"128 photos to train on are fewer than the 512"):
        pretrain(table, folder, tmp_path / "run", settings(folder, batch=256))


def test_unusable_models_and_tables_are_reported(small_planet, tmp_path, capsys):
    folder, _ = small_planet
    (tmp_path / "towers.json").write_text("{}")
    config = settings(folder, model=str(tmp_path / "towers.json"))
    code = pretrain_command(folder / "photos.parquet", out=tmp_path / "run", config=config)
    assert code == 2
    assert "towers.json: not a model description" in capsys.readouterr().err
    row = {"photo_id": ["a"], "lat": [1.0], "lon": [1.0]}
    pq.write_table(pa.table(row), tmp_path / "photos.parquet")
    code = pretrain_command(tmp_path / "photos.parquet", out=tmp_path / "run", config=config)
    assert code == 2
    message = capsys.readouterr().err
    assert "column country, file, offset, size is" in message
    assert "geoloc-train enrich" in message
