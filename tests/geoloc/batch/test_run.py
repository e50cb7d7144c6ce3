"""Batches that are killed, repeated, changed and damaged: every photo has one row."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from geoloc.batch.answers import part_path
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.signatures import SIDE
from geoloc.errors import GeolocError, PhotoError
from geoloc.guess import Guess
from tests.geoloc.batch.library import DAMAGED, RecordingReporter, answer, draw

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    for number in range(30):
        draw(tmp_path / "in" / f"{number:02}.jpg", number)
    return tmp_path / "in"


def rows(out):
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def failed(out):
    return [
        json.loads(line)
        for line in (out.parent / f"{out.name}.errors.jsonl").read_text().splitlines()
    ]


def test_answers_are_in_order_and_agree_with_locate(quick, folder, tmp_path):
    done = answer([folder], tmp_path / "out.jsonl")
    assert (done.answers, done.photos, done.failed) == (30, 30, 0)
    found = rows(tmp_path / "out.jsonl")
    files = [str(folder / f"{number:02}.jpg") for number in range(30)]
    assert [row["photo"] for row in found] == files
    for row, guess in zip(found, quick.locate_many(files), strict=True):
        assert (row["lat"], row["lon"]) == pytest.approx((guess.lat, guess.lon), abs=0.2)
    assert failed(tmp_path / "out.jsonl") == []


def test_answers_are_restored_from_json(quick, folder):
    guess = quick.locate(folder / "00.jpg")
    assert guess.to_dict() == dataclasses.asdict(guess)
    assert Guess.from_dict(json.loads(json.dumps(guess.to_dict()))) == guess


KILLS = """
import os, random, signal, sys, time
from pathlib import Path

from geoloc.geolocator import Geolocator
from geoloc.photos import storage
from tests.geoloc.batch.library import answer, quick_geolocator

folder, place, duration_s, moments = Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:])
quick = quick_geolocator()
Geolocator.from_bundle = classmethod(lambda cls, name, form=None: quick)
rng = random.Random(0)


def die_before_part(number):
    write, parts = storage.write, []

    def write_or_die(path, content):
        if path.endswith(".zst"):
            parts.append(path)
        if len(parts) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    storage.write = write_or_die


for moment in range(int(moments)):
    out = place / f"killed{moment}" / "out.jsonl"
    out.parent.mkdir()
    child = os.fork()
    if not child:
        if moment % 2 == 0:
            die_before_part(2 + moment // 2 % 7)
        answer([folder], out)
        os._exit(0)
    if moment % 2:
        while not (out.parent / "out.jsonl.work").exists():
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 1.2 * duration_s))
        os.kill(child, signal.SIGKILL)  # if it has ended, it is a zombie, and this has no effect
    os.waitpid(child, 0)
"""
"""Runs a batch again and again, and kills it: every other time before the second to eighth part is
stored, and else at a random time. Without threads, so that it can be forked safely."""


@pytest.mark.parametrize(
    "moments", [pytest.param(4, id="four"), pytest.param(20, id="twenty", marks=pytest.mark.slow)]
)
def test_killed_run_continues_to_the_same_bytes(quick, folder, tmp_path, moments):
    (folder / "07.jpg").write_bytes(DAMAGED)
    (tmp_path / "undisturbed").mkdir()
    start = time.perf_counter()
    answer([folder], tmp_path / "undisturbed" / "out.jsonl")
    duration_s = time.perf_counter() - start
    expected = sorted((tmp_path / "undisturbed" / "out.jsonl").read_bytes().splitlines())
    driver = [sys.executable, "-c", KILLS, folder, tmp_path, str(duration_s), str(moments)]
    subprocess.run(driver, cwd=ROOT, check=True)
    outs = [tmp_path / f"killed{moment}" / "out.jsonl" for moment in range(moments)]
    stored = [len(list(out.parent.glob("out.jsonl.work/parts/*.zst"))) for out in outs]
    assert stored[::2] == [1 + moment // 2 % 7 for moment in range(0, moments, 2)]
    for out in outs:
        answer([folder], out)
        assert sorted(out.read_bytes().splitlines()) == expected
        assert len(failed(out)) == 1
        names = {path.name for path in out.parent.iterdir()}
        assert names == {"out.jsonl", "out.jsonl.errors.jsonl", ".out.jsonl.batch.json", "cache"}


def test_finished_run_is_not_repeated(quick, folder, tmp_path):
    out = tmp_path / "out.jsonl"
    answer([folder], out)
    before = out.stat().st_mtime_ns, quick.encoder.embedded
    report = RecordingReporter()
    done = answer([folder], out, report)
    assert (out.stat().st_mtime_ns, quick.encoder.embedded) == before
    assert (report.already, done.answers) == (30, 30)
    out.unlink()
    assert answer([folder], out, report).answers == len(rows(out)) == 30
    assert quick.encoder.embedded == before[1], "embeddings are in the cache"


def test_changed_new_and_removed_photos_are_noticed(quick, folder, tmp_path):
    out = tmp_path / "out.jsonl"
    answer([folder], out)
    first = {row["photo"]: row for row in rows(out)}
    quick.encoder.embedded = 0
    report = RecordingReporter()
    draw(folder / "05.jpg", 999)
    answer([folder], out, report)
    assert quick.encoder.embedded == 1, "unchanged photos are in the cache"
    second = {row["photo"]: row for row in rows(out)}
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {str(folder / "05.jpg")}
    draw(folder / "031.jpg", 31)
    (folder / "20.jpg").unlink()
    answer([folder], out, keep_work=True)
    assert [row["photo"] for row in rows(out)] == sorted(map(str, folder.iterdir()))
    parts = {path.name for path in (tmp_path / "out.jsonl.work" / "parts").iterdir()}
    assert len(parts) == 8, "parts of earlier plans are removed"


def test_changed_settings_give_new_answers(quick, folder, tmp_path):
    out = tmp_path / "out.jsonl"
    answer([folder], out)
    answer([folder], out, top=1, within="-33.87,151.21,30km")
    assert {len(row["candidates"]) for row in rows(out)} == {1}
    assert all(row["within"] for row in rows(out))


def test_damaged_photos_are_reported_and_all_others_answered(quick, tmp_path):
    folder = tmp_path / "in"
    for number in range(96):
        draw(folder / f"{number:03}.jpg", number)
    damaged = list(range(0, 96, 7))
    for number in damaged:
        (folder / f"{number:03}.jpg").write_bytes([b"", DAMAGED][number % 2])
    report = RecordingReporter()
    done = answer([folder], tmp_path / "out.jsonl", report, part_size=64)
    assert (done.answers, done.failed) == (96 - len(damaged), len(damaged))
    names = [f"{folder}/{number:03}.jpg" for number in range(96)]
    answered = [row["photo"] for row in rows(tmp_path / "out.jsonl")]
    bad = [row["photo"] for row in failed(tmp_path / "out.jsonl")]
    assert answered == [name for n, name in enumerate(names) if n not in damaged]
    assert bad == [names[number] for number in damaged]
    assert len(report.lines) == len(damaged)
    assert answer([folder], tmp_path / "out.jsonl", part_size=64) == done


def test_files_that_cannot_be_opened_are_tried_again(quick, folder, tmp_path):
    (tmp_path / "list.csv").write_text("file,n\nin/00.jpg,1\nin/later.jpg,2\n")
    out = tmp_path / "out.jsonl"
    assert answer([tmp_path / "list.csv"], out).failed == 1
    assert failed(out)[0]["n"] == "2"
    assert answer([tmp_path / "list.csv"], out).failed == 1
    draw(folder / "later.jpg", 77)
    assert answer([tmp_path / "list.csv"], out).failed == 0
    assert [row["n"] for row in rows(out)] == ["1", "2"]


def test_batch_without_answers_is_an_error(quick, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(GeolocError, match="no photos in it"):
        answer([tmp_path / "in"], tmp_path / "out.jsonl")
    (tmp_path / "in" / "a.jpg").write_bytes(DAMAGED)
    for _ in range(2):
        with pytest.raises(GeolocError, match=r"none of 1 photos can be answered; see .*errors"):
            answer([tmp_path / "in"], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    assert len(failed(tmp_path / "out.jsonl")) == 1


def test_fail_fast_stops_at_the_first_failure(quick, folder, tmp_path):
    (folder / "10.jpg").write_bytes(DAMAGED)
    (folder / "20.jpg").write_bytes(DAMAGED)
    for name in (
        "10.jpg",
        "20.jpg",
        "10.jpg",
    ):  # later photos are answered, but no output is written
        with pytest.raises(PhotoError, match=name):
            answer([folder], tmp_path / "out.jsonl", fail_fast=True)
    assert not (tmp_path / "out.jsonl").exists()
    answer([folder], tmp_path / "out.jsonl")
    with pytest.raises(PhotoError, match=r"10\.jpg"):
        answer([folder], tmp_path / "out.jsonl", fail_fast=True)


def test_photos_of_one_place_get_one_answer(quick, folder, tmp_path):
    lines = [f"in/{number:02}.jpg,{'ab'[number % 2]},s{number % 2},{number}" for number in range(9)]
    (folder / "04.jpg").write_bytes(DAMAGED)
    (tmp_path / "list.csv").write_text("\n".join(["file,place,street,n", *lines, "in/20.jpg,,,"]))
    done = answer([tmp_path / "list.csv"], tmp_path / "out.jsonl", group_by="place")
    assert (done.answers, done.photos, done.failed) == (3, 10, 1)
    a, b, alone = rows(tmp_path / "out.jsonl")
    assert [(row["photo"], len(row["photos"])) for row in (a, b)] == [("a", 4), ("b", 4)]
    assert (alone["photo"], len(alone["photos"])) == (str(folder / "20.jpg"), 1)
    assert (a["input_place"], a["street"]) == ("a", "s0"), "columns that all photos share"
    assert "n" not in a
    files = [folder / f"{number:02}.jpg" for number in (0, 2, 6, 8)]
    guess = quick.locate_together(files)
    assert (a["lat"], a["lon"]) == pytest.approx((guess.lat, guess.lon), abs=0.2)


def test_photos_of_one_folder_get_one_answer(quick, tmp_path):
    for number in range(12):
        draw(tmp_path / "in" / f"place {number % 3}" / f"{number}.jpg", number)
    answer([tmp_path / "in"], tmp_path / "out.jsonl", group_by="folder", part_size=3)
    assert [(row["photo"], len(row["photos"])) for row in rows(tmp_path / "out.jsonl")] == [
        (f"{tmp_path}/in/place {number}", 4) for number in range(3)
    ]


def test_damaged_part_is_reported_with_its_name(quick, folder, tmp_path):
    out = tmp_path / "out.jsonl"
    answer([folder], out, keep_work=True)
    part = next((tmp_path / "out.jsonl.work" / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-20])
    out.unlink()
    with pytest.raises(GeolocError, match=part.name):
        answer([folder], out)
    part.unlink()
    assert answer([folder], out).answers == 30


FORMATS = ["jsonl", "csv", "geojson", "kml", "parquet", "html"]


@pytest.mark.parametrize("ending", FORMATS)
def test_file_that_no_batch_wrote_is_never_overwritten(quick, folder, tmp_path, ending):
    out = tmp_path / "new" / f"out.{ending}"
    answer([folder], out)
    draw(folder / "05.jpg", 999)
    answer([folder], out)  # its own output, of other photos
    written = out.read_bytes()
    out.write_bytes(written + b" ")  # changed by the user
    for name in (out.name, f"mine.{ending}"):
        (out.parent / f"mine.{ending}").write_bytes(b"mine")
        before = {path: path.read_bytes() for path in out.parent.iterdir() if path.is_file()}
        with pytest.raises(GeolocError, match=rf"{name}: not overwritten.*move it away"):
            answer([folder], out.with_name(name))
        after = {path: path.read_bytes() for path in out.parent.iterdir() if path.is_file()}
        assert after == before
    out.rename(out.with_name("moved"))
    answer([folder], out)
    assert out.read_bytes() == written


def test_list_is_not_overwritten_by_its_own_answers(quick, folder, tmp_path):
    (tmp_path / "list.csv").write_text("file\nin/00.jpg\n")
    with pytest.raises(GeolocError, match="not overwritten"):
        answer([tmp_path / "list.csv"], tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_text() == "file\nin/00.jpg\n"


def test_file_that_appears_during_the_run_is_not_overwritten(quick, folder, tmp_path):
    out = tmp_path / "out.csv"

    class Interferes(RecordingReporter):
        def stage(self, name, total=None):
            if name == "writing answers":
                out.write_text("mine")

    with pytest.raises(GeolocError, match="not overwritten"):
        answer([folder], out, Interferes())
    assert out.read_text() == "mine"
    assert (tmp_path / "out.csv.work").is_dir(), "nothing has to be answered again"
    out.unlink()
    report = RecordingReporter()
    assert answer([folder], out, report).answers == 30


@pytest.mark.parametrize("moment", ["before", "after"])
def test_run_that_dies_while_it_renames_its_output_continues(
    quick, folder, tmp_path, monkeypatch, moment
):
    out = tmp_path / "out.csv"
    answer([folder], out)
    first = out.read_bytes()
    draw(folder / "05.jpg", 999)
    replace = Path.replace

    def die(path, target):
        if Path(target).name == "out.csv":
            if moment == "after":
                replace(path, target)
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        answer([folder], out)
    monkeypatch.undo()
    assert (out.read_bytes() == first) == (moment == "before")
    assert answer([folder], out).answers == 30
    assert out.read_bytes() != first


def test_outputs_of_one_folder_have_their_own_errors(quick, folder, tmp_path):
    (folder / "07.jpg").write_bytes(DAMAGED)
    (tmp_path / "good").mkdir()
    draw(tmp_path / "good" / "1.jpg", 1)
    answer([folder], tmp_path / "a.csv")
    answer([tmp_path / "good"], tmp_path / "b.csv")
    assert len(failed(tmp_path / "a.csv")) == 1
    assert failed(tmp_path / "b.csv") == []


def test_errors_are_a_list_of_photos_to_try_again(quick, folder, tmp_path):
    (folder / "07.jpg").write_bytes(DAMAGED)
    (tmp_path / "list.csv").write_text("file,n\nin/06.jpg,6\nin/07.jpg,7\n")
    answer([tmp_path / "list.csv"], tmp_path / "a.csv")
    draw(folder / "07.jpg", 7)
    answer([tmp_path / "a.csv.errors.jsonl"], tmp_path / "b.jsonl")
    (row,) = rows(tmp_path / "b.jsonl")
    assert (row["photo"], row["n"]) == (str(folder / "07.jpg"), "7")
    assert "error" not in row
    assert not any(name.startswith("input") for name in row)


def test_answers_elsewhere_are_a_list_of_the_same_photos(quick, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer([Path("in")], tmp_path / "deep" / "down" / "a.csv")
    again = answer([tmp_path / "deep" / "down" / "a.csv"], tmp_path / "b.jsonl")
    assert (again.answers, again.failed) == (30, 0)


def test_work_folder_goes_with_the_run_unless_it_is_kept(quick, folder, tmp_path):
    out = tmp_path / "out.jsonl"
    answer([folder], out)
    assert not (tmp_path / "out.jsonl.work").exists()
    answer([folder], out, keep_work=True, top=2)
    assert len(list((tmp_path / "out.jsonl.work" / "parts").iterdir())) == 8
    answer([folder], out, top=2)
    assert not (tmp_path / "out.jsonl.work").exists()
    with pytest.raises(GeolocError, match="no such file"):
        answer([tmp_path / "nowhere"], out)
    assert not (tmp_path / "out.jsonl.work").exists()


def test_cache_returns_the_stored_embeddings(quick, tmp_path):
    spec = quick.encoder.spec
    vectors = np.random.default_rng(0).normal(size=(3000, spec.dim)).astype(np.float16)
    keys = [f"{number:064x}" for number in range(3000)]
    small = np.arange(3000 * SIDE * SIDE).astype(np.uint8).reshape(3000, SIDE, SIDE)
    with EmbeddingCache(tmp_path, spec) as cache:
        cache.add(keys, vectors, list(small))
        assert np.array_equal(cache.get(keys[::-1]), vectors[::-1].astype(np.float32))
        with EmbeddingCache(tmp_path, spec) as other:
            assert keys[0] in other
            other.add(keys[:1], vectors[5:6], [small[5]])  # the first embedding is kept
    with EmbeddingCache(tmp_path, spec) as cache:
        assert np.array_equal(cache.get(keys), vectors.astype(np.float32))
        assert np.array_equal(cache.signatures(keys), small)
        assert "ff" * 32 not in cache
        assert cache.get([]).shape == (0, spec.dim)
    (file,) = (tmp_path / "embeddings").iterdir()
    file.write_bytes(b"nothing" * 1000)
    with pytest.raises(GeolocError, match=r"embeddings.*delete it"):
        EmbeddingCache(tmp_path, spec)


def test_parts_have_paths_below_an_address():
    assert part_path("s3://bucket/parts", "abc") == "s3://bucket/parts/abc.part.zst"
