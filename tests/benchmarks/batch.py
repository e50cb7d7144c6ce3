"""Is `geoloc batch` as fast as its encoder or its decoder, and its memory flat?

    python tests/benchmarks/batch.py [FOLDER]

Ratios are of things measured side by side in this run. Needs the development data beside the
repository, and 3 GB in FOLDER (the temporary folder); for a quick look PHOTOS, LARGE and MANY say
how many photos. The files of the runs that measure memory are links to the same photos, whose
embeddings are in the cache; 2 % of them are damaged. Prints a table, and ends with one JSON line.
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

sys.path.remove(str(Path(__file__).parent))  # this file is not the package of its name

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
"""Of 255: what was enlarged is too smooth, and its file a fifth of what cameras write."""
TENSORS = max(BATCH, min(640, PHOTOS))


LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""A small process between: the peak of a child begins with that of its parent."""


def batch(*arguments: object, cache: Path) -> tuple[float, float]:
    """Seconds and peak MB of a whole `geoloc batch`."""
    command = [sys.executable, "-m", "geoloc", "batch", *map(str, arguments)]
    command += ["--cache", str(cache)]
    begin = time.perf_counter()
    launcher = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launcher, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - begin, int(done.stdout) / 1024


def links(photos: Sequence[Path], folder: Path, count: int) -> Path:
    """A folder of `count` photos, 2 % of them damaged."""
    folder.mkdir()
    for number in range(count):
        target = folder / f"{number:06}.jpg"
        if number % 50 == 7:
            target.write_bytes(b"\xff\xd8 damaged")
        else:
            os.link(photos[number % len(photos)], target)
    return folder


def bare_encoder(geolocator: Geolocator, photos: Sequence[Path]) -> float:
    """Photos per second of the network on tensors in memory."""
    pixels = geolocator.encoder.spec.preprocessing
    some = [load(path, min_side=pixels.min_side).image for path in photos[:BATCH]]
    tensors = np.stack([pixels(image) for image in some])
    geolocator.encoder.embed(tensors)
    begin = time.perf_counter()
    for _ in range(TENSORS // BATCH):
        geolocator.encoder.embed(tensors)
    return TENSORS / (time.perf_counter() - begin)


def small(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """The whole command on small photos, start to end, beside the bare encoder."""
    geolocator = Geolocator.from_bundle("starter")
    folder = scratch / "small"
    folder.mkdir()
    for path in photos:
        os.link(path, folder / path.name)
    before = bare_encoder(geolocator, photos)
    seconds, _ = batch(folder, "-o", scratch / "small.jsonl", cache=scratch / "cache")
    after = bare_encoder(geolocator, photos)
    results["small photos/s"] = len(photos) / seconds
    results["bare encoder photos/s"] = (before + after) / 2
    results["small_ratio"] = results["small photos/s"] / results["bare encoder photos/s"]


class Free:
    """An encoder that costs nothing, as one on a GPU costs no CPU."""

    def __init__(self) -> None:
        self.spec = directory.load("starter").encoder_spec

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        return normalise(np.resize(pixels[:, 0, 0], (len(pixels), self.spec.dim)))


def decode(path: Path) -> None:
    """What every decoder must do at least."""
    with Image.open(path) as picture:
        picture.draft(None, (300, 300))
        picture.load()


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def large(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """12-megapixel photos with an encoder that costs nothing, beside a bare decoding loop."""
    folder = scratch / "large"
    folder.mkdir()
    grain = Image.effect_noise((4000, 3000), GRAIN).convert("RGB")
    for number in range(LARGE):
        with Image.open(photos[number]) as picture:
            scaled = picture.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
            turned = ImageChops.offset(grain, 97 * number, 61 * number)
            ImageChops.add(scaled, turned, offset=-128).save(
                folder / f"{number:04}.jpg", quality=92
            )
    files = sorted(folder.iterdir())
    results["MB of a large photo"] = sum(each.stat().st_size for each in files) / LARGE / 1e6

    def bare(pool: type[Executor]) -> float:
        with pool(os.cpu_count()) as workers:
            list(workers.map(decode, files[:8]))
            return len(files) / seconds(lambda: list(workers.map(decode, files, chunksize=4)))

    loaded = Geolocator(directory.load("starter"), Free())
    Geolocator.from_bundle = classmethod(lambda cls, name: loaded)
    options = Options(cache=scratch / "free")
    threads = [bare(ThreadPoolExecutor)]
    with ProgressBars(unit="photos") as progress:
        run([str(files[0])], scratch / "first.jsonl", options, progress)  # loads what it needs once
        taken = seconds(lambda: run([str(folder)], scratch / "large.jsonl", options, progress))
    threads.append(bare(ThreadPoolExecutor))
    results["large photos/s"] = LARGE / taken
    results["bare decoding on threads photos/s"] = float(np.mean(threads))
    results["bare decoding in processes photos/s"] = bare(ProcessPoolExecutor)
    results["large_ratio"] = results["large photos/s"] / float(np.mean(threads))


def memory(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Peaks of runs of three sizes with a warm cache, and the largest once more."""
    for count in sorted({MANY // 100, MANY // 10, MANY}):
        name = f"{count // 1000}k" if count >= 1000 else str(count)
        folder = links(photos, scratch / name, count)
        arguments = (folder, "-o", scratch / f"{name}.jsonl")
        taken, peak = batch(*arguments, cache=scratch / "cache")
        results[f"peak_mb_{name}"] = peak
        results[f"cached photos/s, {name}"] = count / taken
    results["resume_s"] = batch(*arguments, cache=scratch / "cache")[0]


def cluster(photos: Sequence[Path], scratch: Path, results: dict[str, float]) -> None:
    """Whole commands with Ray and without, start and end of Ray included."""
    folder = scratch / "small"
    here = batch(folder, "-o", scratch / "here.jsonl", cache=scratch / "cold")[0]
    ray = batch(folder, "-o", scratch / "ray.jsonl", "--ray", "local", cache=scratch / "ray")[0]
    results["ray_overhead"] = ray / here - 1.0


def main() -> None:
    photos = sorted((SHARED / "photos" / "sydney").glob("*.jpg"))[:PHOTOS]
    results: dict[str, float] = {}
    print("| figure | value |\n|---|---:|")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as place:
        scratch = Path(place)
        own = scratch / "photos"  # links cannot reach other file systems
        own.mkdir()
        for path in photos:
            (own / path.name).write_bytes(path.read_bytes())
        own_photos = sorted(own.iterdir())
        for measure in (small, memory, large, cluster):
            before = dict(results)
            measure(own_photos, scratch, results)
            for name in results.keys() - before:
                print(f"| {name} | {results[name]:,.4g} |", flush=True)
    print(json.dumps({name: round(value, 4) for name, value in results.items() if " " not in name}))


if __name__ == "__main__":
    main()
