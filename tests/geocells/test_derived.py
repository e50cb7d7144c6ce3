"""Tests for `geocells.derived`: arrays that are kept in the user's cache folder."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geocells import derived as module
from geocells.derived import KEPT, derived

SOURCE = np.arange(6.0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache folder, in which small arrays are kept as well."""
    monkeypatch.setattr(module, "SMALLEST_BYTES", 0)
    monkeypatch.setattr(module, "_folder", lambda: tmp_path / "derived")
    return tmp_path / "derived"


class Counted:
    """A computation that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return (
            np.arange(7, dtype=np.float32).reshape(7, 1),
            np.array(["é", "ab"]),
            np.zeros((0, 3), np.int32),
            np.array([True, False]),
        )


def same(left, right):
    return all((a == b).all() and a.dtype == b.dtype for a, b in zip(left, right, strict=True))


def test_arrays_are_computed_once():
    compute = Counted()
    first, again = (derived("a", [SOURCE, 2.5], compute) for _ in range(2))
    assert compute.calls == 1
    assert same(first, Counted()())
    assert same(again, first)


def test_another_source_kind_or_setting_is_computed_anew(tmp_path):
    compute, file = Counted(), tmp_path / "file"
    file.write_bytes(b"1")
    for kind, source in (("a", [SOURCE, 1.0]), ("b", [SOURCE, 1.0]), ("a", [SOURCE, 2.0])):
        derived(kind, source, compute)
    derived("a", [SOURCE.astype(np.float32), 1.0], compute)
    derived("a", [file], compute)
    file.write_bytes(b"22")
    derived("a", [file], compute)
    assert compute.calls == 6


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense" * 40])
def test_a_damaged_file_is_replaced(folder, content):
    derived("a", [SOURCE], Counted())
    (file,) = folder.iterdir()
    file.write_bytes(content)
    compute = Counted()
    assert same(derived("a", [SOURCE], compute), Counted()())
    derived("a", [SOURCE], compute)
    assert compute.calls == 1


def test_a_file_that_ends_early_is_replaced(folder):
    derived("a", [SOURCE], Counted())
    (file,) = folder.iterdir()
    os.truncate(file, file.stat().st_size - 100)
    compute = Counted()
    assert same(derived("a", [SOURCE], compute), Counted()())
    assert compute.calls == 1


def test_a_missing_source_is_reported_by_the_computation(tmp_path):
    assert same(derived("a", [tmp_path / "missing"], Counted()), Counted()())


def test_without_a_usable_folder_arrays_are_computed(folder):
    folder.write_bytes(b"a file in place of the folder")
    assert same(derived("a", [SOURCE], Counted()), Counted()())


def test_a_full_disk_is_no_error(folder, monkeypatch):
    def full(file, array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_append", full)
    assert same(derived("a", [SOURCE], Counted()), Counted()())
    assert not list(folder.iterdir())


def test_large_arrays_are_not_kept(folder, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BYTES", 10)
    derived("a", [SOURCE], Counted())
    assert not folder.exists()


def test_files_not_used_for_longest_are_deleted(folder):
    derived("old", [SOURCE], Counted())
    (old,) = folder.iterdir()
    os.utime(old, (1, 1))
    for number in range(KEPT):
        derived("a", [float(number)], Counted())
    assert len(list(folder.iterdir())) == KEPT
    assert not old.exists()


def test_places_are_named_alike_from_a_new_a_kept_and_a_read_only_folder(tmp_path):
    code = (
        "from geocells.places import describe\n"
        "points = [(48.86, 2.35), (43.29, 5.2), (0.0, -30.0), (-16.5, 179.99), (-16.5, -179.99)]\n"
        "print(describe(points).to_pylist())\n"
    )
    (tmp_path / "file").write_bytes(b"no folder")
    answers = []
    for cache in (tmp_path / "new", tmp_path / "new", tmp_path / "file"):
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        command = [sys.executable, "-c", code]
        answers.append(subprocess.run(command, env=environment, check=True, capture_output=True))
    assert len({each.stdout for each in answers}) == 1
    assert b"Paris" in answers[0].stdout
    if sys.platform == "linux":
        assert len(list(Path(tmp_path / "new/planet-geoloc/derived").glob("*.bin"))) == 2
