"""Benchmark of honesty: what radii hold and claims are right when the question is a hard one.

    python tests/benchmarks/honesty.py [BUNDLE]

Learns a bundle from the development photos, which answers photos of collections left out, alone, in
groups and under constraints; and one of four walks, which is asked about other continents. Needs
the development data beside the repository. BUNDLE keeps the first bundle. Prints tables and one
JSON line.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.remove(
    str(Path(__file__).parent)
)  # or `import training` would import training.py beside this file

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.sphere import haversine_km
from geoloc import Geolocator
from geoloc.bundle import directory
from geoloc.encoders.cache import default_cache
from geoloc.io.progress import NullReporter
from geoloc.metrics import geoscore
from training.calibrate.crossval import Validation
from training.calibrate.recognition.copies import correlations_elsewhere, measure_copies
from training.data.manifest import Manifest
from training.embed.encoders import load_encoder
from training.embed.library import read_library
from training.gallery.cluster import cluster_photos
from training.recipes.honesty import best_constant, right_claims
from training.recipes.learn import LearnedBundle, learn
from training.recipes.learned_card import question_lines
from training.recipes.model_card import QUESTIONS

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data"
TABLES = [SHARED / "photos" / name for name in ("photos.csv", "more.csv")]
COORDINATES = [
    SHARED / "coordinates" / f"{name}.parquet" for name in ("flickr_973k", "streetview_24k")
]
ENCODER = "efficientnet_lite2"
LARGE_COLLECTION = 100
FEW_CLAIMS = 30
"""Fewer claims than this say nothing about their precision."""
WALKS, PHOTOS_OF_WALKS, FOREIGN = 4, 150, 100
FAR_KM = 5_000.0
COPIED = 300
"""Photos of which distorted copies are made."""


def learn_everything(out: Path) -> LearnedBundle:
    """Learn a bundle from all development photos."""
    return learn(
        TABLES, out, encoder=ENCODER, coordinates=COORDINATES, background=TABLES, prior="world"
    )


def claims_right(validation: Validation, kinds: tuple[str, ...]) -> tuple[float, int]:
    """Return the share of claims about new collections that are right, and their number."""
    right = made = 0
    judged = {"photo": validation.questions.photo, **validation.questions.others}
    for kind in kinds:
        if kind not in judged:
            continue
        answers = judged[kind].answers
        claims = np.array(judged[kind].claims, dtype=object)
        counted = answers.new & (claims != "not sure")
        right += int(right_claims(claims, answers.km, answers.right_country)[counted].sum())
        made += int(counted.sum())
    return (right / made if made else float("nan")), made


def worst_against_constant(learned: LearnedBundle) -> tuple[float, list[tuple[str, float, float]]]:
    """Return the smallest ratio of our GeoScore to the constant guess, over large collections."""
    validation, manifest = learned.validation, learned.manifest
    assert validation.new is not None
    ranker = directory.load(learned.bundle).ranker
    constant = best_constant(ranker.cells, ranker.heads.prior)
    rows = validation.new_rows
    collection = manifest.collection[rows]
    ours = geoscore(haversine_km(validation.new.answers["full"], manifest.latlon[rows]))
    theirs = geoscore(haversine_km(constant, manifest.latlon[rows]))
    table = [
        (str(name), float(ours[own].mean()), float(theirs[own].mean()))
        for name in np.unique(collection.astype(str))
        if (own := collection == name).sum() >= LARGE_COLLECTION
    ]
    # a constant guess on another continent has no points: half a point keeps the ratio finite
    return min((mine + 0.5) / (other + 0.5) for _, mine, other in table), table


def foreign_claims(manifest: Manifest, folder: Path) -> tuple[int, float]:
    """Learn a bundle from four walks, and count its claims about photos of other continents."""
    walks = np.flatnonzero(manifest.folder == "sydney")
    names = np.unique(manifest.group[walks].astype(str))
    chosen = walks[np.isin(manifest.group[walks], names[:: len(names) // WALKS][:WALKS])]
    chosen = chosen[:: max(len(chosen) // PHOTOS_OF_WALKS, 1)][:PHOTOS_OF_WALKS]
    own = manifest.take(chosen)
    columns = {"file": own.file, "lat": own.latlon[:, 0], "lon": own.latlon[:, 1]}
    table = folder / "walks.csv"
    columns["group"] = own.group
    csv.write_csv(pa.table({name: list(values) for name, values in columns.items()}), table)
    learned = learn(table, folder / "walks", encoder="starter")
    away = np.flatnonzero(haversine_km(own.latlon[0], manifest.latlon) > FAR_KM)
    asked = np.random.default_rng(0).permutation(away)[:FOREIGN]
    geolocator = Geolocator.from_bundle(learned.bundle)
    guesses = list(geolocator.locate_many(manifest.file[asked].tolist()))
    held = [
        haversine_km([guess.lat, guess.lon], manifest.latlon[row]) <= guess.radius_80_km
        for guess, row in zip(guesses, asked, strict=True)
    ]
    return sum(guess.confidence != "not sure" for guess in guesses), float(np.mean(held))


def copies(learned: LearnedBundle) -> tuple[float, float]:
    """Return the share of copies that are found, and of other photos taken for copies."""
    bundle = directory.load(learned.bundle)
    assert bundle.copies is not None
    network = load_encoder(ENCODER, default_cache()).network
    library = read_library(TABLES, network, default_cache(), NullReporter())
    manifest = library.manifest
    rows = np.random.default_rng(1).permutation(len(manifest))[:COPIED]
    found = measure_copies(bundle.ranker, bundle.copies, manifest.take(rows), network)
    cell = bundle.cells.locate(manifest.latlon)
    members = np.argsort(cluster_photos(manifest.latlon, cell), kind="stable")
    elsewhere = correlations_elsewhere(
        bundle.copies, bundle.ranker, manifest, library.signatures, library.embeddings,
        manifest.group[members],
    )  # fmt: skip
    return found, float((elsewhere >= bundle.copies.threshold[0]).mean())


def ranked_per_second(learned: LearnedBundle) -> float:
    """Return the answers per second from embeddings, with place names."""
    geolocator = Geolocator.from_bundle(learned.bundle)
    vectors = np.random.default_rng(0).normal(size=(512, geolocator.encoder.spec.dim))
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    geolocator.guess(embeddings[:8])
    start = time.perf_counter()
    for first in range(0, len(embeddings), 64):
        geolocator.guess(embeddings[first : first + 64])
    return len(embeddings) / (time.perf_counter() - start)


def main() -> None:
    """Measure everything and print it."""
    with tempfile.TemporaryDirectory() as work:
        out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(work) / "bundle"
        learned = learn_everything(out)
        questions = learned.metrics[QUESTIONS]
        print("\n".join(question_lines(questions)))
        worst, table = worst_against_constant(learned)
        for name, ours, constant in table:
            print(f"{name}: GeoScore {ours:,.0f}, best constant guess {constant:,.0f}")
        claims = {
            "claims_right": claims_right(learned.validation, ("photo",)),
            "claims_right_within": claims_right(
                learned.validation, ("photo within", "place within")
            ),
            "claims_right_together": claims_right(learned.validation, ("place",)),
        }
        for name, (share, made) in claims.items():
            print(f"{name}: {made} made, {100 * share:.0f} % right")
        claimed, held = foreign_claims(learned.manifest, Path(work))
        print(f"four walks, asked about other continents: 80 % radius held for {100 * held:.0f} %")
        found, false = copies(learned)
        coverage = {
            "cover80_new": "one photo",
            "cover80_within_country": "one photo, its country given",
            "cover80_within_circle": "one photo, a circle given",
            "cover80_together_4": "4 photos of one place",
            "cover80_together_12": "12 photos of one place",
        }
        held80 = {key: questions[name]["coverage"]["80"] for key, name in coverage.items()}
        result = {
            **{key: round(value, 3) for key, value in held80.items()},
            **{name: round(share, 3) for name, (share, _) in claims.items()},
            **{name.replace("right", "made"): made for name, (_, made) in claims.items()},
            "worst_vs_constant": round(worst, 3),
            "foreign_claims": claimed,
            "copies_found": round(found, 4),
            "copies_false": round(false, 5),
            "ranked_per_second": round(ranked_per_second(learned)),
        }
        print(
            json.dumps({name: None if np.isnan(value) else value for name, value in result.items()})
        )


if __name__ == "__main__":
    main()
