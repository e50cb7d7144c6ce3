"""Embeddings of photo tables: resumed after a kill, equal on a cluster, bad photos reported."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from geoloc.encoders.registry import build_encoder, describe
from geoloc.errors import TableError
from tests.embedding import embed_images
from training.data.packed import load_photo
from training.embed import table as module
from training.embed.table import embed_table


@pytest.fixture(scope="module")
def planet(small_planet):
    """Folder, table of 90 photos and the spec of the tiny image tower."""
    folder, table = small_planet
    return folder, table.slice(0, 90), describe(f"open_clip_tokens:local-dir:{folder}/model")


def test_every_photo_has_its_embedding(planet, tmp_path):
    folder, table, spec = planet
    done = embed_table(table, folder, spec, None, tmp_path / "out")
    assert done.photos.equals(table)
    assert done.embeddings.dtype == np.float16
    images = [load_photo(table, folder, row).image for row in (0, 47, 89)]
    expected = embed_images(build_encoder(spec), images)
    assert (done.embeddings[[0, 47, 89]] * expected).sum(axis=1).min() > 0.999
    assert done.problems == []


def test_embedded_parts_are_not_embedded_again(planet, tmp_path, monkeypatch):
    folder, table, spec = planet
    monkeypatch.setattr(module, "PART", 32)
    counted: list[int] = []
    first = embed_table(table, folder, spec, None, tmp_path / "out", progress=counted.append)
    assert counted == [0, 32, 32, 26]
    before = (tmp_path / "out" / "embeddings.npy").stat().st_mtime_ns
    counted.clear()
    embed_table(table, folder, spec, None, tmp_path / "out", progress=counted.append)
    assert counted == [90]
    assert (tmp_path / "out" / "embeddings.npy").stat().st_mtime_ns == before
    shutil.copytree(folder, tmp_path / "moved")
    os.utime(tmp_path / "moved" / "000001.tar")
    counted.clear()
    again = embed_table(
        table, tmp_path / "moved", spec, None, tmp_path / "out", progress=counted.append
    )
    assert counted[0] == 0, "a changed shard is embedded again"
    assert np.array_equal(first.embeddings, again.embeddings)


def test_unreadable_photos_are_reported_and_skipped(planet, tmp_path):
    folder, table, spec = planet
    files = table["file"].to_pylist()
    files[3] = "nowhere.tar"
    broken = table.set_column(table.column_names.index("file"), "file", pa.array(files))
    done = embed_table(broken, folder, spec, None, tmp_path / "out")
    assert len(done.problems) == 1
    assert "nowhere.tar" in done.problems[0]
    kept = [row for row in range(90) if row != 3]
    assert done.photos.equals(broken.take(kept))
    assert len(done.embeddings) == 89


def test_cut_shard_is_one_line(planet, tmp_path):
    folder, table, spec = planet
    shutil.copytree(folder, tmp_path / "cut")
    shard = tmp_path / "cut" / table["file"][0].as_py()
    os.truncate(shard, 2048)
    done = embed_table(table, tmp_path / "cut", spec, None, tmp_path / "out")
    assert len(done.problems) == 1
    assert done.problems[0] == f"{shard}: cut short; fetch the shard again"
    assert 0 < len(done.photos) < len(table)


def test_embedding_that_is_no_number_is_left_out(planet, tmp_path, monkeypatch):
    folder, table, spec = planet
    build = module.build_encoder

    def damaged(*arguments):
        encoder = build(*arguments)
        embed = encoder.embed

        def embed_with_nan(pixels):
            vectors = embed(pixels)
            vectors[3, 5] = np.nan
            return vectors

        encoder.embed = embed_with_nan
        return encoder

    monkeypatch.setattr(module, "build_encoder", damaged)
    done = embed_table(table, folder, spec, None, tmp_path / "out")
    assert done.problems[0] == "000003: its embedding holds NaN; check the weights of the encoder"
    assert len(done.photos) == 90 - len(done.problems)
    assert np.isfinite(done.embeddings).all()


def test_table_without_readable_photos_is_refused(planet, tmp_path):
    folder, table, spec = planet
    files = pa.array(["nowhere.tar"] * len(table))
    broken = table.set_column(table.column_names.index("file"), "file", files)
    with pytest.raises(TableError, match=r"none of 90 photos can be read: .*nowhere\.tar"):
        embed_table(broken, folder, spec, None, tmp_path / "out")


KILLED_RUN = """
import os, signal, sys
from pathlib import Path

import numpy as np
import open_clip  # once, not in every child
import pyarrow.parquet as pq
from geoloc.encoders.registry import describe
from training.embed import table as module

module.PART = 6
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
table = pq.read_table(folder / "photos.parquet").slice(0, 90)
spec = describe(f"open_clip_tokens:local-dir:{folder}/model")

def embed(progress=print):
    module.embed_table(table, folder, spec, None, out, progress=progress)

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def killed_after_two_parts():
    done = []
    embed(lambda count: die() if len(done) == 2 else done.append(count))

def killed_while_a_part_is_written():
    savez, written = np.savez, []

    def partly(file, **arrays):
        if written:
            file.write(b"half")
            file.flush()
            die()
        written.append(file)
        savez(file, **arrays)

    np.savez = partly
    embed()

def killed_while_parts_are_joined():
    module.pq.write_table = die
    embed()

for run in (killed_after_two_parts, killed_while_a_part_is_written, killed_while_parts_are_joined):
    child = os.fork()
    if not child:
        run()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, run
embed()
"""


@pytest.mark.slow
def test_killed_run_keeps_its_parts_and_gives_the_undisturbed_result(planet, tmp_path, monkeypatch):
    folder, table, spec = planet
    command = [sys.executable, "-u", "-c", KILLED_RUN, str(folder), str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = [int(line) for line in done.stdout.splitlines()]
    assert counts[0] == 12, "two parts of the first run are kept"
    assert counts[2] == 18, "the complete part of the second run is kept"
    assert counts[-1] == 90, "nothing is left to embed"
    monkeypatch.setattr(module, "PART", 6)
    undisturbed = embed_table(table, folder, spec, None, tmp_path / "undisturbed")
    again = embed_table(table, folder, spec, None, tmp_path / "killed")
    assert np.array_equal(again.embeddings, undisturbed.embeddings)
    assert not (tmp_path / "killed" / "parts").exists()


@pytest.mark.slow
def test_ray_cluster_gives_the_same_embeddings(planet, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    folder, table, spec = planet
    monkeypatch.setattr(module, "PART", 32)
    here = embed_table(table, folder, spec, None, tmp_path / "here")
    there = embed_table(table, folder, spec, None, tmp_path / "there", ray="local")
    ray.shutdown()
    assert here.photos.equals(there.photos)
    assert np.abs(here.embeddings - there.embeddings).max() < 1e-3
