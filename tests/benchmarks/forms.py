"""Benchmark of the starter's int8 form: do its answers agree with those of fp32?

    python tests/benchmarks/forms.py

Every development photo is answered twice, by its embedding in fp32 and in int8, by the same ranker
without the photo's collection, and without the photo's place. 256 of the photos calibrated the int8
form. Needs the development data. Prints tables and one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.remove(str(Path(__file__).parent))  # or `import training` would import training.py here

import numpy as np

from geocells.sphere import haversine_km
from geoloc.bundle import directory
from geoloc.encoders.cache import default_cache
from geoloc.io.progress import NullReporter
from training.calibrate.crossval import make_ranker
from training.data.split import assign_folds, collection_folds
from training.embed.library import read_library

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data/photos"
FORMS = ("fp32", "int8")
THRESHOLDS_KM = (1, 25, 200, 750, 2500)
BATCH = 256


def errors_km(manifest, embeddings, fold, bundle) -> dict[str, np.ndarray]:
    """Return the errors (N,) of both forms, by rankers of the fp32 photos of the other folds."""
    errors = {form: np.full(len(manifest), np.nan) for form in FORMS}
    ranker = bundle.ranker
    for k in range(int(fold.max()) + 1):
        rows, out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        known = manifest.take(rows), embeddings["fp32"][rows]
        other = make_ranker(
            *known, bundle.cells, ranker.heads.prior, ranker.calibration,
            background=bundle.background,
        )  # fmt: skip
        for form in FORMS:
            for part in np.array_split(out, -(-len(out) // BATCH)):
                answer = other.rank(embeddings[form][part]).answer
                errors[form][part] = haversine_km(answer, manifest.latlon[part])
    return errors


def main() -> None:
    """Measure and print the agreement of both forms."""
    tables = [PHOTOS / name for name in ("photos.csv", "more.csv")]
    bundle, embeddings = directory.load("starter", "fp32"), {}
    for form in FORMS:
        encoder = directory.load("starter", form).build_encoder()
        library = read_library(tables, encoder, default_cache(), NullReporter())
        embeddings[form] = library.embeddings
    manifest = library.manifest
    cosine = (embeddings["fp32"] * embeddings["int8"]).sum(axis=1)
    results = {"cosine_50": np.median(cosine), "cosine_5": np.quantile(cosine, 0.05)}
    results["worst_points"] = 0.0
    print("| photos | within km | fp32 % | int8 % | difference | standard error |")
    print("|---|---:|---:|---:|---:|---:|")
    folds = {
        "of new collections": collection_folds(manifest.collection),
        "of known collections, new places": assign_folds(manifest, embeddings["fp32"]),
    }
    for name, fold in folds.items():
        errors = errors_km(manifest, embeddings, fold, bundle)
        for km in THRESHOLDS_KM:
            exact, small = (100.0 * (errors[form] <= km) for form in FORMS)
            change = small - exact
            spread = change.std() / np.sqrt(len(change))
            print(
                f"| {name} | {km} | {exact.mean():.2f} | {small.mean():.2f} |"
                f" {change.mean():+.2f} | {spread:.2f} |"
            )
            results["worst_points"] = min(results["worst_points"], change.mean())
    print(json.dumps({name: round(float(value), 4) for name, value in results.items()}))


if __name__ == "__main__":
    main()
