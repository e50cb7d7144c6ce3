"""`geoloc batch` as people start it: whole processes with the embedded bundle."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from geoloc.photos.decode import read_exif
from tests.geoloc.batch.library import DAMAGED, draw

NAMES = ("new\nline.jpg", "🌏.jpg", os.fsdecode(b"\xff\xfe.jpg"), "plain.jpg")


@pytest.fixture
def command(tmp_path):
    """Starts `geoloc batch` in a folder of its own, with a cache of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def start(*arguments, **options):
        words = [sys.executable, "-m", "geoloc", "batch", *map(str, arguments)]
        if "--bundle" not in words:
            words += ["--bundle", "starter"]
        return subprocess.Popen(
            words, cwd=tmp_path, env=environment, text=True, errors="surrogateescape",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    return start


def finished(process, given=None):
    process.out, process.err = process.communicate(given, timeout=300)
    assert "Traceback" not in process.err
    return process


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_folder_goes_in_and_a_file_comes_out(command, tmp_path):
    for number, name in enumerate(NAMES):
        draw(tmp_path / "in" / name, number)
    (tmp_path / "in" / "loop").symlink_to(".")
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "in").rglob("*")}
    (tmp_path / "in").chmod(0o555)
    done = finished(command("in", "-o", "out.jsonl"))
    (tmp_path / "in").chmod(0o755)
    assert done.returncode == 0, done.err
    assert done.out == ""
    assert done.err == "out.jsonl: 4 answers for 4 photos\n", "quiet when nobody watches"
    names = {row["photo"] for row in rows(tmp_path / "out.jsonl")}
    assert names == {"in/new\\nline.jpg", "in/🌏.jpg", "in/\\udcff\\udcfe.jpg", "in/plain.jpg"}
    assert {p: p.lstat().st_mtime_ns for p in (tmp_path / "in").rglob("*")} == before
    (tmp_path / "in" / "bad.jpg").write_bytes(DAMAGED)
    some = finished(command("in", "-o", "out.jsonl"))
    assert some.returncode == 1
    assert "in/bad.jpg: not a picture" in some.err
    assert "4 answers for 4 photos, 1 failed: see errors.jsonl" in some.err
    assert [row["photo"] for row in rows(tmp_path / "errors.jsonl")] == ["in/bad.jpg"]
    fast = finished(command("in", "-o", "out.jsonl", "--fail-fast", "--top", "1"))
    assert fast.returncode == 1
    assert "stopped by --fail-fast" in fast.err


def test_a_folder_goes_in_and_a_map_comes_out_with_tagged_copies(command, tmp_path):
    pytest.importorskip("pyexiv2")
    for number, name in enumerate(("a/1.jpg", "b/2.jpg")):
        draw(tmp_path / "in" / name, number)
    done = finished(command("in", "-o", "map.html", "--write-exif", "copies", "--xmp", "digikam"))
    assert done.returncode == 0, done.err
    assert "<html" in (tmp_path / "map.html").read_text(encoding="utf-8")
    for name in ("a/1.jpg", "b/2.jpg"):
        assert read_exif(tmp_path / "copies" / name).lat is not None
        assert read_exif(tmp_path / "in" / name).lat is None
        assert (tmp_path / "in" / f"{name}.xmp").is_file()
    inside = finished(command("in", "-o", "map.html", "--write-exif", "in/copies"))
    assert inside.returncode == 2
    assert "choose a folder outside for copies" in inside.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere", "-o", "out.jsonl"], "'nowhere': no such file or folder"),
        (["in", "-o", "out.docx"], ".jsonl"),
        (["in", "-o", "no/where/out.jsonl"], None),
        (["in", "-o", "out.jsonl", "--within", "Portugl"], "Portugal"),
        (["in", "-o", "out.jsonl", "--bundle", "nosuch"], "starter"),
        (["in", "-o", "out.jsonl", "--group-by", "street"], "no such column"),
    ],
)
def test_what_cannot_be_done_is_one_line(command, tmp_path, arguments, reason):
    draw(tmp_path / "in" / "bad.jpg", 0).write_bytes(DAMAGED)
    done = finished(command(*arguments))
    assert done.returncode == 2
    assert reason is None or reason in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("geoloc batch")]) == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_names_with_line_breaks_come_through_standard_input(command, tmp_path):
    for number, name in enumerate(NAMES):
        draw(tmp_path / "in" / name, number)
    done = finished(command("-", "-o", "out.jsonl"), "\0".join(f"in/{name}" for name in NAMES))
    assert done.returncode == 0, done.err
    assert len(rows(tmp_path / "out.jsonl")) == 4


def begun(process, tmp_path, parts=1):
    """Wait until a run has kept some parts."""
    for _ in range(3000):
        if len(list(tmp_path.glob("out.jsonl.work/parts/*.zst"))) >= parts:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_second_run_on_an_output_refuses_and_ctrl_c_ends_cleanly(command, tmp_path):
    for number in range(120):
        draw(tmp_path / "in" / f"{number:03}.jpg", number)
    first = command("in", "-o", "out.jsonl", "--part", 4)
    begun(first, tmp_path)
    first.send_signal(signal.SIGSTOP)
    second = finished(command("in", "-o", "out.jsonl"))
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert second.err.startswith("geoloc batch: out.jsonl: another run is writing it")
    first.send_signal(signal.SIGINT)
    finished(first)
    assert first.returncode == 130
    assert first.err == "stopped; the same command goes on from here\n"
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out.jsonl.work", "cache"}
    done = finished(command("in", "-o", "out.jsonl", "--part", 4))
    assert done.returncode == 0, done.err
    assert len({row["photo"] for row in rows(tmp_path / "out.jsonl")}) == 120


def test_a_full_disk_is_one_line_and_nothing_is_lost(command, tmp_path):
    for number in range(40):
        draw(tmp_path / "in" / f"{number:02}.jpg", number)

    def little():  # files cannot grow above this
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    full = finished(command("in", "-o", "out.jsonl", "--part", 8, preexec_fn=little))
    assert full.returncode == 2
    assert full.err.startswith("geoloc batch: ")
    assert "free some space" in full.err
    assert len(full.err.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "out.jsonl.work", "cache"}
    done = finished(command("in", "-o", "out.jsonl", "--part", 8))
    assert done.returncode == 0, done.err
    assert len(rows(tmp_path / "out.jsonl")) == 40
