"""Benchmark of scoring: a million predictions with borders and 1,000 resamples, and duels.

    python tests/benchmarks/evaluation.py [PREDICTIONS] [RESAMPLES]

The data is simulated: photos near the embedded towns, answers at random distances. Prints tables
and one JSON line.
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


def simulate(rng: np.random.Generator) -> tuple[Benchmark, Predictions, TrainingPhotos]:
    """Return photos within 5 km of towns, answers (1 % refused) and training photos."""
    gazetteer = towns()
    weight = (gazetteer.population + 1000.0) ** 0.5
    town = rng.choice(len(weight), PREDICTIONS, p=weight / weight.sum())
    turn = rng.uniform(0, 360, (2, PREDICTIONS))
    truth = destination(gazetteer.points.latlon[town], turn[0], rng.uniform(0, 5, PREDICTIONS))
    error_km = rng.lognormal(4.5, 2.5, PREDICTIONS).clip(0, 20_000)
    empty = np.full(PREDICTIONS, "", dtype=object)
    names = np.array([f"{number}.jpg" for number in range(PREDICTIONS)], dtype=object)
    photos = Benchmark(
        "simulated", names, empty, truth, np.zeros(PREDICTIONS), empty, empty, "0" * 64
    )
    answers = Predictions.none("simulated", PREDICTIONS)
    answers.latlon[:] = destination(truth, turn[1], error_km)
    answers.latlon[rng.random(PREDICTIONS) < 0.01] = np.nan
    answers.chance[:] = rng.random(PREDICTIONS)
    answers.radii_km[:] = rng.lognormal(5, 1, (PREDICTIONS, 1)) * (1.0, 3.0, 10.0)
    return (
        photos,
        answers,
        TrainingPhotos(truth[rng.integers(PREDICTIONS, size=TRAINING)] + 0.01, empty),
    )


def stages(photos: Benchmark, answers: Predictions, training: TrainingPhotos) -> dict[str, float]:
    """Return the seconds of each part of scoring, without one-time loading."""
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
        lambda: find_leakage(training, photos.latlon, photos.author),
    )
    timed(
        "continents, countries, population",
        lambda: breakdown.breakdown(photo_scores, truth, photos.latlon, found.nearest_km),
    )
    return times


def score_s(photos: Benchmark, answers: Predictions) -> float:
    """Return the seconds of all scores of a report, without the leakage audit."""
    start = time.perf_counter()
    results.assess(photos, [answers], resamples=RESAMPLES)
    return time.perf_counter() - start


def reading_s(photos: Benchmark, answers: Predictions) -> dict[str, float]:
    """Return the seconds to write and read predictions, and to read a benchmark table."""
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
    """Return the seconds of 10,000 duels by the ranked rules."""
    points = np.random.default_rng(0).integers(0, 5001, (DUELS, ROUNDS, 2))
    start = time.perf_counter()
    simulate_duels(points, RULES["ranked-2026"])
    return time.perf_counter() - start


def show(title: str, times: dict[str, float]) -> None:
    """Print a table of times."""
    print(f"\n| {title} | s |\n|---|---:|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.1f} |")


def main() -> None:
    """Run all measurements and print the results."""
    photos, answers, training = simulate(np.random.default_rng(0))
    sample = np.arange(min(1000, PREDICTIONS))
    results.assess(
        photos.take(sample), [answers.take(sample)], resamples=10
    )  # loads the embedded borders
    scoring_s = score_s(photos, answers)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{PREDICTIONS:,} predictions, {RESAMPLES:,} resamples: {scoring_s:.1f} s, {peak_gb:.2f} GB"
    )
    show("part", stages(photos, answers, training))
    show("file", reading_s(photos, answers))
    duels = duels_10k_s()
    print(f"\n{DUELS:,} duels of {ROUNDS} rounds: " + f"{duels:.2f} s")
    print(
        json.dumps(
            {
                "predictions": PREDICTIONS,
                "resamples": RESAMPLES,
                "score_1m_s": round(scoring_s, 2),
                "peak_gb": round(peak_gb, 2),
                "duels_10k_s": round(duels, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
