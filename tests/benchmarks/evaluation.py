"""How long scoring takes: a million predictions with polygons and a thousand resamples; duels.

    python tests/benchmarks/evaluation.py [PREDICTIONS] [RESAMPLES]

Simulated: places around the embedded towns, answers at random distances. Prints tables, and ends
with one line of JSON.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from geocells.places import towns
from geocells.sphere import destination
from geoloc.evaluation import benchmark as benchmarks
from geoloc.evaluation import breakdown, calibration, results, scores
from geoloc.evaluation import predictions as tables
from geoloc.evaluation.benchmark import Benchmark
from geoloc.evaluation.leakage import TrainingPhotos, find_leakage
from geoloc.evaluation.predictions import Predictions
from geoloc.evaluation.statistics import resampling_units
from geoloc.game import RULES, simulate_duels

PREDICTIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
RESAMPLES = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
TRAINING = 100_000
DUELS, ROUNDS = 10_000, 30


def drawn(rng: np.random.Generator) -> tuple[Benchmark, Predictions, TrainingPhotos]:
    """Photos within 5 km of towns, answers of a system that refuses one in a hundred."""
    known = towns()
    weight = (known.population + 1000.0) ** 0.5
    town = rng.choice(len(weight), PREDICTIONS, p=weight / weight.sum())
    turn = rng.uniform(0, 360, (2, PREDICTIONS))
    truth = destination(known.points.latlon[town], turn[0], rng.uniform(0, 5, PREDICTIONS))
    off = rng.lognormal(4.5, 2.5, PREDICTIONS).clip(0, 20_000)
    nobody = np.full(PREDICTIONS, "", dtype=object)
    names = np.array([f"{number}.jpg" for number in range(PREDICTIONS)], dtype=object)
    photos = Benchmark(
        "simulated", names, nobody, truth, np.zeros(PREDICTIONS), nobody, nobody, "0" * 64
    )
    answers = Predictions.none("simulated", PREDICTIONS)
    answers.latlon[:] = destination(truth, turn[1], off)
    answers.latlon[rng.random(PREDICTIONS) < 0.01] = np.nan
    answers.chance[:] = rng.random(PREDICTIONS)
    answers.radii_km[:] = rng.lognormal(5, 1, (PREDICTIONS, 1)) * (1.0, 3.0, 10.0)
    return (
        photos,
        answers,
        TrainingPhotos(truth[rng.integers(PREDICTIONS, size=TRAINING)] + 0.01, nobody),
    )


def stages(photos: Benchmark, answers: Predictions, known: TrainingPhotos) -> dict[str, float]:
    """Seconds of each part of scoring; what is loaded once is loaded before."""
    times: dict[str, float] = {}

    def timed(name, work):
        start = time.perf_counter()
        value = work()
        times[name] = time.perf_counter() - start
        return value

    truth = timed("country and region of the truth", lambda: scores.true_areas(photos))
    photo_scores = timed(
        "distances, points, polygons of the answers",
        lambda: scores.score_photos(photos, answers, truth),
    )
    unit = resampling_units(photos.group, photos.author)
    timed(f"{RESAMPLES} resamples", lambda: scores.score_systems([photo_scores], unit, RESAMPLES))
    timed("chances, radii, areas", lambda: calibration.assess_calibration(answers, photo_scores))
    found = timed(
        f"distance to {TRAINING:,} photos",
        lambda: find_leakage(known, photos.latlon, photos.author),
    )
    timed(
        "continents, countries, population",
        lambda: breakdown.breakdown(photo_scores, truth, photos.latlon, found.nearest_km),
    )
    return times


def score_s(photos: Benchmark, answers: Predictions) -> float:
    """Seconds of everything that is in a report but leaks: one call."""
    start = time.perf_counter()
    results.assess(photos, [answers], resamples=RESAMPLES)
    return time.perf_counter() - start


def reading_s(photos: Benchmark, answers: Predictions) -> dict[str, float]:
    """Seconds of writing and reading a table of predictions, and of reading one of photos."""
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.csv"
        start = time.perf_counter()
        tables.write(answers, photos, path)
        times["write predictions"] = time.perf_counter() - start
        start = time.perf_counter()
        tables.read(path, photos)
        times["read predictions"] = time.perf_counter() - start
        truth = Path(folder) / "truth.csv"
        there = Predictions.none("truth", len(photos))
        there.latlon[:] = photos.latlon
        tables.write(there, photos, truth)
        start = time.perf_counter()
        benchmarks.read(str(truth))
        times["read a benchmark"] = time.perf_counter() - start
    return times


def duels_10k_s() -> float:
    """Seconds of 10,000 duels by the ranked rules."""
    points = np.random.default_rng(0).integers(0, 5001, (DUELS, ROUNDS, 2))
    start = time.perf_counter()
    simulate_duels(points, RULES["ranked-2026"])
    return time.perf_counter() - start


def show(title: str, times: dict[str, float]) -> None:
    print(f"\n| {title} | s |\n|---|---:|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.1f} |")


def main() -> None:
    photos, answers, known = drawn(np.random.default_rng(0))
    some = np.arange(min(1000, PREDICTIONS))
    results.assess(photos.take(some), [answers.take(some)], resamples=10)  # loads the Earth
    whole = score_s(photos, answers)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{PREDICTIONS:,} predictions, {RESAMPLES:,} resamples: {whole:.1f} s, {peak_gb:.2f} GB")
    show("part", stages(photos, answers, known))
    show("file", reading_s(photos, answers))
    duels = duels_10k_s()
    print(f"\n{DUELS:,} duels of {ROUNDS} rounds: " + f"{duels:.2f} s")
    print(
        json.dumps(
            {
                "predictions": PREDICTIONS,
                "resamples": RESAMPLES,
                "score_1m_s": round(whole, 2),
                "peak_gb": round(peak_gb, 2),
                "duels_10k_s": round(duels, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
