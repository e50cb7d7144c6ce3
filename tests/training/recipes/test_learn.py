"""The recipe `learn`: a bundle from a folder of photos, as a whole process and in this one."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from geocells.sphere import haversine_km
from geoloc import Geolocator
from geoloc.errors import TableError
from geoloc.game.places import Places
from geoloc.game.players.log import read_log
from tests.scenes import PLACES, draw_photo
from training.data import manifest as photo_table
from training.recipes.learn import learn as recipe


def learn(*arguments: object, cwd: Path, max_file_bytes: int | None = None):
    """Run `geoloc-train learn` as a process whose files cannot grow beyond a size."""

    def limit() -> None:
        if max_file_bytes:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))

    command = [sys.executable, "-m", "training", "learn", *map(str, arguments)]
    return subprocess.run(
        [*command, "--cache", cwd / "cache"], cwd=cwd, capture_output=True, text=True, check=False,
        preexec_fn=limit,
    )  # fmt: skip


@pytest.fixture(scope="module")
def learned(photo_folder, tmp_path_factory):
    """A bundle learned from the folder, and the finished command."""
    folder = tmp_path_factory.mktemp("learned")
    done = learn(photo_folder, "-o", "mine.bundle", "--held-out", "held_out.csv", cwd=folder)
    return folder / "mine.bundle", done


def test_unreadable_photo_is_reported_and_skipped(learned):
    bundle, done = learned
    assert done.returncode == 2, "exit code of unusable inputs"
    assert "damaged.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert (bundle / "bundle.json").is_file()
    assert "Learned from 60 photos" in done.stdout


def test_bundle_answers_new_photos(learned, photo_folder):
    geolocator = Geolocator.from_bundle(learned[0])
    rng = np.random.default_rng(99)
    for style, (lat, lon) in enumerate(PLACES):
        guess = geolocator.locate(draw_photo(style, rng))
        assert (guess.lat, guess.lon) == pytest.approx((lat, lon), abs=0.5)
        assert guess.radius_km > 1


def test_held_out_results_are_in_bundle_and_card(learned):
    metrics = json.loads((learned[0] / "bundle.json").read_text())["metrics"]["photos"]
    assert metrics["accuracy"]["full"]["photos"] == 60
    assert metrics["accuracy"]["full"]["within"]["25"] > 0.8
    assert metrics["accuracy"]["full"]["country"] > metrics["accuracy"]["prior"]["country"]
    card = (learned[0] / "MODEL_CARD.md").read_text()
    assert "80 % radius" in card


def test_held_out_answers_can_play_the_game(learned, photo_folder):
    players = read_log(learned[0].with_name("held_out.csv"), "", seed=0)
    methods = ["cell", "classifier", "full", "nearest photo", "prior"]
    assert [player.name for player in players] == methods
    manifest, _ = photo_table.read(photo_folder)
    names = np.array([Path(file).name for file in manifest.file], dtype=object)
    places = Places(names, manifest.latlon, ((Path(),),) * len(names), names)
    answers = np.array([(answer.lat, answer.lon) for answer in players[2].ask(places, 15.0)])
    assert (haversine_km(answers, manifest.latlon) < 25).mean() > 0.8


def test_second_run_uses_cached_embeddings_and_gives_the_same_metrics(learned, photo_folder):
    bundle, _ = learned
    shards = list((bundle.parent / "cache").rglob("*.sqlite"))
    assert shards
    before = {shard: shard.stat().st_mtime_ns for shard in shards}
    again = learn(photo_folder, "-o", "again.bundle", cwd=bundle.parent)
    assert again.returncode == 2
    assert {s: s.stat().st_mtime_ns for s in (bundle.parent / "cache").rglob("*.sqlite")} == before
    first, second = (json.loads((bundle.parent / name / "bundle.json").read_text())["metrics"]
                     for name in ("mine.bundle", "again.bundle"))  # fmt: skip
    assert first == second


def test_full_disk_leaves_no_partial_bundle(learned, photo_folder):
    bundle, _ = learned
    done = learn(photo_folder, "-o", "full.bundle", cwd=bundle.parent, max_file_bytes=2_000_000)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "full.bundle" in last
    assert "free some space" in last
    assert "Traceback" not in done.stderr
    assert not [path.name for path in bundle.parent.iterdir() if "full" in path.name]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_photos_are_refused(photo_folder, tmp_path, count):
    library = tmp_path / "library"
    library.mkdir()
    for number in range(count):
        shutil.copy(photo_folder / f"{number:02}.jpg", library)
    shutil.copy(photo_folder / "without.jpg", library)
    with pytest.raises(TableError, match="library"):
        recipe(library, tmp_path / "few.bundle", cache=tmp_path / "cache")
    assert not (tmp_path / "few.bundle").exists()


def test_photos_of_a_single_group_are_refused(photo_folder, tmp_path):
    lines = ["file,lat,lon,group", *(f"{n:02}.jpg,48.8,2.3,walk" for n in range(6))]
    for n in range(6):
        shutil.copy(photo_folder / f"{n:02}.jpg", tmp_path)
    (tmp_path / "one.csv").write_text("\n".join(lines))
    with pytest.raises(TableError, match="one place or group"):
        recipe(tmp_path / "one.csv", tmp_path / "one.bundle", cache=tmp_path / "cache")


def test_rows_without_coordinates_are_reported_and_left_out(tmp_path):
    (tmp_path / "bad.csv").write_text(
        "file,lat,lon,group,precision_km\na/x.jpg,48.1,2.1,g,1\na/y.jpg,nan,2,g,1\n"
        "b/z.jpg,91,0,h,2\nb/w.jpg,-33,151,h,\nv.jpg,,,h,\n"
    )
    table, problems = photo_table.read(tmp_path / "bad.csv")
    assert [Path(file).name for file in table.file] == ["x.jpg", "w.jpg"]
    assert table.folder.tolist() == ["a", "b"]
    assert table.precision_km.tolist() == [1.0, 0.0]
    assert len(problems) == 3
    assert all("bad.csv" in line and "expected -90..90" in line for line in problems)
    assert "row 3 (a/y.jpg)" in problems[0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.csv", None, "no such"),
        ("columns.csv", "title,lat,lon\nx.jpg,1,2\n", "column file is missing"),
        ("text.parquet", "text", "not a readable"),
        ("empty.csv", "", "not a readable"),
    ],
)
def test_unusable_table_is_refused(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=reason) as caught:
        photo_table.read(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
