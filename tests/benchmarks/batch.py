"""Benchmark of `geoloc batch`: speed relative to its limit, peak memory, and Ray.

    python tests/benchmarks/batch.py [FOLDER]

The limit is that of cores which do nothing but decode, run the network and rank: their number over
the CPU seconds of these three for one photo, each measured alone with all cores in the same run.
Times are medians of five. The benchmark needs the development data beside
the repository, and 3 GB in FOLDER (default: the temporary folder). The environment variables
PHOTOS, LARGE and MANY set the numbers of photos. The runs that measure memory read hard links to
the same photos, whose embeddings are cached; 2 % of the files are damaged. Prints a table and one
JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from _machine import REPEATS, print_machine, wall_and_cpu_s
from PIL import Image, ImageChops

from geoloc.batch.run import Options, run
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.encoders.borders import without_borders
from geoloc.encoders.pipeline import BATCH, batched, encode_pixels
from geoloc.encoders.signatures import signature
from geoloc.geolocator import Geolocator
from geoloc.io import machine
from geoloc.io.progress import ProgressBars
from geoloc.photos.decode import NO_PIXELS, Photo, load

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data"
PHOTOS = int(os.environ.get("PHOTOS", 1000))
LARGE = int(os.environ.get("LARGE", 100))
MANY = int(os.environ.get("MANY", 100_000))
GRAIN = 8.0
"""Noise (of 255) added to enlarged photos, which are otherwise a fifth of a camera file's size."""
PIXELS = directory.load("starter").encoder_spec.preprocessing


LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Intermediate process, because the peak memory of a child starts at that of its parent."""


def batch(*arguments: object, cache: Path) -> tuple[float, float]:
    """Run `geoloc batch`; return seconds and peak MB of the process."""
    command = [sys.executable, "-m", "geoloc", "batch", *map(str, arguments)]
    command += ["--cache", str(cache)]
    begin = time.perf_counter()
    launcher = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launcher, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - begin, int(done.stdout) / 1024


def link_photos(photos: Sequence[Path], folder: Path, count: int) -> Path:
    """Create a folder of `count` links to photos, 2 % of them damaged."""
    folder.mkdir()
    for number in range(count):
        target = folder / f"{number:06}.jpg"
        if number % 50 == 7:
            target.write_bytes(b"\xff\xd8 damaged")
        else:
            os.link(photos[number % len(photos)], target)
    return folder


def prepare(path: Path) -> tuple[np.ndarray, Photo]:
    """Decode a photo for the network of the starter, as `batch` does."""
    photo = load(path, min_side=PIXELS.min_side)
    square = PIXELS.square(without_borders(photo.image))
    small = signature(square, PIXELS.std)
    return square, replace(photo, image=NO_PIXELS, content=None, signature=small)


def share_of_limit(
    photos: Sequence[Path], folder: Path, geolocator: Geolocator, scratch: Path
) -> tuple[float, dict[str, float]]:
    """Return the speed of `batch` as a share of its limit, and milliseconds per photo by stage.

    Args:
        photos: the photos in `folder`.
        folder: that `batch` answers.
        geolocator: answers them.
        scratch: folder for outputs.
    """
    Geolocator.from_bundle = classmethod(lambda cls, name, form=None: geolocator)
    ready: list[tuple[np.ndarray, Photo]] = []
    embeddings: list[np.ndarray] = []
    runs = iter(range(100))

    def decode_all() -> None:
        with ThreadPoolExecutor(machine.cores()) as pool:
            ready[:] = pool.map(prepare, photos)

    def embed_all() -> None:
        embeddings[:] = [
            encode_pixels(geolocator.encoder, np.stack([pixels for pixels, _ in part]))
            for part in batched(ready, BATCH)
        ]

    def rank_all() -> None:
        for vectors, part in zip(embeddings, batched(ready, BATCH), strict=True):
            geolocator.guess(vectors, [photo for _, photo in part])

    def batch_all() -> None:
        out = scratch / f"{folder.name}-{next(runs)}.jsonl"
        with ProgressBars(unit="photos") as progress:
            run([str(folder)], out, Options(), progress)

    stages = {"decode": decode_all, "network": embed_all, "rank": rank_all}
    cpu: dict[str, list[float]] = {name: [] for name in stages}
    wall = []
    for _ in range(REPEATS + 1):
        for name, work in stages.items():
            cpu[name].append(wall_and_cpu_s(work)[1])
        wall.append(wall_and_cpu_s(batch_all)[0])
    ms = {name: 1e3 * median(each[1:]) / len(photos) for name, each in cpu.items()}
    ms["batch"] = 1e3 * median(wall[1:]) / len(photos)
    limit = sum(ms[name] for name in stages) / machine.cores()
    return limit / ms["batch"], ms


def measure_small_photos(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Compare small photos with the limit."""
    folder = scratch / "small"
    folder.mkdir()
    for path in photos:
        os.link(path, folder / path.name)
    share, ms = share_of_limit(photos, folder, Geolocator.from_bundle("starter"), scratch)
    results["small_limit"] = share
    results |= {f"small photos, ms of {name}": value for name, value in ms.items()}


class InstantEncoder:
    """An encoder that takes no time, like an encoder on a GPU that takes no CPU time."""

    def __init__(self) -> None:
        self.spec = directory.load("starter").encoder_spec

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        return normalise(np.resize(pixels[:, 0, 0], (len(pixels), self.spec.dim)))


def measure_large_photos(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Compare the command on 12-megapixel photos and an instant encoder with a decoding loop."""
    folder = scratch / "large"
    folder.mkdir()
    grain = Image.effect_noise((4000, 3000), GRAIN).convert("RGB")
    for number in range(LARGE):
        with Image.open(photos[number]) as picture:
            scaled = picture.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
            noise = ImageChops.offset(grain, 97 * number, 61 * number)
            ImageChops.add(scaled, noise, offset=-128).save(folder / f"{number:04}.jpg", quality=92)
    files = sorted(folder.iterdir())
    results["MB of a large photo"] = sum(each.stat().st_size for each in files) / LARGE / 1e6
    free = Geolocator(directory.load("starter"), InstantEncoder())
    share, ms = share_of_limit(files, folder, free, scratch)
    results["large_limit"] = share
    results |= {f"large photos, ms of {name}": value for name, value in ms.items()}


def measure_memory(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Measure peak memory of three input sizes with a warm cache, and time a repeated run."""
    for count in sorted({MANY // 100, MANY // 10, MANY}):
        name = f"{count // 1000}k" if count >= 1000 else str(count)
        folder = link_photos(photos, scratch / name, count)
        arguments = (folder, "-o", scratch / f"{name}.jsonl")
        taken, peak = batch(*arguments, cache=scratch / "cache")
        results[f"peak_mb_{name}"] = peak
        results[f"cached photos/s, {name}"] = count / taken
    results["resume_s"] = batch(*arguments, cache=scratch / "cache")[0]


def measure_ray(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Compare Ray with this process in steady state: what more photos take longer.

    Each command runs three times, in turns, and the shortest counts: load makes it only longer. The
    first ones load the libraries.
    """
    kinds = {"here": (), "ray": ("--ray", "local")}
    counts = len(photos) // 4, len(photos)
    times: dict[tuple[str, int], list[float]] = {}
    for repeat in range(3):
        for name, options in kinds.items():
            for count in counts:
                folder = scratch / f"{name}-{count}-{repeat}"
                folder.mkdir()
                for path in photos[:count]:
                    os.link(path, folder / path.name)
                arguments = (folder, "-o", scratch / f"{folder.name}.jsonl", *options)
                taken = batch(*arguments, cache=scratch / f"{folder.name}.cache")[0]
                times.setdefault((name, count), []).append(taken)
    shortest = {key: min(each) for key, each in times.items()}
    few, all_ = ({name: shortest[name, count] for name in kinds} for count in counts)
    here, ray = (all_[name] - few[name] for name in kinds)
    results["ray_overhead"] = ray / here - 1.0
    results["start and end of Ray, s"] = few["ray"] - few["here"]


def main() -> None:
    """Run all measurements and print the results."""
    photos = sorted((SHARED / "photos" / "sydney").glob("*.jpg"))[:PHOTOS]
    results: dict[str, float] = {}
    print_machine()
    print("| figure | value |\n|---|---:|")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as place:
        scratch = Path(place)
        own = scratch / "photos"  # hard links cannot cross file systems
        own.mkdir()
        for path in photos:
            (own / path.name).write_bytes(path.read_bytes())
        own_photos = sorted(own.iterdir())
        for measure in (measure_small_photos, measure_memory, measure_large_photos, measure_ray):
            before = dict(results)
            measure(own_photos, scratch, results)
            for name in results.keys() - before:
                print(f"| {name} | {results[name]:,.4g} |", flush=True)
    print(json.dumps({name: round(value, 4) for name, value in results.items() if " " not in name}))


if __name__ == "__main__":
    main()
