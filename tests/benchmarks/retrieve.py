"""Benchmark of the recipe `retrieve` behind the encoder: what each of its steps gains.

    python tests/benchmarks/retrieve.py [FOLDER]

Needs the development data beside the repository. The simulated embeddings are kept in FOLDER if it
is given. They allow a comparison of the stages after an encoder, not of encoders. Prints a table
and one JSON line. The environment variables TRAIN (60000), TEST (3000) and SEEDS (3) make it
smaller.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.remove(
    str(Path(__file__).parent)
)  # or `import training` would import training.py beside this file

import numpy as np
import pyarrow.parquet as pq

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.sphere import haversine_km
from geoloc.answer.ranker import Ranker
from training.calibrate.crossval import calibrate_folds
from training.calibrate.fit import UNFITTED
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.heads.examples import Examples
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.retrieve.places import Spaces, build_places, combine, fit_spaces, hubness_of
from training.retrieve.rerank import fit_cross, fit_router, street_level
from training.retrieve.settings import RetrieveRecipe

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
TRAIN, TEST = int(os.environ.get("TRAIN", "60000")), int(os.environ.get("TEST", "3000"))
SEEDS = range(int(os.environ.get("SEEDS", "3")))
HELD_OUT = 0.05
"""Share of the authors whose photos the re-ranker is fitted on."""
FOLDS = 5
PER_CELL = 60
RESAMPLED = 2000
HEADS = HeadConfig(tau_km=75.0, features=256, epochs=6, weight_decay=10.0, whitening=0.0)
"""The weight decay is strong, because half of a simulated embedding is noise."""
VARIANTS = {
    "full": (True, True, True),
    "without band heads": (False, True, True),
    "without GPS contrast": (True, False, True),
    "without re-ranker": (True, True, False),
    "none of them": (False, False, False),
}
"""Bands, image-GPS contrast and re-ranker of each row of the table."""
GAINS = {"gain_band_heads": "without band heads", "gain_gps": "without GPS contrast",
         "gain_rerank": "without re-ranker"}  # fmt: skip


def simulate(folder: Path, seed: int) -> Path:
    """Simulate embeddings at real coordinates, unless they are in the folder already."""
    out = folder / f"seed{seed}-views1"
    if not (out / "test.parquet").is_file():
        command = [sys.executable, str(SHARED / "tools" / "simulate_photos.py"), str(out)]
        sizes = ["--train", str(TRAIN), "--test", str(TEST), "--seed", str(seed)]
        subprocess.run(
            [*command, *sizes], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    return out


def photos(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings (N, D), coordinates (N, 2) and authors (N,), negative for none."""
    table = pq.read_table(folder / f"{name}.parquet")
    latlon = np.stack([table["lat"].to_numpy(), table["lon"].to_numpy()], axis=1)
    vectors = np.load(folder / f"{name}.npy")[:, 0].astype(np.float32)
    return vectors, latlon, table["author"].to_numpy()


def manifest(latlon: np.ndarray, author: np.ndarray) -> Manifest:
    """Return a manifest of photos with sources, those of street views by their name."""
    empty = np.full(len(latlon), "", dtype=object)
    alone = np.arange(len(latlon)).astype(str).astype(object)
    source = np.where(author == -1, "street view", "photo").astype(object)
    zero = np.zeros(len(latlon))
    return Manifest(empty, latlon, alone, zero, empty, source, empty, empty, empty)


def held_out(author: np.ndarray) -> np.ndarray:
    """Return (N,) whether a photo is of the authors whose photos the re-ranker is fitted on."""
    key = np.where(author < 0, -np.arange(1, len(author) + 1), author)
    names = np.unique(key)
    chosen = np.random.default_rng(0).choice(names, int(HELD_OUT * len(names)), replace=False)
    return np.isin(key, chosen)


def one_seed(folder: Path, seed: int) -> dict[str, np.ndarray]:
    """Return the distances (TEST,) of the answers from the truth, by variant."""
    (vectors, latlon, author), (test, truth, _) = photos(folder, "train"), photos(folder, "test")
    apart = held_out(author)
    train, tuned = np.flatnonzero(~apart), np.flatnonzero(apart)
    cells = build_cells(np.unique(latlon[train], axis=0), CellConfig.of_size(PER_CELL))
    examples = Examples(vectors[train], latlon[train], np.ones(len(train), np.float32))
    plain, _ = fit_heads(examples, cells, density_prior(cells.count), HEADS)
    known = manifest(latlon[train], author[train])
    recipe = replace(RetrieveRecipe(), seed=seed)
    people = np.maximum(author[train], -1).astype(np.int64)
    cell = cells.locate(latlon[train]).astype(np.int64)
    whole = fit_spaces(plain, vectors[train], latlon[train], cell, people, recipe)
    fold = np.random.default_rng(0).permutation(len(truth)) % FOLDS
    asked = manifest(truth, np.full(len(truth), -3))
    found = {}
    for name, (bands, gps, reranked) in VARIANTS.items():
        spaces = part_of(plain, whole, bands=bands, gps=gps)
        gallery, _ = build_places(spaces, known, vectors[train], cells)
        if reranked:
            hubness = hubness_of(spaces, gallery, vectors[train], latlon[train])
            street = street_level(known.source)
            router = fit_router(spaces.heads, vectors[train], street)
            gallery = fit_cross(spaces, gallery, hubness, router, vectors[tuned], latlon[tuned])
        copies = [Ranker(cells, spaces.heads, gallery, UNFITTED) for _ in range(FOLDS)]
        answers = calibrate_folds(copies, fold, asked, test)[1].answers["full"]
        found[name] = haversine_km(answers, truth)
        print(seed, name, line(name, found[name]), file=sys.stderr, flush=True)
    return found


def part_of(plain, whole: Spaces, *, bands: bool, gps: bool) -> Spaces:
    """Return the spaces with some of the blocks of all of them."""
    columns = np.split(np.eye(len(whole.heads.projection[0])), whole.heads.edges, axis=1)
    kept = {}
    for name, column in list(zip(whole.names, columns, strict=True))[1:]:
        if gps if name == "gps" else bands:
            of_embedding = whole.heads.projection @ column.astype(np.float32)
            # the blocks are projections of the classifier's features
            kept[name] = np.linalg.lstsq(plain.projection, of_embedding, rcond=None)[0]
    maps = {name: each.astype(np.float32) for name, each in kept.items()}
    return combine(plain, maps, whole.encoder if gps else None)


def points(distance_km: np.ndarray) -> np.ndarray:
    """Return the GeoGuessr points (N,) of answers at these distances."""
    return 5000.0 * np.exp(-distance_km / 1492.7)


def line(name: str, distance_km: np.ndarray) -> str:
    """Return a row of the table."""
    shares = [f"{(distance_km <= km).mean():.1%}" for km in (1, 5, 25, 200, 750, 2500)]
    numbers = [f"{np.median(distance_km):.0f}", *shares, f"{points(distance_km).mean():,.0f}"]
    return "| " + " | ".join([name, *numbers]) + " |"


def gain(full: np.ndarray, less: np.ndarray) -> tuple[float, float, float]:
    """Return the gain in points with its 95 % interval, from paired resampling of the places."""
    difference = points(full) - points(less)
    rng = np.random.default_rng(0)
    means = [difference[rng.integers(0, len(difference), len(difference))].mean()
             for _ in range(RESAMPLED)]  # fmt: skip
    return float(difference.mean()), *map(float, np.percentile(means, (2.5, 97.5)))


def main(folder: Path) -> None:
    """Run all seeds and print the results."""
    runs = [one_seed(simulate(folder, seed), seed) for seed in SEEDS]
    joined = {name: np.concatenate([run[name] for run in runs]) for name in VARIANTS}
    print("| answer by | median km | 1 km | 5 km | 25 km | 200 km | 750 km | 2500 km | GeoScore |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, distance in joined.items():
        print(line(name, distance))
    result: dict[str, object] = {}
    print("\n| step | gain in points | 95 % |\n|---|---:|---|")
    for key, name in GAINS.items():
        mean, low, high = gain(joined["full"], joined[name])
        print(f"| {key} | {mean:+.1f} | {low:+.1f} to {high:+.1f} |")
        result[key] = [round(mean, 1), round(low, 1), round(high, 1)]
    result["acc_25"] = round(100.0 * float((joined["full"] <= 25.0).mean()), 2)
    result["geoscore"] = round(float(points(joined["full"]).mean()))
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
