"""`geoloc batch` from the command line, with the starter bundle."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from geoloc.cli.main import app
from geoloc.photos.decode import read_exif
from tests.geoloc.batch.library import DAMAGED, draw
from tests.geoloc.photos.samples import written_position

NAMES = ("new\nline.jpg", "🌏.jpg", os.fsdecode(b"\xff\xfe.jpg"), "plain.jpg")


@pytest.fixture
def command(tmp_path):
    """Start `geoloc batch` as a process in a temporary folder, with a cache of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def start(*arguments, program=("-m", "geoloc"), **options):
        words = [sys.executable, *program, "batch", *map(str, arguments)]
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


def test_folder_is_answered_into_a_file_and_not_changed(command, tmp_path):
    for number, name in enumerate(NAMES):
        draw(tmp_path / "in" / name, number)
    (tmp_path / "in" / "loop").symlink_to(".")
    before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "in").rglob("*")}
    (tmp_path / "in").chmod(0o555)
    done = finished(command("in", "-o", "out.jsonl"))
    (tmp_path / "in").chmod(0o755)
    assert done.returncode == 0, done.err
    assert done.out == ""
    assert done.err == "out.jsonl: 4 answers for 4 photos\n", "no bars without a terminal"
    names = {row["photo"] for row in rows(tmp_path / "out.jsonl")}
    assert names == {"in/new\\nline.jpg", "in/🌏.jpg", "in/\\udcff\\udcfe.jpg", "in/plain.jpg"}
    assert {p: p.lstat().st_mtime_ns for p in (tmp_path / "in").rglob("*")} == before
    (tmp_path / "in" / "bad.jpg").write_bytes(DAMAGED)
    some = finished(command("in", "-o", "out.jsonl"))
    assert some.returncode == 1
    assert "in/bad.jpg: not a picture" in some.err
    assert "4 answers for 4 photos, 1 failed: see out.jsonl.errors.jsonl" in some.err
    assert [row["photo"] for row in rows(tmp_path / "out.jsonl.errors.jsonl")] == ["in/bad.jpg"]
    fast = finished(command("in", "-o", "out.jsonl", "--fail-fast", "--top", "1"))
    assert fast.returncode == 1
    assert "stopped by --fail-fast" in fast.err


def test_map_tagged_copies_and_sidecars_are_written(command, tmp_path):
    pytest.importorskip("pyexiv2")
    for number, name in enumerate(("a/1.jpg", "b/2.jpg")):
        draw(tmp_path / "in" / name, number)
    done = finished(command("in", "-o", "map.html", "--write-exif", "copies", "--xmp", "digikam"))
    assert done.returncode == 0, done.err
    assert "<html" in (tmp_path / "map.html").read_text(encoding="utf-8")
    for name in ("a/1.jpg", "b/2.jpg"):
        assert written_position(tmp_path / "copies" / name)
        assert read_exif(tmp_path / "copies" / name).lat is None, "an estimate is not known"
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
        (["in", "-o", "in/bad.jpg/out.jsonl"], "in/bad.jpg"),
        (["in", "-o", "out.jsonl", "--within", "Portugl"], "Portugal"),
        (["in", "-o", "out.jsonl", "--bundle", "nosuch"], "starter"),
        (["in", "-o", "out.jsonl", "--group-by", "street"], "no such column"),
    ],
)
def test_unusable_input_is_reported_in_one_line(tmp_path, monkeypatch, capsys, arguments, reason):
    draw(tmp_path / "in" / "bad.jpg", 0).write_bytes(DAMAGED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = [] if "--bundle" in arguments else ["--bundle", "starter"]
    assert app(["batch", *arguments, *bundle], result_action="return_value") == 2
    errors = capsys.readouterr().err
    assert reason in errors
    assert len([line for line in errors.splitlines() if line.startswith("geoloc batch")]) == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_names_with_line_breaks_are_read_from_standard_input(command, tmp_path):
    for number, name in enumerate(NAMES):
        draw(tmp_path / "in" / name, number)
    done = finished(command("-", "-o", "out.jsonl"), "\0".join(f"in/{name}" for name in NAMES))
    assert done.returncode == 0, done.err
    assert len(rows(tmp_path / "out.jsonl")) == 4


STOPS_AFTER_A_PART = """
import os, signal

from geoloc.cli.main import main
from geoloc.photos import storage

write = storage.write

def write_and_stop(path, content):
    write(path, content)
    if path.endswith(".zst"):
        storage.write = write
        os.kill(os.getpid(), signal.SIGSTOP)

storage.write = write_and_stop
main()
"""
"""The command `geoloc`, which stops itself when the first part is stored."""


def test_second_run_is_refused_and_ctrl_c_ends_the_first_cleanly(command, tmp_path):
    for number in range(12):
        draw(tmp_path / "in" / f"{number:03}.jpg", number)
    first = command("in", "-o", "out.jsonl", "--part", 4, program=("-c", STOPS_AFTER_A_PART))
    _, status = os.waitpid(first.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), first.communicate()
    second = finished(command("in", "-o", "out.jsonl"))
    assert second.returncode == 2
    assert second.err.startswith("geoloc batch: out.jsonl: another run is writing it")
    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGCONT)
    finished(first)
    assert first.returncode == 130
    assert first.err == "stopped; the same command continues this run\n"
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out.jsonl.work", "cache"}
    done = finished(command("in", "-o", "out.jsonl", "--part", 4))
    assert done.returncode == 0, done.err
    assert len({row["photo"] for row in rows(tmp_path / "out.jsonl")}) == 12


def test_full_disk_is_reported_in_one_line_and_no_answer_is_lost(command, tmp_path):
    for number in range(40):
        draw(tmp_path / "in" / f"{number:02}.jpg", number)

    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    full = finished(command("in", "-o", "out.jsonl", "--part", 8, preexec_fn=limit_file_size))
    assert full.returncode == 2
    assert full.err.startswith("geoloc batch: ")
    assert "free some space" in full.err
    assert len(full.err.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "out.jsonl.work", "cache"}
    done = finished(command("in", "-o", "out.jsonl", "--part", 8))
    assert done.returncode == 0, done.err
    assert len(rows(tmp_path / "out.jsonl")) == 40
