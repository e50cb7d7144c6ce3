"""Embeddings of whole tables: resumed, the same on a cluster, no photo silently missing."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest

from geoloc.encoders.registry import build_encoder, describe
from geoloc.errors import TableError
from tests.embedding import embed_images
from tests.training.planet import make_planet, write_towers
from training.data.loading import load_photo
from training.embed import table as embed_table
from training.embed.table import embed_table as embed
from training.pretrain import clip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planet")
    towers = clip.build(str(write_towers(folder)))
    clip.write(folder / "model", towers, towers.model.state_dict(), {})
    return folder, make_planet(folder, 90), describe(f"open_clip_tokens:local-dir:{folder}/model")


def test_every_photo_has_its_embedding(world, tmp_path):
    folder, table, spec = world
    done = embed(table, folder, spec, None, tmp_path / "out")
    assert done.photos.equals(table)
    assert done.embeddings.dtype == np.float16
    images = [load_photo(table, folder, row).image for row in (0, 47, 89)]
    wanted = embed_images(build_encoder(spec), images)
    assert (done.embeddings[[0, 47, 89]] * wanted).sum(axis=1).min() > 0.999
    assert done.problems == []


def test_what_is_done_is_not_repeated(world, tmp_path, monkeypatch):
    folder, table, spec = world
    monkeypatch.setattr(embed_table, "PART", 32)
    counted: list[int] = []
    first = embed(table, folder, spec, None, tmp_path / "out", progress=counted.append)
    assert counted == [0, 32, 32, 26]
    before = (tmp_path / "out" / "embeddings.npy").stat().st_mtime_ns
    counted.clear()
    embed(table, folder, spec, None, tmp_path / "out", progress=counted.append)
    assert counted == [90]
    assert (tmp_path / "out" / "embeddings.npy").stat().st_mtime_ns == before
    shutil.copytree(folder, tmp_path / "moved")
    os.utime(tmp_path / "moved" / "000001.tar")
    counted.clear()
    again = embed(table, tmp_path / "moved", spec, None, tmp_path / "out", progress=counted.append)
    assert counted[0] == 0, "a changed shard is embedded again"
    assert np.array_equal(first.embeddings, again.embeddings)


def test_bad_photos_are_named_and_left_out(world, tmp_path):
    folder, table, spec = world
    files = table["file"].to_pylist()
    files[3] = "nowhere.tar"
    broken = table.set_column(table.column_names.index("file"), "file", pa.array(files))
    done = embed(broken, folder, spec, None, tmp_path / "out")
    assert len(done.problems) == 1
    assert "nowhere.tar" in done.problems[0]
    kept = [row for row in range(90) if row != 3]
    assert done.photos.equals(broken.take(kept))
    assert len(done.embeddings) == 89


def test_nothing_readable_is_an_error(world, tmp_path):
    folder, table, spec = world
    files = pa.array(["nowhere.tar"] * len(table))
    broken = table.set_column(table.column_names.index("file"), "file", files)
    with pytest.raises(TableError, match=r"none of 90 photos can be read: .*nowhere\.tar"):
        embed(broken, folder, spec, None, tmp_path / "out")


SCRIPT = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from geoloc.encoders.registry import describe
from training.embed import table as embed_table
embed_table.PART = 6
folder = Path(sys.argv[1])
spec = describe(f"open_clip_tokens:local-dir:{folder}/model")
embed_table.embed_table(pq.read_table(folder / "photos.parquet"), folder, spec, None,
                        Path(sys.argv[2]), progress=lambda n: print(n, flush=True))
"""


def test_killed_at_any_moment_it_goes_on(world, tmp_path, monkeypatch):
    folder, table, spec = world
    monkeypatch.setattr(embed_table, "PART", 6)
    import pyarrow.parquet as pq

    pq.write_table(table, folder / "photos.parquet")
    calm = embed(table, folder, spec, None, tmp_path / "calm")
    command = [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "out")]
    rng = np.random.default_rng(0)
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[0]) >= 18, "parts of the killed runs are kept"
    again = embed(table, folder, spec, None, tmp_path / "out")
    assert np.array_equal(again.embeddings, calm.embeddings)
    assert not (tmp_path / "out" / "parts").exists()


@pytest.mark.slow
def test_a_cluster_gives_the_same(world, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    folder, table, spec = world
    monkeypatch.setattr(embed_table, "PART", 32)
    here = embed(table, folder, spec, None, tmp_path / "here")
    there = embed(table, folder, spec, None, tmp_path / "there", ray="local")
    ray.shutdown()
    assert here.photos.equals(there.photos)
    assert np.abs(here.embeddings - there.embeddings).max() < 1e-3
