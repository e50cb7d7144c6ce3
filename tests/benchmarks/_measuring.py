"""Shared by the benchmark scripts: times in turns, stages, the table, a busy GPU, drawn photos."""

from __future__ import annotations

import json
import math
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if str(Path(__file__).parent) in sys.path:  # or `import training` would import training.py here
    sys.path.remove(str(Path(__file__).parent))

import numpy as np
import torch
from PIL import Image

Results = dict[str, float]
ROUNDS = 5


def device() -> torch.device:
    """Return the GPU, or the CPU without one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> str:
    """Return GPU or CPU, cores and versions in one line."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    threads = f"{torch.get_num_threads()} threads"
    return f"{name}, {platform.machine()}, {threads}, torch {torch.__version__}"


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call, with what it started on a GPU."""
    begin = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def in_turns(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Return the shortest time of each function, as load only makes them slower; in turns."""
    for work in works:
        work()
    taken = [[seconds(work) for work in works] for _ in range(rounds)]
    return np.min(taken, axis=0).tolist()


def peak_gb() -> float:
    """Return the peak of the resident memory of this process, mapped files included."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024 / 1e9


def run_stages(stages: dict[str, Callable[[Results], None]], limit_s: float = math.inf) -> Results:
    """Run stages until the time is up, print a row for each figure, and end with one JSON line.

    A stage that fails, or is not begun in time, is named; the others run.
    """
    results: Results = {}
    began = time.perf_counter()
    print(f"{machine()}\n\n| figure | value |\n|---|---:|")
    for name, stage in stages.items():
        if time.perf_counter() - began > limit_s:
            print(f"| {name}: no time left | |", flush=True)
            continue
        before = dict(results)
        try:
            stage(results)
        except Exception as error:  # the figures of the other stages are worth having
            reason = (str(error) or type(error).__name__).splitlines()[0]
            print(f"| {name} failed: {reason} | |", flush=True)
        for figure in [name for name in results if name not in before]:
            print(f"| {figure} | {results[figure]:,.4g} |", flush=True)
    print(json.dumps({name: float(f"{value:.4g}") for name, value in results.items()}), flush=True)
    return results


@contextmanager
def busy_gpu(results: Results, key: str) -> Iterator[None]:
    """Add the mean share of time in which the GPU was busy, by nvidia-smi, if there is one."""
    if shutil.which("nvidia-smi") is None:
        yield
        return
    query = [
        "nvidia-smi",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        "-lms",
        "100",
    ]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as sampler:
        try:
            yield
        finally:
            sampler.terminate()
            samples = [float(line) for line in sampler.stdout.read().split() if line.isdigit()]
    if samples:
        results[key] = float(np.mean(samples)) / 100.0


def draw_photos(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """Write JPEG files of noise with details of all sizes, about as large as those of a camera."""
    folder.mkdir(parents=True, exist_ok=True)
    coarse = [Image.effect_noise((width // scale, height // scale), 90.0) for scale in (64, 16, 4)]
    files = []
    for number in range(count):
        bands = [band.resize((width, height), Image.Resampling.BICUBIC) for band in coarse]
        picture = Image.merge("RGB", bands[number % 3 :] + bands[: number % 3])
        files.append(folder / f"{number:05}.jpg")
        picture.rotate(90 * (number % 4)).save(files[-1], quality=90)
    return files
