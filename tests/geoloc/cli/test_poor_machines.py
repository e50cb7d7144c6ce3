"""`geoloc locate` answers alike on poor machines: few cores, old CPUs, unusable cache folders."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geoloc.bundle import directory
from geoloc.errors import GeolocError
from geoloc.io import machine
from tests.scenes import draw_photo

WITHOUT_AVX2 = {
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 X86_V3 X86_V4",
    "OPENBLAS_CORETYPE": "Sandybridge",
    "FAISS_OPT_LEVEL": "generic",
}
"""Variables by which numpy, its BLAS and FAISS use what a CPU of 2011 has."""


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    draw_photo(1, np.random.default_rng(5)).save(path, quality=92)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The cache folder of a machine that has answered before."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def expected(photo, cache):
    return located(photo, cache)


def located(photo: Path, cache: Path, limit=None, **variables: str):
    """Return the numbers in the answer of a whole command."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **variables}
    command = [sys.executable, "-m", "geoloc", "locate", "--json", "--bundle", "starter", photo]
    done = subprocess.run(
        [*map(str, command)], env=environment, preexec_fn=limit, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    guess = json.loads(done.stdout)
    first = guess["candidates"][0]
    return [
        guess[name] for name in ("lat", "lon", "radius_50_km", "radius_80_km", "probability")
    ] + [first["lat"], first["lon"], first["probability"]]


def same(found, expected):
    return found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_second_command_answers_alike(photo, cache, expected):
    assert same(located(photo, cache), expected)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not chosen here")
def test_one_core(photo, cache, expected):
    first = min(os.sched_getaffinity(0))
    assert same(located(photo, cache, lambda: os.sched_setaffinity(0, {first})), expected)


def test_a_cpu_without_avx2(photo, cache, expected):
    assert same(located(photo, cache, **WITHOUT_AVX2), expected)


def test_no_cache_folder(photo, tmp_path, expected):
    (tmp_path / "file").write_bytes(b"in place of the folder")
    assert same(located(photo, tmp_path / "file"), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk(photo, tmp_path, expected):
    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    assert same(located(photo, tmp_path, full), expected)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


def test_a_cache_folder_of_another_version(photo, tmp_path, expected):
    located(photo, tmp_path)
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert {each.parent.name for each in files} >= {"derived", "digests", "graphs"}
    for each in files:
        each.write_bytes(b"of another version" + each.read_bytes()[18:40])
    assert same(located(photo, tmp_path), expected)


def test_too_little_memory_is_said_before_the_bundle_is_read(monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 256_000_000)
    with pytest.raises(GeolocError, match=r"starter.*needs about \d+ MB.*256 MB are free"):
        directory.load("starter")
