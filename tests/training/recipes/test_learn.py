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
from PIL import Image

pytest.importorskip("torch")

from geocells.sphere import haversine_km
from geoloc import Geolocator
from geoloc.bundle import directory as bundles
from geoloc.errors import TableError
from geoloc.game.places import Places
from geoloc.game.players.log import read_log
from geoloc.guess import Guess
from geoloc.output.text import known_line
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
    """A bundle learned from the folder and a table of some of its photos; the finished command."""
    folder = tmp_path_factory.mktemp("learned")
    lines = [f"{photo_folder}/{number:02}.jpg,1,2" for number in range(3)]
    (folder / "again.csv").write_text("\n".join(["file,lat,lon", *lines]))
    done = learn(
        photo_folder, "again.csv", "-o", "mine.bundle", "--held-out", "held_out.csv", cwd=folder
    )
    return folder / "mine.bundle", done


def test_unreadable_photo_is_reported_and_skipped(learned):
    bundle, done = learned
    assert done.returncode == 1, "some inputs failed"
    assert "damaged.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert (bundle / "bundle.json").is_file()
    assert "Learned from 60 photos" in done.stdout


def test_what_is_left_out_is_counted_in_one_line_each(learned, photo_folder):
    lines = learned[1].stderr.splitlines()
    assert f"note: {photo_folder}: 1 of 62 photos have no GPS coordinates" in lines
    (unreadable,) = [line for line in lines if "damaged.jpg" in line]
    assert unreadable.startswith(
        f"left out: {photo_folder}, again.csv: 1 of 64 photos cannot be read"
    )
    (copies,) = [line for line in lines if "exact copies" in line]
    assert copies.startswith(f"note: {photo_folder}, again.csv: 3 of 63 photos")
    assert [line for line in lines if line.startswith("note: 60 photos are few")]


def test_summary_is_ten_lines_with_the_path_of_the_card(learned):
    bundle, done = learned
    lines = done.stdout.splitlines()
    assert len(lines) <= 10
    assert "| " not in done.stdout
    assert f"model card: {bundle.name}/MODEL_CARD.md" in lines
    (headline,) = [line for line in lines if line.startswith("Photos of a collection the model")]
    assert "at least 5 collections" in headline
    assert [line for line in lines if line.startswith("In collection (photos): median error")]


def test_bundle_covers_the_world_and_names_its_prior_of_use(learned):
    manifest = json.loads((learned[0] / "bundle.json").read_text())
    assert manifest["prior_of_use"] == "world", "photos of three continents"
    ranker = bundles.load(learned[0]).ranker
    assert len(np.unique(ranker.cells.country)) > 200
    assert len(ranker.cells) > 500


def test_bundle_answers_new_photos(learned, photo_folder):
    geolocator = Geolocator.from_bundle(learned[0])
    rng = np.random.default_rng(99)
    for style, (lat, lon) in enumerate(PLACES):
        guess = geolocator.locate(draw_photo(style, rng))
        assert (guess.lat, guess.lon) == pytest.approx((lat, lon), abs=0.5)
        assert guess.radius_80_km > 1


def test_screenshot_of_a_learned_photo_is_recognised_as_a_copy(learned, photo_folder):
    geolocator = Geolocator.from_bundle(learned[0])
    photo = Image.open(photo_folder / "03.jpg")
    screen = Image.new("RGB", (480, 900), "black")
    screen.paste(photo.resize((480, 360)), (0, 250))
    truth = geolocator.locate(photo).exif
    guess = geolocator.locate(screen)
    assert guess.copy_of is not None
    assert (guess.lat, guess.lon) == pytest.approx((truth.lat, truth.lon), abs=1e-4)
    assert (guess.confidence, guess.radius_80_km) == ("city", pytest.approx(0.1))
    assert guess.candidates[0].probability > 0.9
    assert known_line(guess).startswith("A copy of a known photo")
    assert Guess.from_dict(json.loads(json.dumps(guess.to_dict()))) == guess
    assert geolocator.locate_together([screen, photo]).copy_of is not None
    assert geolocator.locate(screen, within="Japan").copy_of is None, "the place is excluded"
    new = draw_photo(0, np.random.default_rng(99))
    assert geolocator.locate(new).copy_of is None
    assert geolocator.locate_together([screen, new, new.rotate(180)]).copy_of is None


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
    common = photo_folder.parent  # of the two inputs
    names = np.array([str(Path(file).relative_to(common)) for file in manifest.file], dtype=object)
    places = Places(names, manifest.latlon, ((Path(),),) * len(names), names)
    answers = np.array([(answer.lat, answer.lon) for answer in players[2].ask(places, 15.0)])
    assert (haversine_km(answers, manifest.latlon) < 25).mean() > 0.8


def test_second_run_uses_cached_embeddings_and_gives_the_same_metrics(learned, photo_folder):
    bundle, _ = learned
    shards = list((bundle.parent / "cache").rglob("*.sqlite"))
    assert shards
    before = {shard: shard.stat().st_mtime_ns for shard in shards}
    again = learn(photo_folder, "-o", "again.bundle", cwd=bundle.parent)
    assert again.returncode == 1
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


def copy_photos(photo_folder: Path, target: Path, count: int, start: int = 0) -> Path:
    target.mkdir()
    for number in range(start, start + count):
        shutil.copy(photo_folder / f"{number:02}.jpg", target)
    return target


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_few_photos_are_refused(photo_folder, tmp_path, count):
    library = copy_photos(photo_folder, tmp_path / "library", count)
    shutil.copy(photo_folder / "without.jpg", library)
    with pytest.raises(TableError, match="library"):
        recipe(library, tmp_path / "few.bundle", cache=tmp_path / "cache")
    assert not (tmp_path / "few.bundle").exists()


def test_photos_of_two_places_are_refused_unless_forced(photo_folder, tmp_path):
    lines = ["file,lat,lon,group"]
    for n in range(24):
        shutil.copy(photo_folder / f"{n:02}.jpg", tmp_path)
        lines.append(f"{n:02}.jpg,{48.8 + n % 3 // 2},2.3,walk {n % 3 // 2}")
    (tmp_path / "two.csv").write_text("\n".join(lines))
    with pytest.raises(TableError, match=r"24 usable geotagged photos of 2 places.*--force"):
        recipe(tmp_path / "two.csv", tmp_path / "two.bundle", cache=tmp_path / "cache")


def test_photos_of_a_single_group_are_refused(photo_folder, tmp_path):
    lines = ["file,lat,lon,group", *(f"{n:02}.jpg,48.8,2.3,walk" for n in range(6))]
    for n in range(6):
        shutil.copy(photo_folder / f"{n:02}.jpg", tmp_path)
    (tmp_path / "one.csv").write_text("\n".join(lines))
    with pytest.raises(TableError, match="one place or group"):
        recipe(tmp_path / "one.csv", tmp_path / "one.bundle", cache=tmp_path / "cache", force=True)


def test_rows_without_coordinates_are_reported_and_left_out(tmp_path):
    (tmp_path / "bad.csv").write_text(
        "file,lat,lon,group,precision_km\na/x.jpg,48.1,2.1,g,1\na/y.jpg,nan,2,g,1\n"
        "b/z.jpg,91,0,h,2\nb/w.jpg,-33,151,h,\nv.jpg,,,h,\nu.jpg,0,0.0,h,\n"
    )
    table, skipped = photo_table.read(tmp_path / "bad.csv")
    assert [Path(file).name for file in table.file] == ["x.jpg", "w.jpg"]
    assert table.folder.tolist() == ["a", "b"]
    assert table.precision_km.tolist() == [1.0, 0.0]
    name = tmp_path / "bad.csv"
    assert skipped.problems == (
        f"{name}: 2 of 6 rows have no coordinates in -90..90 and -180..180 degrees"
        " (a/y.jpg in row 3, b/z.jpg in row 4)",
        f"{name}: 1 of 6 rows have the coordinates 0, 0, which stand for no position"
        " (u.jpg in row 7)",
    )
    assert skipped.notes == (f"{name}: 1 of 6 rows have no coordinates (v.jpg in row 6)",)


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
