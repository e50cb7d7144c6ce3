"""Benchmark of `geoloc batch`: speed relative to the encoder and the decoder, and peak memory.

    python tests/benchmarks/batch.py [FOLDER]

Both sides of a ratio are measured in the same run. The benchmark needs the development data beside
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
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from geoloc.batch.run import Options, run
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.encoders.pipeline import BATCH
from geoloc.geolocator import Geolocator
from geoloc.io.progress import ProgressBars
from geoloc.photos.decode import load

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data"
PHOTOS = int(os.environ.get("PHOTOS", 5000))
LARGE = int(os.environ.get("LARGE", 400))
MANY = int(os.environ.get("MANY", 100_000))
GRAIN = 8.0
"""Noise (of 255) added to enlarged photos, which are otherwise a fifth of a camera file's size."""
TENSORS = max(BATCH, min(640, PHOTOS))


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


def network_rate(geolocator: Geolocator, photos: Sequence[Path]) -> float:
    """Return photos per second of the network alone, on tensors in memory."""
    pixels = geolocator.encoder.spec.preprocessing
    sample = [load(path, min_side=pixels.min_side).image for path in photos[:BATCH]]
    tensors = np.stack([pixels(image) for image in sample])
    geolocator.encoder.embed(tensors)
    begin = time.perf_counter()
    for _ in range(TENSORS // BATCH):
        geolocator.encoder.embed(tensors)
    return TENSORS / (time.perf_counter() - begin)


def measure_small_photos(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Compare the whole command on small photos with the network alone."""
    geolocator = Geolocator.from_bundle("starter")
    folder = scratch / "small"
    folder.mkdir()
    for path in photos:
        os.link(path, folder / path.name)
    before = network_rate(geolocator, photos)
    seconds, _ = batch(folder, "-o", scratch / "small.jsonl", cache=scratch / "cache")
    after = network_rate(geolocator, photos)
    results["small photos/s"] = len(photos) / seconds
    results["bare encoder photos/s"] = (before + after) / 2
    results["small_ratio"] = results["small photos/s"] / results["bare encoder photos/s"]


class InstantEncoder:
    """An encoder that takes no time, like an encoder on a GPU that takes no CPU time."""

    def __init__(self) -> None:
        self.spec = directory.load("starter").encoder_spec

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        return normalise(np.resize(pixels[:, 0, 0], (len(pixels), self.spec.dim)))


def decode(path: Path) -> None:
    """Do the least that any decoder has to do."""
    with Image.open(path) as picture:
        picture.draft(None, (300, 300))
        picture.load()


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


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

    def decoding_rate(pool: type[Executor]) -> float:
        with pool(os.cpu_count()) as workers:
            list(workers.map(decode, files[:8]))
            return len(files) / seconds(lambda: list(workers.map(decode, files, chunksize=4)))

    loaded = Geolocator(directory.load("starter"), InstantEncoder())
    Geolocator.from_bundle = classmethod(lambda cls, name: loaded)
    options = Options(cache=scratch / "free")
    threads = [decoding_rate(ThreadPoolExecutor)]
    with ProgressBars(unit="photos") as progress:
        run([str(files[0])], scratch / "first.jsonl", options, progress)  # imports and first use
        taken = seconds(lambda: run([str(folder)], scratch / "large.jsonl", options, progress))
    threads.append(decoding_rate(ThreadPoolExecutor))
    results["large photos/s"] = LARGE / taken
    results["bare decoding on threads photos/s"] = float(np.mean(threads))
    results["bare decoding in processes photos/s"] = decoding_rate(ProcessPoolExecutor)
    results["large_ratio"] = results["large photos/s"] / float(np.mean(threads))


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
    """Compare whole commands with Ray and without; the start and end of Ray are included."""
    folder = scratch / "small"
    here = batch(folder, "-o", scratch / "here.jsonl", cache=scratch / "cold")[0]
    ray = batch(folder, "-o", scratch / "ray.jsonl", "--ray", "local", cache=scratch / "ray")[0]
    results["ray_overhead"] = ray / here - 1.0


def main() -> None:
    """Run all measurements and print the results."""
    photos = sorted((SHARED / "photos" / "sydney").glob("*.jpg"))[:PHOTOS]
    results: dict[str, float] = {}
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
