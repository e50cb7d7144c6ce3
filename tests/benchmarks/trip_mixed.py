"""Benchmark of libraries that mislead: two photographers in one folder; from home and back.

    python tests/benchmarks/trip_mixed.py

Two walks of one fold of `trips.py` are mixed on one clock, 30 pairs, without a name of the camera
and with files that are named by their time. They are placed together, each by itself, and each
photo alone. Journeys between two positions at home, a day before and a day after, have no position
of their own: walks and simulated journeys from another photo of the world, the tour through Japan,
and walks from a home in their middle. All clocks but that of the tour are simulated. JSON keys:
mixed_median_km, mixed_p95_km, mixed_cover80, parted_wrong, home_median_km, home_cover80, by the
share of geotags, or by the kind of journey.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[2]))

from tests.benchmarks import trips  # isort: skip  (before numpy: it sets the number of threads)

import numpy as np

from geocells.sphere import haversine_km
from geoloc.bundle import directory as bundles
from geoloc.trips.model.chains import second_chain
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import FILE, TripParameters
from geoloc.trips.model.persons import place_all
from geoloc.trips.model.placing import place
from training.calibrate.journeys.walks import Walk, known_rows

PAIRS = 30
SHARES = (0.0, 0.05, 0.1)
DAY_S, NEAR_KM = 86400.0, 30.0


def joined(walks: list[Walk], order: np.ndarray) -> Evidence:
    """Return the evidence of some walks, in another order."""
    names = ("cell", "belief", "features", "answer", "radii_km", "probability")
    columns = {n: np.concatenate([getattr(w.evidence, n) for w in walks])[order] for n in names}
    return replace(walks[0].evidence, **columns)


def measure_mixed(folds: list[list[Walk]], parameters: TripParameters) -> dict[str, object]:
    """Print errors of two walks in one folder, and return them by the share of geotags."""
    keys: dict[str, dict[str, float]] = {}
    for share in SHARES:
        rng = np.random.default_rng(11)
        km: dict[str, list[np.ndarray]] = {}
        inside = []
        for number in range(PAIRS):
            walks = folds[number % len(folds)]
            one, other = (walks[i] for i in rng.choice(len(walks), 2, replace=False))
            time_s = np.concatenate([one.time_s, other.time_s + rng.uniform(0.0, 150.0)])
            order = np.argsort(time_s, kind="stable")
            who = np.repeat(["a", "b"], [len(one.time_s), len(other.time_s)])[order]
            latlon, evidence = (
                np.concatenate([one.latlon, other.latlon])[order],
                joined([one, other], order),
            )
            known = known_rows(len(order), share, rng)
            given = np.where(known[:, None], latlon, np.nan)
            names = [f"IMG_20240305_{100000 + i}.jpg" for i in range(len(order))]
            by_name, mixed = (
                place_all(camera, names, time_s[order], given, evidence, parameters)
                for camera in (who.tolist(), [""] * len(order))
            )
            as_one = place(time_s[order], given, evidence, parameters)
            places = {"apart": by_name.latlon, "mixed": mixed.latlon, "as one": as_one.latlon,
                      "single": evidence.answer}  # fmt: skip
            for kind, each in places.items():
                km.setdefault(kind, []).append(haversine_km(each, latlon)[~known])
            inside.append(km["mixed"][-1] <= mixed.radii_km[~known, 1])
        for kind, values in km.items():
            median, p95 = np.quantile(np.concatenate(values), (0.5, 0.95))
            print(f"{100 * share:3.0f} % {kind:8} {median:7.2f} / {p95:6.1f} km")
            if kind == "mixed":
                for key, value in (("median_km", median), ("p95_km", p95)):
                    keys.setdefault(f"mixed_{key}", {})[f"{100 * share:.0f}"] = round(
                        float(value), 2
                    )
        cover = float(np.concatenate(inside).mean())
        keys.setdefault("mixed_cover80", {})[f"{100 * share:.0f}"] = round(cover, 3)
    return dict(keys)


def parted_wrong(routes: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return how often a journey, or a share of its positions, is taken for that of two."""
    rng, found = np.random.default_rng(1), []
    for time_s, latlon in routes:
        order = np.argsort(time_s, kind="stable")
        for share in (1.0, 0.3, 0.1, 0.05):
            chosen = order[known_rows(len(order), share, rng)[order]]
            found.append(second_chain(time_s[chosen], latlon[chosen]).any())
    return round(float(np.mean(found)), 4)


def measure_home(groups: dict[str, list[Walk]], parameters: TripParameters) -> dict[str, object]:
    """Print errors of journeys from home and back, and return them by their kind."""
    rng = np.random.default_rng(3)
    every = np.concatenate([walk.latlon for walk in groups["journeys"]])
    cases = [(name, name, False) for name in groups] + [("walks", "walks at home", True)]
    keys: dict[str, dict[str, float]] = {"home_median_km": {}, "home_cover80": {}}
    for name, shown, stays in cases:
        km, inside = [], []
        for walk in groups[name]:
            middle = np.median(walk.latlon, axis=0)
            if stays and (haversine_km(walk.latlon, middle) < NEAR_KM).mean() < 0.9:
                continue
            home = middle if stays else every[int(rng.integers(len(every)))]
            count = len(walk.time_s)
            time_s = np.r_[walk.time_s[0] - DAY_S, walk.time_s, walk.time_s[-1] + DAY_S]
            known = np.full((count + 2, 2), np.nan)
            known[[0, -1]] = home, home + 0.01
            rows = np.r_[0, np.arange(count), count - 1]
            placed = place(time_s, known, walk.evidence.take(rows), parameters)
            km.append(haversine_km(placed.latlon[1:-1], walk.latlon))
            inside.append(km[-1] <= placed.radii_km[1:-1, 1])
        median, p95 = np.quantile(np.concatenate(km), (0.5, 0.95))
        cover = float(np.concatenate(inside).mean())
        print(f"{shown:13} {median:7.1f} / {p95:6.0f} km, 80 % radius holds {100 * cover:.0f} %")
        keys["home_median_km"][shown] = round(float(median), 1)
        keys["home_cover80"][shown] = round(cover, 3)
    return dict(keys)


def main() -> None:
    """Measure, and print the results."""
    folds, japan, _ = trips.learned_folds()
    parameters = TripParameters.read(bundles.load("starter").path / FILE)
    journeys = [walk for fold in folds for walk in fold.journeys]
    walks = [walk for fold in folds for walk in fold.walks]
    routes = trips.routes_of_photographers()
    routes += [(walk.time_s, walk.latlon) for walk in (*walks, *journeys, japan)]
    keys: dict[str, object] = {"parted_wrong": parted_wrong(routes)}
    print("two walks in one folder, by models of the other walks:")
    keys |= measure_mixed([fold.own for fold in folds], parameters)
    print("journeys from home and back:")
    keys |= measure_home({"walks": walks, "journeys": journeys, "tour": [japan]}, parameters)
    print(json.dumps(keys))


if __name__ == "__main__":
    main()
