"""Benchmark of the recipe `retrieve` behind the encoder: what each of its steps gains.

    python tests/benchmarks/retrieve.py [FOLDER]

Needs the development data beside the repository. FOLDER, if it is given, keeps the simulated
embeddings and what a run has finished, so that the next one continues. They allow a comparison of
the stages after an encoder, not of encoders. Prints tables and one JSON line. The environment
variables TRAIN (60000), TEST (3000) and SEEDS (3) make it smaller.
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

from geocells.partition.build import build_cells
from geocells.partition.config import CellConfig
from geocells.sphere import haversine_km
from geoloc.answer.ranker import Ranker
from training.calibrate.crossval import in_folds
from training.calibrate.fit import UNFITTED
from training.calibrate.stages import answer_photos
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.experiments.paired import effect, points
from training.heads.examples import Examples
from training.heads.fit import fit_heads
from training.heads.linear import density_prior
from training.retrieve.bands import Photos
from training.retrieve.gallery import build_places, hubness_of
from training.retrieve.places import (
    classifier_of,
    combine,
    estimate_places,
    features_of,
    fit_spaces,
)
from training.retrieve.rerank import CrossFit, fit_router, street_level
from training.retrieve.settings import BandConfig, LocationConfig, RetrieveRecipe
from training.retrieve.stored import load_spaces, save_spaces

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
TRAIN, TEST = int(os.environ.get("TRAIN", "60000")), int(os.environ.get("TEST", "3000"))
SEEDS = range(int(os.environ.get("SEEDS", "3")))
FOLDS = 3
PER_CELL = 60
HEADS = HeadConfig(tau_km=75.0, features=256, epochs=6, weight_decay=10.0, whitening=0.0)
"""The weight decay is strong, because half of a simulated embedding is noise."""
BANDS, LOCATION = BandConfig(steps=100, batch=256), LocationConfig(epochs=1)
"""Short training: both start from an estimate that needs none."""
BANDS_OF = ("near", "city", "region")
VARIANTS = {
    "full": ((*BANDS_OF, "gps"), True),
    "none of them": ((), False),
    "without re-ranker": ((*BANDS_OF, "gps"), False),
    "without band heads": (("gps",), True),
    "without GPS contrast": (BANDS_OF, True),
    "re-ranker alone": ((), True),
}
"""Blocks besides the classifier's, and whether clusters are re-ranked, for each row of the table.
"none of them" is the pipeline of refinement.py."""
GAINS = {"gain_band_heads": ("full", "without band heads"),
         "gain_gps": ("full", "without GPS contrast"),
         "gain_rerank": ("full", "without re-ranker"),
         "all steps": ("full", "none of them"),
         "re-ranker alone": ("re-ranker alone", "none of them")}  # fmt: skip


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


class Seed:
    """Fitted spaces of one seed; what an earlier call finished is read from its folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Fit classifier, band heads and contrast on the training photos."""
        self.folder, self.seed = folder, seed
        self.vectors, self.latlon, author = photos(folder, "train")
        self.test, self.truth, _ = photos(folder, "test")
        self.cells = build_cells(np.unique(self.latlon, axis=0), CellConfig.of_size(PER_CELL))
        self.known = manifest(self.latlon, author)
        recipe = RetrieveRecipe(bands=BANDS, location=LOCATION, seed=seed)
        stored = load_spaces(folder / "spaces", str(recipe), recipe)
        if stored is None:
            examples = Examples(self.vectors, self.latlon, np.ones(len(self.latlon), np.float32))
            prior = density_prior(self.cells.count)
            self.plain, _ = fit_heads(examples, self.cells, prior, HEADS)
        else:
            self.plain = classifier_of(stored.heads)
        cell = self.cells.locate(self.latlon).astype(np.int64)
        people = np.maximum(author, -1).astype(np.int64)
        learned = Photos(features_of(self.plain, self.vectors), self.latlon, cell, people)
        self.features, self.places = learned.features, estimate_places(learned, seed)
        log(seed, "places estimated")
        if stored is None:
            stored = fit_spaces(self.plain, learned, self.places, recipe)
            save_spaces(stored, folder / "spaces", str(recipe))
            log(seed, "spaces fitted")
        self.whole = stored

    def distances(self, name: str) -> np.ndarray:
        """Return the distances (TEST,) of a variant's answers from the truth.

        Heads and gallery are those of the training photos. Calibration and re-ranker for each test
        photo are fitted on other test photos, as the recipe fits both on held-out photos of the
        kind that will be asked.
        """
        blocks, reranked = VARIANTS[name]
        maps = {block: self.whole.maps[block] for block in blocks}
        spaces = combine(self.plain, maps, self.whole.encoder if "gps" in maps else None)
        gallery, _ = build_places(spaces, self.known, self.features, self.places, self.cells)
        fold = np.random.default_rng(0).permutation(len(self.truth)) % FOLDS
        galleries = [gallery] * FOLDS
        if reranked:
            hubness = hubness_of(spaces, gallery, self.vectors, self.latlon)
            router = fit_router(spaces.heads, self.vectors, street_level(self.known.source))
            fit = CrossFit.of(spaces, gallery, hubness, router, self.test, self.truth)
            galleries = [fit.fit(fold != number) for number in range(FOLDS)]
        copies = [Ranker(self.cells, spaces.heads, each, UNFITTED) for each in galleries]
        asked = manifest(self.truth, np.full(len(self.truth), -3))
        return haversine_km(answer_photos(in_folds(copies, fold, asked, self.test)), self.truth)


def one_seed(folder: Path, seed: int) -> dict[str, np.ndarray]:
    """Return the distances (TEST,) by variant; finished ones are read from the folder."""
    found, fitted = {}, None
    for name in VARIANTS:
        kept = folder / f"{name.replace(' ', '_')}.npy"
        if not kept.is_file():
            fitted = fitted or Seed(folder, seed)
            np.save(kept, fitted.distances(name))
        found[name] = np.load(kept)
        log(seed, line(name, found[name]))
    return found


def log(seed: int, text: str) -> None:
    """Print progress, with the CPU time so far."""
    print(f"seed {seed}, {time.process_time():.0f} s: {text}", file=sys.stderr, flush=True)


def line(name: str, distance_km: np.ndarray) -> str:
    """Return a row of the table."""
    shares = [f"{(distance_km <= km).mean():.1%}" for km in (1, 5, 25, 200, 750, 2500)]
    numbers = [f"{np.median(distance_km):.0f}", *shares, f"{points(distance_km).mean():,.0f}"]
    return "| " + " | ".join([name, *numbers]) + " |"


def main(folder: Path) -> None:
    """Run all seeds and print the results."""
    runs = [one_seed(simulate(folder, seed), seed) for seed in SEEDS]
    joined = {name: np.concatenate([run[name] for run in runs]) for name in VARIANTS}
    print("| answer by | median km | 1 km | 5 km | 25 km | 200 km | 750 km | 2500 km | GeoScore |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, distance in joined.items():
        print(line(name, distance))
    result: dict[str, object] = {}
    print("\n| step | gain in points | 95 % | |\n|---|---:|---|---|")
    place = np.arange(len(joined["full"]))
    for key, (more, less) in GAINS.items():
        gain = effect(points(joined[more]), points(joined[less]), place)
        interval = f"{gain.low:+.1f} to {gain.high:+.1f}"
        print(f"| {key} | {gain.mean:+.1f} | {interval} | {gain.verdict} |")
        if key.startswith("gain_"):
            result[key] = [round(value, 1) for value in (gain.mean, gain.low, gain.high)]
    result["acc_25"] = round(100.0 * float((joined["full"] <= 25.0).mean()), 2)
    result["geoscore"] = round(float(points(joined["full"]).mean()))
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
