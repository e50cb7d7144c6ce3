"""Atomic writes: complete under the final name or absent, whatever interrupts them."""

import contextlib
import io
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from geoloc.io.atomic import (
    AtomicFile,
    atomic_directory,
    atomic_file,
    atomic_path,
    atomic_write_bytes,
    atomic_write_text,
)

ROOT = Path(__file__).parents[3]
FULL_DISK = OSError(28, "No space left on device")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def full_disk(monkeypatch):
    """Let `os.fsync` fail as on a full disk."""

    def fail(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)


def write_with_atomic_file(path: Path, content: bytes) -> None:
    with atomic_file(path) as file:
        file.write(content)


def write_with_atomic_path(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


WRITERS = [write_with_atomic_file, write_with_atomic_path, atomic_write_bytes]
each_writer = pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)


@each_writer
def test_content_replaces_an_older_file_and_nothing_else_is_left(tmp_path, write):
    target = tmp_path / "answers.csv"
    for content in (b"old", b"", b"new \x00\xff\n" * 100_000):
        write(target, content)
        assert target.read_bytes() == content
        assert names(tmp_path) == {"answers.csv"}


@each_writer
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_file_permissions_follow_the_umask(tmp_path, write, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "a", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


@each_writer
def test_content_is_synchronised_to_disk_before_the_rename(tmp_path, write, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr("os.fsync", lambda file: (fsync(file), events.append("fsync")))
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (replace(self, to), events.append("rename"))
    )
    write(tmp_path / "a", b"content")
    assert events == ["fsync", "rename"]


@each_writer
def test_full_disk_keeps_the_old_file_and_the_error_names_it(tmp_path, write, full_disk):
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left") as caught:
        write(target, b"new")
    assert (caught.value.filename, caught.value.filename2) == (str(target), None)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


@each_writer
def test_missing_folders_are_created(tmp_path, write):
    target = tmp_path / "none" / "neither" / "a"
    write(target, b"new")
    assert target.read_bytes() == b"new"


@each_writer
def test_file_in_place_of_the_folder_is_an_error_that_names_it(tmp_path, write):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|directory") as caught:
        write(tmp_path / "file" / "a", b"new")
    assert "file" in str(caught.value.filename)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("open_it", [atomic_file, atomic_path])
def test_exception_in_the_block_discards_the_new_content(tmp_path, open_it, interruption):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def write() -> None:
        with open_it(target) as opened:
            (opened.write_bytes if isinstance(opened, Path) else opened.write)(b"half")
            raise interruption

    with pytest.raises(interruption):
        write()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


@pytest.mark.parametrize("open_it", [atomic_file, atomic_path])
def test_error_about_another_file_keeps_its_name(tmp_path, open_it):
    source = tmp_path / "source"
    with pytest.raises(FileNotFoundError) as caught, open_it(tmp_path / "a"):
        source.read_bytes()
    assert caught.value.filename == str(source)
    assert names(tmp_path) == set()


def test_without_commit_the_old_file_stays(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with AtomicFile(target) as file:
        file.write(b"new")
        assert not file.closed
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


def test_commit_makes_the_file_visible_and_closes_it(tmp_path):
    with AtomicFile(tmp_path / "a") as file:
        assert file.write(b"ne") == 2
        file.write(b"w")
        file.commit()
        assert file.closed
        assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == {"a"}


def test_text_is_utf8_and_lone_surrogates_are_escaped(tmp_path):
    text = "Zürich \udcff\n"
    with atomic_file(tmp_path / "a") as file:
        file.write_text(text)
    assert atomic_write_text(tmp_path / "b", text) == tmp_path / "b"
    for name in "ab":
        assert (tmp_path / name).read_bytes() == "Zürich \\udcff\n".encode()


def test_scratch_files_have_no_name_and_are_closed_with_the_block(tmp_path):
    with atomic_file(tmp_path / "a") as file:
        scratch = file.scratch()
        scratch.write(b"rows")
        scratch.seek(0)
        file.write(scratch.read())
        assert names(tmp_path) == {".a.part"}
    assert scratch.closed
    assert (tmp_path / "a").read_bytes() == b"rows"


def test_pyarrow_writes_the_same_bytes_as_to_memory(tmp_path):
    table = pa.table({"lat": [1.5, -2.25], "name": ["a", "b"]})
    for ending, write in (("csv", csv.write_csv), ("parquet", pq.write_table)):
        memory = io.BytesIO()
        write(table, memory)
        with atomic_file(tmp_path / ending) as file:
            write(table, file)
        assert (tmp_path / ending).read_bytes() == memory.getvalue()


def test_killed_process_leaves_no_file_and_the_next_run_removes_its_debris(tmp_path):
    code = (
        "import sys, time; from geoloc.io.atomic import AtomicFile\n"
        "file = AtomicFile('a'); file.write(b'half'); file.flush()\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(tmp_path) == {".a.part"}
    write_with_atomic_file(tmp_path / "a", b"new")
    assert names(tmp_path) == {"a"}


def test_older_file_stays_if_the_new_one_is_refused_before_it_is_renamed(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def refuse(complete):
        assert complete.read_bytes() == b"new"
        raise KeyError("refused")

    with AtomicFile(tmp_path / "a", refuse) as file:
        file.write(b"new")
        with pytest.raises(KeyError):
            file.commit()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


def test_concurrent_writers_of_one_path_leave_one_complete_file(tmp_path):
    contents = [bytes([number]) * 10_000 for number in range(8)]
    threads = [
        threading.Thread(
            target=lambda content=content: [
                atomic_write_bytes(tmp_path / "a", content) for _ in range(20)
            ]
        )
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_bytes() in contents
    assert names(tmp_path) == {"a"}


def fill(folder: Path, content: str) -> None:
    (folder / "file").write_text(content)
    (folder / "below").mkdir()
    (folder / "below" / "other").write_text(content)


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_directory_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "parent" / "bundle"
    with atomic_directory(target) as folder:
        fill(folder, "new")
        assert not target.exists()
    assert contents(target) == {"below/other": "new", "file": "new"}
    assert names(target.parent) == {"bundle"}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_directory_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with atomic_directory(tmp_path / "a"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o777 & ~umask


def test_directory_replaces_an_older_one_only_on_request(tmp_path):
    target = tmp_path / "bundle"
    with atomic_directory(target) as folder:
        fill(folder, "old")
    old = contents(target)
    with pytest.raises(OSError, match="not empty") as caught, atomic_directory(target) as folder:
        fill(folder, "new")
    assert caught.value.filename == str(target)
    assert contents(target) == old
    with atomic_directory(target, replace=True) as folder:
        (folder / "only").write_text("new")
        assert contents(target) == old
    assert contents(target) == {"only": "new"}
    assert names(tmp_path) == {"bundle"}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), FULL_DISK])
def test_exception_discards_the_new_directory(tmp_path, interruption):
    target = tmp_path / "bundle"
    with atomic_directory(target) as folder:
        fill(folder, "old")

    def write() -> None:
        with atomic_directory(target, replace=True) as folder:
            (folder / "half").write_text("new")
            raise interruption

    with pytest.raises(type(interruption)):
        write()
    assert contents(target) == {"below/other": "old", "file": "old"}
    assert names(tmp_path) == {"bundle"}


def test_failed_rename_restores_the_old_directory(tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    with atomic_directory(target) as folder:
        fill(folder, "old")
    rename, failures = Path.rename, [OSError(5, "Input/output error")]

    def fail_once(self: Path, to: Path) -> Path:
        if to == target and failures:
            raise failures.pop()
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_once)
    monkeypatch.setattr("geoloc.io.atomic._exchange", lambda first, second: False)
    with (
        pytest.raises(OSError, match="Input/output"),
        atomic_directory(target, replace=True) as folder,
    ):
        fill(folder, "new")
    assert not failures
    assert contents(target) == {"below/other": "old", "file": "old"}
    assert names(tmp_path) == {"bundle"}


REPLACE_FOREVER = """
import sys
from pathlib import Path
from geoloc.io.atomic import atomic_directory

for number in range(1, 1_000_000):
    with atomic_directory(sys.argv[1], replace=True) as folder:
        for name in ("a", "b", "c"):
            (folder / name).write_text(str(number))
    if number == 1:
        print("begun", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names are exchanged in one step on Linux")
def test_directory_is_whole_at_whatever_moment_the_process_is_killed(tmp_path):
    target = tmp_path / "bundle"
    rng = random.Random(0)
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", REPLACE_FOREVER, target],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            process.stdout.readline()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.0, 0.02))
            process.send_signal(signal.SIGKILL)
        assert len(set(contents(target).values())) == 1
        assert set(contents(target)) == {"a", "b", "c"}
    with atomic_directory(target, replace=True) as folder:
        fill(folder, "new")
    assert {name for name in names(tmp_path) if not name.endswith(".new")} == {"bundle"}


def test_folder_of_another_writer_is_not_deleted_and_that_of_a_killed_one_is(tmp_path):
    (tmp_path / ".bundle-0123abcd").mkdir()
    (tmp_path / ".bundle-0123abcd" / "half").touch()
    with atomic_directory(tmp_path / "bundle", replace=True) as first:
        assert not (tmp_path / ".bundle-0123abcd").exists()
        with atomic_directory(tmp_path / "bundle", replace=True) as second:
            fill(second, "second")
        fill(first, "first")
    assert set(contents(tmp_path / "bundle").values()) == {"first"}
    assert names(tmp_path) == {"bundle"}


def test_directory_replaces_one_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr("geoloc.io.atomic._exchange", lambda first, second: False)
    for content in ("old", "new"):
        with atomic_directory(tmp_path / "bundle", replace=True) as folder:
            fill(folder, content)
        assert set(contents(tmp_path / "bundle").values()) == {content}
        assert names(tmp_path) == {"bundle"}
