"""Benchmark of `geoloc-train cells`: time for 20,000 to 973,508 photos, and quality of the cells.

    python tests/benchmarks/cells.py

Needs the development data beside the repository. Whole processes are timed, including the loading
of borders. Prints tables and one JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv as csv
import pyarrow.parquet as pq

from geocells.partition.alternatives import METHODS
from geocells.partition.config import CellConfig
from geocells.sphere import haversine_km
from geocells.table import CellTable

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data"
COORDINATES = SHARED / "coordinates"
CGAZ = [SHARED / "geo" / f"gb_cgaz_adm{level}.topojson.gz" for level in (1, 2)]
RUNS = [
    ("20k", "gallery_100k", 20_000, "pigeon"),
    ("100k", "gallery_100k", 100_000, "pigeon"),
    ("973k", "flickr_973k", 973_508, "pigeotto"),
    ("973k fine", "flickr_973k", 973_508, "pigeon"),
]
REPEATS = 3
HEADER = """\
| photos | borders | preset | wall s | CPU s | GB | cells | per cell, 5 / 50 / 95 % | above max |
|---|---|---|---:|---:|---:|---:|---|---:|"""  # GB of the largest process
MILLION = 1_000_000


def photos(name: str) -> np.ndarray:
    """Return the coordinates (N, 2) of a file of the development data."""
    table = pq.read_table(COORDINATES / f"{name}.parquet", columns=["lat", "lon"])
    return np.stack([table["lat"].to_numpy(), table["lon"].to_numpy()], axis=1).astype(float)


def timed(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak GB of a process with its children."""
    start = time.perf_counter()
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
    code += "stdout=subprocess.DEVNULL); use = resource.getrusage(resource.RUSAGE_CHILDREN); "
    code += "print(use.ru_utime + use.ru_stime, use.ru_maxrss)"
    printed = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, capture_output=True, text=True
    ).stdout.split()
    return time.perf_counter() - start, float(printed[0]), float(printed[1]) / 1e6


def speed(folder: Path) -> dict[str, float]:
    """Print time and size of every run: the fastest of three, as load only makes runs slower."""
    result: dict[str, float] = {}
    print(HEADER)
    for label, file, rows, preset in RUNS:
        source = folder / f"{rows}.parquet"
        pq.write_table(pq.read_table(COORDINATES / f"{file}.parquet").slice(0, rows), source)
        for borders in ("CGAZ", "embedded"):
            out = folder / f"{label}-{borders}.parquet"
            options = [f"--boundaries={path}" for path in CGAZ] if borders == "CGAZ" else []
            command = [str(Path(sys.executable).parent / "geoloc-train"), "cells", str(source)]
            command += ["-o", str(out), "--preset", preset, *options]
            runs = [timed(command) for _ in range(REPEATS)]
            wall, cpu, peak = min(runs)
            count = CellTable.read(out).count
            full, max_count = count[count > 0], {"pigeon": 60, "pigeotto": 2000}[preset]
            sizes = " / ".join(f"{n:,.0f}" for n in np.percentile(full, (5, 50, 95)))
            above = full[full > max_count].sum() / full.sum()
            print(f"| {label} | {borders} | {preset} | {wall:.1f} | {cpu:.1f} | {peak:.2f} |"
                  f" {len(count):,} | {sizes} | {above:.1%} |", flush=True)  # fmt: skip
            if borders == "CGAZ" and label != "973k fine":
                result[f"s_{label}"] = round(wall, 2)
                result["peak_gb_973k"] = round(max(run[2] for run in runs), 2)
    return result


def locate_1m(folder: Path) -> float:
    """Return the seconds to locate a million coordinates, including building the index."""
    points = photos("flickr_973k")
    points = np.concatenate([points, points[: MILLION - len(points)]])
    times = []
    for _ in range(REPEATS):
        cells = CellTable.read(folder / "973k-CGAZ.parquet")
        start = time.perf_counter()
        cells.locate(points)
        times.append(time.perf_counter() - start)
    return min(times)


def floors(folder: Path) -> dict[str, dict[str, float]]:
    """Print the distance from held-out photos to the centroid of their cell, by method.

    All methods have about equal numbers of cells with photos.

    Returns:
        Median km by method and training set.
    """
    held_out = csv.read_csv(COORDINATES / "yfcc25600_places365.csv")
    truth = np.stack([held_out["LAT"].to_numpy(), held_out["LON"].to_numpy()], axis=1)
    result: dict[str, dict[str, float]] = {}
    print(
        "\n| trained on | cells | photos in them | median km | mean km |\n|---|---|---:|---:|---:|"
    )
    for label, file in (("100k", "gallery_100k"), ("973k", "flickr_973k")):
        points = photos(file)
        semantic = CellTable.read(folder / f"{label}-CGAZ.parquet")
        n_cells = int((semantic.count > 0).sum())
        tables = {
            "semantic": semantic,
            "semantic, embedded borders": CellTable.read(folder / f"{label}-embedded.parquet"),
        }
        tables |= {name: with_cell_count(make, points, n_cells) for name, make in METHODS.items()}
        for name, cells in tables.items():
            km = haversine_km(truth, cells.centroids[cells.locate(truth)])
            result.setdefault(name, {})[label] = round(float(np.median(km)), 2)
            print(f"| {label} | {name} | {(cells.count > 0).sum():,} | {np.median(km):.1f} |"
                  f" {km.mean():.1f} |", flush=True)  # fmt: skip
    return result


def with_cell_count(make: Callable, points: np.ndarray, n_cells: int) -> CellTable:
    """Return the table of a method with about `n_cells` cells that have photos."""
    low, high = 1, 40 * len(points) // n_cells
    best = None
    for _ in range(12):
        limit = (low + high + 1) // 2
        cells = make(points, CellConfig(min_count=limit, max_count=limit))
        found = int((cells.count > 0).sum())
        if best is None or abs(found - n_cells) < abs(best[0] - n_cells):
            best = found, cells
        if abs(found - n_cells) <= n_cells // 100 or low >= high:
            break
        low, high = (low, limit - 1) if found < n_cells else (limit, high)
    return best[1]


def main() -> None:
    """Run all measurements and print the results."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result: dict[str, object] = dict(speed(folder))
        result["locate_1m_s"] = round(locate_1m(folder), 2)
        result["floor_median_km"] = floors(folder)
    few, many = 20_000, 973_508
    growth = np.log(result["s_973k"] / result["s_20k"]) / np.log(many / few)
    print(f"\ngrowth of wall time from 20k to 973k: n^{growth:.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
