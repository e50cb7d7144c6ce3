"""Benchmark of the whole package: cold starts, throughput, learning, installed size, accuracy.

    python tests/benchmarks/skeleton.py [BUNDLE]

Needs the development data beside the repository. The learned bundle is kept at BUNDLE if it is
given. Prints tables and one JSON line.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from _machine import in_turns, print_machine

from geoloc.cli.console import SOME_FAILED

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data"
REPEATS = 5
PHOTOS = 500


def cold_s(*command: object) -> float:
    """Return the median wall time of whole processes after one that fills the disk cache."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def throughput() -> dict[str, float]:
    """Return photos per second of the network, of the encoder with decoding, and of `locate`."""
    from geoloc import Geolocator
    from geoloc.encoders.pipeline import BATCH, encode
    from geoloc.photos.decode import load

    files = sorted((SHARED / "photos" / "world").iterdir())[:PHOTOS]
    geolocator = Geolocator.from_bundle("starter")
    encoder = geolocator.encoder
    pixels = encoder.spec.preprocessing
    import numpy as np

    ready = np.stack([pixels(load(file, min_side=pixels.min_side).image) for file in files])
    workloads = {
        "network": lambda: [encoder.embed(ready[i : i + BATCH]) for i in range(0, PHOTOS, BATCH)],
        "encoder": lambda: list(encode(encoder, files)),
        "locate": lambda: list(geolocator.locate_many(files)),
    }
    times: dict[str, list[float]] = {name: [] for name in workloads}
    for _ in range(3):  # in turns, so that load affects all of them
        for name, work in workloads.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: PHOTOS / min(seconds) for name, seconds in times.items()}


def int8_gain() -> float:
    """Return photos per second of the int8 form of the starter's encoder over those of fp32."""
    import numpy as np

    from geoloc.bundle.directory import load as load_bundle
    from geoloc.encoders.forms import FP32, INT8

    networks = {form: load_bundle("starter", form).build_encoder() for form in (FP32, INT8)}
    side = networks[FP32].spec.preprocessing.size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 3, side, side)).astype(np.uint8)
    work = {form: partial(network.embed, pixels) for form, network in networks.items()}
    for first in work.values():
        first()
    taken = in_turns(work)
    return taken[FP32] / taken[INT8]


def learn(bundle: Path, cache: Path) -> tuple[float, float]:
    """Return seconds and peak GB of `learn` on all photos without a cache."""
    coordinates = [
        SHARED / "coordinates" / f"{name}.parquet" for name in ("flickr_973k", "streetview_24k")
    ]
    command = [sys.executable, "-m", "training", "learn", SHARED / "photos" / "photos.csv"]
    command += ["-o", bundle, "--encoder", "efficientnet_lite2", "--cache", cache]
    for path in coordinates:
        command += ["--coordinates", path]
    start = time.perf_counter()
    done = subprocess.run([*map(str, command)], stdout=subprocess.DEVNULL, cwd=ROOT)
    if done.returncode != SOME_FAILED:  # six of the coordinates stand for an unknown position
        done.check_returncode()
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return time.perf_counter() - start, peak_kb / 1e6


def runtime_install_mb(folder: Path) -> float:
    """Return the size in MB of a new environment with the extra `cpu`."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    command = [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    command += ["--link-mode", "copy", "--constraints", ROOT / "constraints.txt", f"{ROOT}[cpu]"]
    subprocess.run(command, check=True)
    return (
        sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) / 1e6
    )


def main() -> None:
    """Run all measurements and print the results."""
    print_machine()
    geoloc = Path(sys.executable).with_name("geoloc")
    photo = next((SHARED / "photos" / "world").iterdir())
    results: dict[str, float] = {
        "help_s": cold_s(geoloc, "--help"),
        "locate_s": cold_s(geoloc, "locate", photo),
    }
    results["photos_s_ratio_fp32"] = int8_gain()
    speed = throughput()
    results["locate_ratio"] = speed["locate"] / speed["encoder"]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "bundle"
        results["learn_s"], results["learn_peak_gb"] = learn(bundle, Path(scratch) / "cache")
        results["runtime_install_mb"] = runtime_install_mb(Path(scratch) / "venv")
        card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    print(card)
    print("| way | photos/s |\n|---|---:|")
    for name, rate in speed.items():
        print(f"| {name} | {rate:.1f} |")
    print(json.dumps({name: round(value, 3) for name, value in results.items()}))


if __name__ == "__main__":
    main()
