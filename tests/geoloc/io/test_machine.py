"""Cores and memory that a process may use, within control groups of both versions."""

import platform
import subprocess
import sys

import pytest

from geoloc.errors import GeolocError
from geoloc.io import machine


@pytest.fixture
def group(tmp_path, monkeypatch):
    """The folder of control groups, without any limit yet."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("50000 100000", 1), ("150000 100000", 2), ("9900000 100000", 8)],
)
def test_cores_respect_the_quota_of_a_container(group, quota, cores):
    (group / "cpu.max").write_text(quota + "\n")
    assert machine.cores() == cores


def test_cores_respect_a_quota_of_version_1(group):
    (group / "cpu").mkdir()
    (group / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (group / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.cores() == 3
    (group / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert machine.cores() == 8


def test_damaged_limits_do_not_count(group):
    (group / "cpu.max").write_text("")
    (group / "memory.max").write_text("max\n")
    assert machine.cores() == 8
    assert machine.free_memory() > 0


def test_free_memory_respects_the_limit_of_a_container(group):
    (group / "memory.max").write_text("300000000\n")
    (group / "memory.current").write_text("280000000\n")
    (group / "memory.stat").write_text("anon 90\ninactive_file 50000000\nactive_file 0\n")
    assert machine.free_memory() == 70_000_000


def test_the_cpu_has_a_name():
    name, features = machine.cpu()
    assert name
    assert all(features)


def test_too_little_memory_is_reported_in_one_line(group):
    (group / "memory.max").write_text("256000000\n")
    with pytest.raises(GeolocError, match=r"^starter: it needs about 300 MB of memory, and 256 MB"):
        machine.check_free(300_000_000, "starter")
    machine.check_free(200_000_000, "starter")


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_products_run_on_one_thread_unless_the_user_says_otherwise(given, expected, monkeypatch):
    monkeypatch.setattr(machine.os, "environ", given)
    machine.limit_blas()
    assert given == {"OPENBLAS_NUM_THREADS": expected}


COUNT_HEAPS = """
import ctypes, sys, threading
from geoloc.io.machine import limit_arenas

limit_arenas(int(sys.argv[1]))
together = threading.Barrier(12)

def work():
    together.wait()
    kept = [bytes(100_000) for _ in range(50)]
    together.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_threads_share_as_many_heaps_as_are_allowed(tmp_path):
    heaps = {}
    for most in (1, 2, 5):
        report = tmp_path / f"{most}.xml"
        command = [sys.executable, "-c", COUNT_HEAPS, str(most), str(report)]
        subprocess.run(command, check=True)
        heaps[most] = report.read_text().count("<heap nr=")
    assert heaps == {1: 1, 2: 2, 5: 5}
