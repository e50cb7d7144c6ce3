"""The machine that a process may use: cores, memory, and instruction sets of its CPU."""

from __future__ import annotations

import ctypes
import math
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

from geoloc.errors import GeolocError

_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60
"""Limits on memory from here on, in bytes, stand for none."""
_M_ARENA_MAX = -8
"""The parameter of mallopt, in malloc.h."""


def cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    Containers limit it by a set of cores, or by a quota of time: half a core counts as one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, math.ceil(_quota())))


def free_memory() -> int:
    """Return the bytes that this process may still take, of the machine and of its container."""
    free = min((_left(folder) for folder in _groups("memory")), default=_UNLIMITED)
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free = min(free, int(line.split()[1]) * 1024)
    return free


def check_free(needed: int, name: str) -> None:
    """Refuse what does not fit in memory, before the system ends the process without a word.

    Args:
        needed: bytes.
        name: of what needs them, for the error message.

    Raises:
        GeolocError: fewer bytes are free.
    """
    free = free_memory()
    if free < needed:
        raise GeolocError(
            f"{name}: it needs about {needed / 1e6:,.0f} MB of memory, and {free / 1e6:,.0f} MB are"
            " free; close other programs, or give the container more"
        )


def limit_blas() -> None:
    """Let each product of matrices run on one thread. Call it before numpy is imported.

    An answer is made of many small products. More threads would save no time, and wait for the next
    product on cores that decode photos and run the network: ranking 8 photos took twice the CPU.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def limit_arenas(count: int) -> None:
    """Let all threads of this process share a few heaps. Call it before threads are started.

    The C library of GNU gives each thread a heap of its own, up to eight for each core, and keeps
    there what its largest request took: a server with many threads grows for hours. Other C
    libraries have no such heaps, and nothing changes.

    Args:
        count: of heaps.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library, or none to be found
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, count)


@cache
def cpu() -> tuple[str, frozenset[str]]:
    """Return the name of the CPU, and its instruction sets as Linux names them."""
    known = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in _lines(Path("/proc/cpuinfo"))
        if ":" in line
    )
    features = known.get("flags") or known.get("Features") or ""
    name = known.get("model name") or platform.processor() or platform.machine()
    return name, frozenset(features.split())


def _quota() -> float:
    """Return the cores that the quotas of all enclosing control groups leave."""
    left = math.inf
    for folder in _groups("cpu"):
        both = " ".join(_lines(folder / "cpu.max")).split()
        if not both:  # control groups of version 1
            names = "cpu.cfs_quota_us", "cpu.cfs_period_us"
            both = [word for name in names for word in _lines(folder / name)]
        if len(both) == 2 and both[0] not in ("max", "-1"):
            left = min(left, int(both[0]) / int(both[1]))
    return left if math.isfinite(left) else _UNLIMITED


def _left(group: Path) -> int:
    """Return the bytes that a control group has left; what its files hold in memory counts."""
    limit = _number(group / "memory.max", _number(group / "memory.limit_in_bytes", _UNLIMITED))
    used = _number(group / "memory.current", _number(group / "memory.usage_in_bytes", 0))
    words = (line.split() for line in _lines(group / "memory.stat"))
    files = sum(int(value) for name, value in words if name in ("inactive_file", "active_file"))
    return limit - used + files if limit < _UNLIMITED else _UNLIMITED


def _groups(controller: str) -> list[Path]:
    """Return the folders of this process's control group and of those around it."""
    folders = [_CGROUPS, _CGROUPS / controller]
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _CGROUPS / controller if controllers else _CGROUPS
        inner = root / path.lstrip("/")
        folders += [each for each in (inner, *inner.parents) if root in each.parents]
    return folders


def _number(path: Path, otherwise: int) -> int:
    words = _lines(path)
    return int(words[0]) if len(words) == 1 and words[0].isdigit() else otherwise


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # not on this system
        return []
