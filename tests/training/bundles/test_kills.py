"""A process that is killed while it changes a bundle leaves the old one, or the new one, whole."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory
from geoloc.bundle.change import changing
from geoloc.io.digests import sha256
from tests.geoloc.bundle.publisher import Publisher
from tests.training.bundles import made
from tests.training.bundles.test_galleries import write_table
from training.bundles import galleries, own
from training.bundles.joining import NO_PACK
from training.bundles.stored import joined
from training.calibrate.fit import UNFITTED
from training.gallery.cluster import build_gallery

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="names are exchanged in one step on Linux"),
]

ROOT = Path(__file__).parents[3]
OLD, NEW = made.library(1, 4, 10), made.library(2, 2, 10)


def write_own_pack(folder: Path) -> None:
    """Add the old photos to a bundle, without fitting anything."""
    bundle = directory.load(folder)
    features = bundle.ranker.heads.features(OLD.embeddings)
    gallery = build_gallery(OLD.manifest, features, bundle.cells)
    ranker = Ranker(bundle.cells, bundle.ranker.heads, gallery, UNFITTED)
    facts = {"calibrated on": 0, "measured": {}}
    with changing(folder, folder) as change:
        own.OwnPack(OLD, ranker, NO_PACK, own.copies_of(OLD, ranker, 1.0), facts).write(change)


def keep_adding(folder: Path) -> None:
    """Add the new photos and remove them again, for ever."""
    for _ in itertools.count():
        own.rewrite(directory.load(folder), folder, folder, joined([OLD, NEW]))
        print("begun", flush=True)
        own.rewrite(directory.load(folder), folder, folder, OLD)


def keep_building(world: Path, table: Path, out: Path) -> None:
    """Build a pack over an older one, for ever; its calibration is left out."""
    galleries._calibrate = lambda *given: (UNFITTED, NO_PACK, {})
    for _ in itertools.count():
        galleries.build_gallery_pack(world, [table], out)
        print("begun", flush=True)


def killed(call: str, check: Callable[[], None], rounds: int = 6) -> None:
    """Kill a process at random moments of what it does for ever; check what it leaves."""
    rng = random.Random(0)
    code = f"from pathlib import Path; from {__name__} import *; {call}"
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:  # fmt: skip
            assert process.stdout.readline() == b"begun\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.0, 2.0))
            process.send_signal(signal.SIGKILL)
        check()


def test_bundle_is_whole_when_adding_or_removing_is_killed(world):
    write_own_pack(world)

    def check():
        directory.verify(world)
        (pack,) = directory.load(world).packs
        assert len(pack.ranker.gallery.members) in (len(OLD.manifest), len(OLD.manifest) + 20)

    killed(f"keep_adding(Path({str(world)!r}))", check)
    own.rewrite(directory.load(world), world, world, OLD)
    assert [path.name for path in world.parent.iterdir() if path.is_dir()] == [world.name]


def test_pack_is_whole_when_building_it_is_killed(world, tmp_path):
    table, out = write_table(tmp_path / "photos.parquet"), tmp_path / "packs" / "portugal"

    def check():
        label = json.loads((out / galleries.LABEL).read_text())
        assert label["sha256"] == {
            path.name: sha256(path) for path in out.iterdir() if path.name != galleries.LABEL
        }

    paths = ", ".join(f"Path({str(path)!r})" for path in (world, table, out))
    killed(f"keep_building({paths})", check, rounds=4)


@pytest.fixture
def installed(world, tmp_path, monkeypatch):
    """An installed bundle, and the folder of a newer one."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    target = tmp_path / "data" / "planet-geoloc" / "bundles" / "world"
    shutil.copytree(world, target)
    with changing(world, tmp_path / "newer") as change:
        change.file("MODEL_CARD.md").write_text("newer")
        np.save(change.file("more.data").open("wb"), np.random.default_rng(0).bytes(2_000_000))
    return target, tmp_path / "newer"


def test_bundle_is_whole_when_a_download_is_killed_and_the_next_one_resumes(installed):
    target, newer = installed
    before = {path.name: sha256(path) for path in target.iterdir()}
    with Publisher(newer) as server:
        command = [sys.executable, "-m", "geoloc", "bundle", "get", server.address]
        server.hang_after["more.data"] = 1_500_000
        with subprocess.Popen([*command, "--name", "world"], cwd=ROOT) as process:
            while "more.data" not in [name for name, _ in server.requests]:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
                assert process.returncode is None
            process.send_signal(signal.SIGKILL)
        assert {path.name: sha256(path) for path in target.iterdir()} == before
        server.hang_after.clear()
        subprocess.run([*command, "--name", "world", "--quiet"], cwd=ROOT, check=True)
    assert directory.verify(target)["sha256"] == directory.verify(newer)["sha256"]
    assert [path.name for path in target.parent.iterdir()] == ["world"]
