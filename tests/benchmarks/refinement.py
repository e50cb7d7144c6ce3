"""Benchmark of the stages after the encoder: accuracy of each, and speed among a million photos.

    python tests/benchmarks/refinement.py [FOLDER]

Needs the development data beside the repository. The simulated embeddings are kept in FOLDER if it
is given. They allow a comparison of the stages after an encoder, not of encoders. Prints tables and
one JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.remove(
    str(Path(__file__).parent)
)  # or `import training` would import training.py beside this file

import numpy as np
import pyarrow.parquet as pq
import torch
from threadpoolctl import threadpool_limits

from geocells.partition.build import build_cells
from geocells.partition.config import PRESETS as CELLS
from geocells.partition.config import CellConfig
from geoloc.answer.judge import LEVELS
from geoloc.answer.ranker import NEIGHBOURS, Ranker
from geoloc.belief.heads import Heads
from geoloc.bundle import directory
from geoloc.encoders.base import normalise
from geoloc.metrics import Accuracy, coverage, score
from geoloc.retrieval.index import flat
from geoloc.retrieval.pigeon import PRESETS, refine
from training.calibrate.crossval import METHODS, calibrate_folds, calibrate_ranker, make_ranker
from training.calibrate.fit import UNFITTED
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.gallery.cluster import build_gallery
from training.heads.linear import density_prior

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
SEEDS = (0, 1, 2)
TRAIN, TEST = 60_000, 3_000
FOLDS = 5
HEADS = HeadConfig(tau_km=75.0, features=256, epochs=6, weight_decay=10.0, whitening=0.0)
"""The weight decay is strong, because half of a simulated embedding is noise."""
PER_CELL = 60
BATCH = 256
MILLION_DIM = 256


def simulate(folder: Path, seed: int, views: int = 1) -> Path:
    """Simulate embeddings at real coordinates, unless they are in the folder already."""
    out = folder / f"seed{seed}-views{views}"
    if not (out / "test.parquet").is_file():
        tool = SHARED / "tools" / "simulate_photos.py"
        sizes = ["--train", str(TRAIN), "--test", str(TEST)]
        command = [sys.executable, str(tool), str(out), *sizes, "--seed", str(seed)]
        subprocess.run(
            [*command, "--views", str(views)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return out


def photos(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (N, views, D) and coordinates (N, 2)."""
    table = pq.read_table(folder / f"{name}.parquet")
    latlon = np.stack([table["lat"].to_numpy(), table["lon"].to_numpy()], axis=1)
    return np.load(folder / f"{name}.npy").astype(np.float32), latlon


def manifest(latlon: np.ndarray) -> Manifest:
    """Return a manifest of photos that have coordinates and no other metadata."""
    empty = np.full(len(latlon), "", dtype=object)
    alone = np.arange(len(latlon)).astype(str).astype(object)
    zero = np.zeros(len(latlon))
    return Manifest(empty, latlon, alone, zero, *[empty] * 5)


def train_ranker(vectors: np.ndarray, latlon: np.ndarray) -> Ranker:
    """Return a ranker with cells, heads and gallery of training photos."""
    cells = build_cells(np.unique(latlon, axis=0), CellConfig.of_size(PER_CELL))
    return make_ranker(manifest(latlon), vectors, cells, density_prior(cells.count), config=HEADS)


def one_seed(folder: Path) -> tuple[dict[str, Accuracy], dict[str, list[float]], Ranker]:
    """Return accuracy by method, coverage by level, and the ranker of one seed.

    Gallery and heads are those of the training photos. The calibration for each test photo is
    fitted on other test photos.
    """
    (train, latlon), (test, truth) = photos(folder, "train"), photos(folder, "test")
    ranker = train_ranker(train[:, 0], latlon)
    fold = np.random.default_rng(0).permutation(len(truth)) % FOLDS
    copies = [Ranker(ranker.cells, ranker.heads, ranker.gallery, UNFITTED) for _ in range(FOLDS)]
    ranker.calibration, held_out = calibrate_folds(copies, fold, manifest(truth), test[:, 0])
    answers = dict(held_out.answers)
    features = ranker.heads.features(test[:, 0])
    belief = ranker.heads.classify(features)
    for name, preset in PRESETS.items():
        answers[f"as published, {name}"] = refine(
            preset, belief, features, ranker.gallery, ranker.cells
        ).latlon
    covered = {
        "radius": [
            coverage(answers["full"], truth, held_out.radii_km[:, i]) for i in range(len(LEVELS))
        ],
        "cells": held_out.in_region.mean(axis=0).tolist(),
    }
    return {name: score(points, truth) for name, points in answers.items()}, covered, ranker


def panoramas(folder: Path) -> dict[str, Accuracy]:
    """Compare one view with four views of the same places, after training on single views."""
    (train, latlon), (test, truth) = photos(folder, "train"), photos(folder, "test")
    ranker = train_ranker(train[:, 0], latlon)
    half = len(truth) // 2
    calibrate_ranker(ranker, manifest(truth[:half]), test[:half, 0])
    rows = range(half, len(truth), 64)
    one = np.concatenate([ranker.rank(test[i : i + 64, 0]).answer for i in rows])
    four = []
    for start in rows:
        views = test[start : start + 64]
        group = np.repeat(np.arange(len(views)), views.shape[1])
        together = ranker.rank_together(views.reshape(len(group), -1), group)
        four.append(together.answer)
    return {
        "one view": score(one, truth[half:]),
        "four views": score(np.concatenate(four), truth[half:]),
    }


def million(folder: Path) -> dict[str, float]:
    """Measure a gallery of all development coordinates: size, build time, search time, recall."""
    sys.path.insert(0, str(SHARED / "tools"))
    from simulate_photos import embed, groups, load_location_encoder
    from simulate_photos import simulate as mix

    tables = [
        pq.read_table(SHARED / "data" / "coordinates" / f"{name}.parquet", columns=["lat", "lon"])
        for name in ("flickr_973k", "streetview_24k")
    ]
    latlon = np.concatenate([np.stack([t["lat"], t["lon"]], axis=1) for t in tables]).astype(float)
    place = embed(load_location_encoder(), latlon)
    group = groups(latlon)
    vectors = mix(place, place, *group, *group, 1, np.random.default_rng(0))[0][:, 0]
    del place
    sample = vectors[:: len(vectors) // 100_000].astype(np.float32)
    mean = sample.mean(axis=0)
    axes = np.linalg.eigh(np.cov((sample - mean).T))[1][:, ::-1][:, :MILLION_DIM]
    projection = axes.astype(np.float32)
    features = np.concatenate(
        [normalise((part - mean) @ projection) for part in np.array_split(vectors, 50)]
    )
    cells = build_cells(latlon, CELLS["pigeotto"])
    started = time.perf_counter()
    gallery = build_gallery(manifest(latlon), features, cells)
    build_s = time.perf_counter() - started
    weight = 14.0 * gallery.cell_similarity(np.eye(MILLION_DIM, dtype=np.float32))
    active = np.arange(len(cells), dtype=np.int32)
    prior = density_prior(cells.count)
    heads = Heads(mean, projection, weight, np.log(prior), active, prior, np.zeros_like(prior))
    ranker = Ranker(cells, heads, gallery, UNFITTED)
    queries = photos(folder, "test")[0][: 4 * BATCH, 0]
    found, exact, seconds = [], [], []
    exact_index = flat(gallery.prototypes)
    with threadpool_limits(1):
        torch.set_num_threads(1)
        for start in range(0, len(queries), BATCH):
            batch = queries[start : start + BATCH]
            begin = time.perf_counter()
            ranker.rank(batch)
            seconds.append(time.perf_counter() - begin)
            own = heads.features(batch)
            found.append(gallery.search(own, heads.classify(own), NEIGHBOURS).cluster[:, 0])
            exact.append(exact_index.search(own, 1)[1][:, 0])
    gallery.write(folder)
    files = [folder / f"{name}.faiss" for name in ("prototypes", "members")]
    return {
        "members": len(latlon),
        "clusters": len(gallery.clusters),
        "build_s": build_s,
        "refine_ms": 1000.0 * min(seconds) / BATCH,
        "recall_1": float(np.mean(np.concatenate(found) == np.concatenate(exact))),
        "bytes_per_member": sum(file.stat().st_size for file in files) / len(latlon),
    }


def row(name: str, results: list[Accuracy]) -> str:
    """Return a table row of means over seeds."""
    shares = [np.mean([r.within[km] for r in results]) for km in results[0].within]
    cells = [f"{np.mean([r.median_km for r in results]):,.0f}"]
    cells += [f"{100 * share:.1f} %" for share in shares]
    cells.append(f"{np.mean([r.geoscore for r in results]):,.0f}")
    return f"| {name} | " + " | ".join(cells) + " |"


HEADER = """\
| answer by | median km | 1 km | 5 km | 25 km | 200 km | 750 km | 2500 km | GeoScore |
|---|---:|---:|---:|---:|---:|---:|---:|---:|"""
ORDER = (
    *METHODS[1:3], "as published, pigeon", "as published, pigeotto", *METHODS[3:],
)  # fmt: skip


def main(folder: Path) -> None:
    """Run all measurements and print the results."""
    runs = [one_seed(simulate(folder, seed))[:2] for seed in SEEDS]
    print(f"Simulated, mean of {len(SEEDS)} seeds:\n\n{HEADER}")
    for name in ORDER:
        print(row(name, [accuracy[name] for accuracy, _ in runs]), flush=True)
    covered = {
        kind: np.mean([cover[kind] for _, cover in runs], axis=0) for kind in ("radius", "cells")
    }
    for kind, shares in covered.items():
        print(f"coverage of the 50/80/95 % {kind}: " + " / ".join(f"{100 * s:.1f}" for s in shares))
    print(f"\nPanoramas, seed 0:\n\n{HEADER}")
    for name, accuracy in panoramas(simulate(folder, 0, views=4)).items():
        print(row(name, [accuracy]), flush=True)
    print("\nReal photos, walks and landmarks held out (the starter's model card):\n")
    metrics = directory.verify(directory.find("starter"))["metrics"]
    for part in ("sydney", "world"):
        full = metrics[part]["accuracy"]["full"]
        print(f"{part}: median {full['median_km']:.0f} km, within {full['within']}")
    large = million(simulate(folder, 0))
    print(f"\n{large}")
    full = [accuracy["full"] for accuracy, _ in runs]
    summary = {
        "median_km": float(np.mean([r.median_km for r in full])),
        **{f"acc_{km}": float(np.mean([r.within[km] for r in full])) for km in ("1", "25", "200")},
        "geoscore": float(np.mean([r.geoscore for r in full])),
        **{f"coverage_{n}": float(c) for n, c in zip(LEVELS, covered["radius"], strict=True)},
        **{name: large[name] for name in ("refine_ms", "recall_1", "bytes_per_member")},
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
