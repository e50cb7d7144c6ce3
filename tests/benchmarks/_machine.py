"""The machine of a measurement, and medians: shared by the benchmarks."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping

from geoloc.io import machine

SETS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
"""Instruction sets that matter for the speed of networks."""

LIBRARIES = ("onnxruntime", "numpy", "faiss-cpu", "pillow", "pyarrow")

REPEATS = 5
"""Repetitions of a measurement, of which the median counts."""


def print_machine() -> None:
    """Print CPU, cores, instruction sets and versions on one line."""
    name, features = machine.cpu()
    found = [each for each in SETS if each in features] or ["none of " + ", ".join(SETS)]
    versions = [f"{each} {importlib.metadata.version(each)}" for each in LIBRARIES]
    python = f"Python {platform.python_version()}"
    print(f"{name}, {machine.cores()} cores, {' '.join(found)}; {python}, {', '.join(versions)}")


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its ended children, in all threads."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def wall_and_cpu_s(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of a call."""
    begin, used = time.perf_counter(), cpu_s()
    work()
    return time.perf_counter() - begin, cpu_s() - used


def in_turns(workloads: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median wall seconds of each workload; in turns, so that load affects all."""
    times: dict[str, list[float]] = {name: [] for name in workloads}
    for _ in range(REPEATS):
        for name, work in workloads.items():
            times[name].append(wall_and_cpu_s(work)[0])
    return {name: statistics.median(each) for name, each in times.items()}
