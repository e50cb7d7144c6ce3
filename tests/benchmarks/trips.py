"""Benchmark of trips: whole walks and journeys held out, shares of geotags known, wrong clocks.

    python tests/benchmarks/trips.py [--write BUNDLE] [--journeys TABLE]

The photos are divided into five folds, by walk around Sydney and by collection elsewhere; models
learned from the other folds give the evidence, and the model of a journey is fitted on the other
folds as well. The walks have only an order: their clock is simulated, 150 s between two photos.
Journeys of many days are simulated through held-out photos of the world, and routes through
coordinates of photographers. The bicycle tour through Japan has real times, and so have the
journeys of TABLE (collection, journey, time, lat, lon); each is measured by a fit on the others.
Needs the development data beside the repository. JSON keys: median_km_0, acc5_0, acc25_0,
median_ratio_single_0, median_ratio_interp_1, p95_ratio_interp_1 (and of the other shares),
cover80, the same with bundle_ before (by models of all other photos, as in a bundle),
cover80_journeys, cover80_tour, cover80_real, median_ratio_interp_real, p95_ratio_interp_real,
clock_sight, clock_found, clock_false, s_100k, peak_gb_100k. --write stores the parameters fitted on
all folds in a bundle. Prints tables and one JSON line.
"""

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads only wait
sys.path.remove(
    str(Path(__file__).parent)
)  # or `import training` would import training.py beside this file

import numpy as np
import pandas as pd
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from geocells.sphere import haversine_km
from geoloc.bundle import directory as bundles
from geoloc.encoders.cache import default_cache
from geoloc.io.digests import sha256
from geoloc.io.progress import NullReporter
from geoloc.trips import clocks
from geoloc.trips.answers import KINDS
from geoloc.trips.clues.photos import Library, LibraryPhoto
from geoloc.trips.clues.times import PhotoTime
from geoloc.trips.library import place_library
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.evidence import Evidence, of_ranking
from geoloc.trips.model.parameters import FILE, TripParameters
from training.calibrate.crossval import held_out_by, make_ranker
from training.calibrate.journeys.fit import fit_trips
from training.calibrate.journeys.simulated import simulated_journeys, simulated_route
from training.calibrate.journeys.walks import (
    Route,
    Walk,
    held_out_walks,
    known_rows,
    place_walk,
    read_journeys,
)
from training.calibrate.stages import fit_answers
from training.data.manifest import Manifest
from training.embed.encoders import load_encoder
from training.embed.library import read_library
from training.recipes.world_prior import cells_of, priors_over, read_world

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared")) / "data"
FOLDS = 5
JOURNEYS = 12
"""Simulated journeys that are begun in each fold."""

ROUTE_PHOTOS, ROUTE_PLACES = 500, 3000
"""Photos of a photographer: at least, and at most as places of a route."""

TOUR = "joelvonrotz/joelvonrotz.github.io"
SURE_KM = 10.0
"""Photos of the tour whose own position is less precise are not measured."""

SHARES = {"0": 0.0, "one": 1e-9, "1": 0.01, "5": 0.05, "10": 0.1}
REPEATS = 4
REAL_ANSWERS = 4_000
LARGE = 100_000
START_S = 1_700_000_000.0
OFFSETS_S = (60.0, 600.0, 3600.0, -7200.0, 86400.0, 31.0 * 86400.0, -5 * 365.25 * 86400.0)
DRIFT_S_PER_DAY = 2.0


@dataclass(frozen=True)
class Fold:
    """What models of the other folds say about the photos of one fold."""

    walks: list[Walk]
    """By models of all other photos, as in a bundle."""
    own: list[Walk]
    """The same walks by models of the other walks alone."""
    journeys: list[Walk]
    """Simulated, through photos of collections that the models never saw."""


def learned_folds() -> tuple[list[Fold], Walk, np.ndarray]:
    """Return the folds; the tour through Japan, which no fold has; and its photos to measure.

    The rankers have the calibration of the starter bundle, which is about a hundred numbers.
    """
    starter, rng = bundles.load("starter"), np.random.default_rng(1)
    encoder = load_encoder("starter", default_cache())
    tables = [SHARED / "photos" / name for name in ("photos.csv", "more.csv")]
    library, more = (
        read_library([table], encoder.network, default_cache(), NullReporter()) for table in tables
    )
    manifest, embeddings = library.manifest, library.embeddings
    sydney = manifest.folder.astype(str) == "sydney"
    unit = np.where(sydney, manifest.group.astype(str), manifest.collection.astype(str))
    names = np.random.default_rng(0).permutation(np.unique(unit))
    number = {name: index % FOLDS for index, name in enumerate(names.tolist())}
    fold = np.array([number[name] for name in unit])
    world, _ = read_world([])
    cells = cells_of(manifest.latlon, world)
    priors = priors_over(cells, manifest.latlon, world)
    folds = []
    for held in range(FOLDS):
        rows = np.flatnonzero(fold != held)
        walk, other = (np.flatnonzero((fold == held) & here) for here in (sydney, ~sydney))
        ranker = make_ranker(
            manifest.take(rows), embeddings[rows], cells, priors.world, starter.ranker.calibration,
            prior_of_use=priors.use,
            background=starter.background.without(manifest.collection[other]),
        )  # fmt: skip
        walks = held_out_walks(
            manifest.take(walk), embeddings[walk], [ranker], np.zeros(len(walk), int)
        )
        evidence = of_ranking(ranker, ranker.rank(embeddings[other]))
        journeys = simulated_journeys(manifest.latlon[other], evidence, JOURNEYS, rng)
        near = learned(manifest, embeddings, np.flatnonzero((fold != held) & sydney), world)
        own = held_out_walks(
            manifest.take(walk), embeddings[walk], [near], np.zeros(len(walk), int)
        )
        folds.append(Fold(walks, own, journeys))
    return folds, *tour(more, ranker)


def learned(manifest: Manifest, embeddings: np.ndarray, rows: np.ndarray, world: np.ndarray):
    """Return a ranker of some walks, calibrated on some of them, with the starter's radii."""
    cells = cells_of(manifest.latlon[rows], world)
    priors = priors_over(cells, manifest.latlon[rows], world)
    group = manifest.group[rows].astype(str)
    names = np.random.default_rng(1).permutation(np.unique(group))
    inner = np.isin(group, names[: max(1, len(names) // 5)])

    def ranker_of(chosen: np.ndarray, **more):
        return make_ranker(
            manifest.take(chosen), embeddings[chosen], cells, priors.world,
            prior_of_use=priors.use, **more,
        )  # fmt: skip

    held = rows[inner]
    first = ranker_of(rows[~inner])
    fitted = fit_answers(held_out_by(first, manifest.take(held), embeddings[held]))
    judges = bundles.load("starter").ranker.calibration.judges
    return ranker_of(rows, calibration=replace(fitted, judges=judges))


def tour(library, ranker) -> tuple[Walk, np.ndarray]:
    """Return the tour with its real times, by a ranker that knows no photo of its collection."""
    table = csv.read_csv(SHARED / "photos" / "more.csv").to_pandas()
    table = table[table.collection == TOUR].sort_values("time")
    row_of = {Path(file).name: row for row, file in enumerate(library.manifest.file)}
    rows = np.array([row_of[Path(file).name] for file in table.file])
    evidence = of_ranking(ranker, ranker.rank(library.embeddings[rows]))
    ahead = [pd.Timedelta(f"{each}:00").total_seconds() for each in table.offset]
    time_s = np.array([each.timestamp() for each in table.time]) - ahead
    walk = Walk(time_s, library.manifest.latlon[rows], evidence)
    return walk, table.precision_km.to_numpy() < SURE_KM


def routes_of_photographers() -> list[Route]:
    """Return a simulated route near the coordinates of each photographer who has many."""
    table = parquet.read_table(SHARED / "coordinates" / "flickr_973k.parquet").to_pandas()
    rng, routes = np.random.default_rng(0), []
    for _, own in table.groupby("author"):
        if len(own) >= ROUTE_PHOTOS:
            places = own[["lat", "lon"]].to_numpy(float)
            chosen = rng.choice(len(places), min(len(places), ROUTE_PLACES), replace=False)
            routes.append(simulated_route(places[chosen], rng))
    return routes


def measure_shares(folds: list[list[Walk]], fitted: list[TripParameters]) -> dict[str, object]:
    """Print errors by share of geotags, and return them with the coverage of the radii."""
    rng = np.random.default_rng(5)
    keys: dict[str, object] = {}
    covered: dict[str, list[np.ndarray]] = {}
    print(f"{'geotags':8} {'answer':12} {'median':>7} {'p95':>7} {'<5 km':>6} {'<25 km':>6}")
    for name, share in SHARES.items():
        errors: dict[str, list[np.ndarray]] = {}
        for walks, parameters in zip(folds, fitted, strict=True):
            for walk in walks:
                for _ in range(REPEATS if share else 1):
                    add_errors(walk, share, parameters, rng, errors, covered)
        km = {kind: np.concatenate(values) for kind, values in errors.items()}
        for kind, values in km.items():
            print(
                f"{name:8} {kind:12} {np.median(values):7.2f} {np.quantile(values, 0.95):7.2f}"
                f" {(values < 5).mean():6.3f} {(values < 25).mean():6.3f}"
            )
        keys[f"median_km_{name}"] = round(float(np.median(km["together"])), 2)
        keys[f"acc5_{name}"] = round(float((km["together"] < 5).mean()), 3)
        keys[f"acc25_{name}"] = round(float((km["together"] < 25).mean()), 3)
        if share:
            for statistic, level in (("ratio", 0.5), ("p95_ratio", 0.95)):
                best = min(np.quantile(km[kind], level) for kind in ("copied", "interpolated"))
                ratio = float(np.quantile(km["together"], level) / best)
                keys[f"median_{statistic}_interp_{name}"] = round(ratio, 3)
        else:
            ratio = float(np.median(km["together"]) / np.median(km["single"]))
            keys["median_ratio_single_0"] = round(ratio, 3)
    return keys | {"cover80": shares_inside(covered)}


def shares_inside(covered: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Return the share of photos inside their 80 % radii by class."""
    return {
        case: round(float(np.concatenate(values).mean()), 3) for case, values in covered.items()
    }


def measure_journeys(
    groups: list[list[Walk]], fitted: list[TripParameters], sure: np.ndarray | None = None
) -> dict[str, float]:
    """Return how many true places the 80 % radii hold on journeys of many days, by class."""
    rng = np.random.default_rng(6)
    covered: dict[str, list[np.ndarray]] = {}
    errors: dict[str, list[np.ndarray]] = {}
    for name, share in SHARES.items():
        errors.clear()
        for walks, parameters in zip(groups, fitted, strict=True):
            for walk in walks:
                for _ in range(REPEATS if share else 1):
                    add_errors(walk, share, parameters, rng, errors, covered, sure)
        line = [
            f"{kind} {np.quantile(np.concatenate(values), 0.5):.1f} / "
            f"{np.quantile(np.concatenate(values), 0.95):.0f}"
            for kind, values in errors.items()
        ]
        print(f"{name:8} median / p95 km: {', '.join(line)}")
    return shares_inside(covered)


def measure_real(
    real: dict[str, list[Route]], routes: list[Route], walks: list[Walk], journeys: list[Walk]
) -> dict[str, object]:
    """Measure places by time alone on each collection of real journeys, by a fit on the others.

    All collections weigh the same in the ratios.
    """
    order = [(walk.time_s, walk.latlon) for walk in walks]
    covered: dict[str, dict[str, float]] = {}
    errors: dict[tuple[str, str], list[np.ndarray]] = {}
    for held, own in real.items():
        rng = np.random.default_rng(8)
        others = [each for name, each in real.items() if name != held]
        parameters = fit_trips([], journeys, routes, [order, *others])
        inside: dict[str, list[np.ndarray]] = {}
        repeats = -(-REAL_ANSWERS // sum(len(time_s) for time_s, _ in own))
        for name, share in list(SHARES.items())[1:]:
            km: dict[str, list[np.ndarray]] = {}
            for time_s, latlon in own * repeats:
                known = known_rows(len(time_s), share, rng)
                rows = np.flatnonzero(known)
                found = bridge(
                    Anchors.of(time_s[rows], latlon[rows], rows), time_s[~known], parameters.pace
                )
                case = np.where(found.between, "between", "beyond")
                radii = np.where(
                    found.between,
                    parameters.radii_km("between", found.features())[:, 1],
                    parameters.radii_km("beyond", found.features())[:, 1],
                )
                places = {"together": found.latlon} | {
                    kind: each[~known] for kind, each in by_others(time_s, latlon, rows).items()
                }
                for kind, place in places.items():
                    km.setdefault(kind, []).append(haversine_km(place, latlon[~known]))
                for each in np.unique(case):
                    here = km["together"][-1] <= radii
                    inside.setdefault(str(each), []).append(here[case == each])
            line, chosen = [], rng.integers(sum(map(len, km["together"])), size=REAL_ANSWERS)
            for kind, values in km.items():
                drawn = np.concatenate(values)[chosen]
                errors.setdefault((name, kind), []).append(drawn)
                line.append(f"{kind} {np.median(drawn):.1f} / {np.quantile(drawn, 0.95):.0f}")
            print(f"{held:12} {name:4} median / p95 km: {', '.join(line)}")
        covered[held] = shares_inside(inside)
    ratios: dict[str, dict[str, float]] = {"median": {}, "p95": {}}
    for name in list(SHARES)[1:]:
        for statistic, level in (("median", 0.5), ("p95", 0.95)):
            value = {
                kind: np.quantile(np.concatenate(errors[name, kind]), level)
                for kind in ("together", "copied", "interpolated")
            }
            best = min(value["copied"], value["interpolated"])
            ratios[statistic][name] = round(float(value["together"] / best), 3)
    return {f"{key}_ratio_interp_real": value for key, value in ratios.items()} | {
        "cover80_real": covered
    }


def by_others(time_s: np.ndarray, latlon: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return all places copied from the nearest known one in time, and interpolated."""
    nearest = rows[np.abs(time_s[:, None] - time_s[rows]).argmin(axis=1)]
    columns = [np.interp(time_s, time_s[rows], latlon[rows, k]) for k in (0, 1)]
    return {"copied": latlon[nearest], "interpolated": np.column_stack(columns)}


def add_errors(walk, share, parameters, rng, errors, covered, sure=None) -> None:
    """Place one walk and add the errors of the photos without a geotag, of `sure` ones if given."""
    known = known_rows(len(walk.time_s), share, rng)
    placed = place_walk(walk, known, parameters)
    hidden = ~known if sure is None else ~known & sure

    def add(kind: str, latlon: np.ndarray) -> np.ndarray:
        km = haversine_km(latlon, walk.latlon)[hidden]
        errors.setdefault(kind, []).append(km)
        return km

    inside = add("together", placed.latlon) <= placed.radii_km[hidden, 1]
    kind = np.array([KINDS[str(case)] for case in placed.case[hidden]])
    for case in np.unique(kind):
        covered.setdefault(str(case), []).append(inside[kind == case])
    add("single", walk.evidence.answer)
    if known.any():
        for kind, latlon in by_others(walk.time_s, walk.latlon, np.flatnonzero(known)).items():
            add(kind, latlon)


def measure_clocks(folds: list[list[Walk]]) -> dict[str, float]:
    """Return how often a wrong clock is found within five minutes, and a right one changed.

    Two cameras photograph a walk: every third scene is taken by both, which is simulated by a
    picture whose features differ by some noise; the other photos alternate. For the false ones the
    second camera's clock is right, or it was on another walk.
    """
    rng = np.random.default_rng(3)
    walks = [walk for fold in folds for walk in fold]
    found, false, wrong_cases, right_cases = 0, 0, 0, 0
    for number, walk in enumerate(walks):
        for offset in OFFSETS_S:
            clock = two_cameras(walk, offset, rng)
            wrong_cases += 1
            found += bool(clock and clock.applied and abs(clock.offset_s - offset) <= WITHIN_S)
        for other in (walk, walks[(number + 1) % len(walks)]):
            clock = two_cameras(walk, 0.0, rng, other)
            right_cases += 1
            false += bool(clock and clock.applied)
    return {
        "clock_found": round(found / wrong_cases, 3),
        "clock_false": round(false / right_cases, 3),
    }


def measure_sight(groups: list[list[Walk]]) -> dict[str, dict[str, float]]:
    """Return what pictures alone say about the clock of a camera that moved along a track.

    The positions are the track; the camera's own are unknown. Shares of the cases: those with a
    right answer that was applied, with a wrong one, those told with an interval, and how many
    intervals hold the offset, of all and of those that are told.
    """
    found = {}
    for name, walks in zip(("walks", "journeys"), groups, strict=True):
        rows = []
        for number, walk in enumerate(walks):
            other = walks[(number + 1) % len(walks)]
            sights = clocks.Sights(
                np.full_like(walk.latlon, np.nan), walk.evidence, TripParameters()
            )
            every = np.arange(len(walk.time_s))
            for offset, along in [*((offset, walk) for offset in SIGHT_OFFSETS_S), (0.0, other)]:
                track = Anchors.of(along.time_s, along.latlon, np.full(len(along.time_s), -1))
                shift = clocks.align(walk.time_s - offset, sights, every, track)
                wrong = abs(shift.offset_s - offset) > WITHIN_S
                applied = shift.sure and abs(shift.offset_s) > clocks.RIGHT_S
                held = shift.low_s <= offset <= shift.high_s
                rows.append((applied and not wrong, applied and wrong, shift.told, held))
        applied, false, told, held = np.array(rows, float).T
        found[name] = {
            "applied": applied.mean(), "false": false.mean(), "told": told.mean(),
            "held": held.mean(), "held_told": held[told > 0].mean() if told.any() else np.nan,
        }  # fmt: skip
        found[name] = {key: round(float(value), 3) for key, value in found[name].items()}
    return found


WITHIN_S = 300.0
SIGHT_OFFSETS_S = (0.0, 600.0, -9 * 3600.0, 3 * 86400.0, 365 * 86400.0)
SCENE_NOISE = 0.15
"""Standard deviation of the noise of the second picture of a scene, as a share of its length."""


def two_cameras(walk: Walk, offset_s: float, rng, other: Walk | None = None):
    """Return the estimated clock of the second of two cameras, which is slow by an offset."""
    count = len(walk.time_s)
    first = np.arange(0, count, 2) if other is None or other is walk else np.arange(count)
    both = first[::3] if other is None or other is walk else np.zeros(0, int)
    source = walk if other is None else other
    second = np.concatenate([both, np.arange(1, len(source.time_s), 2)])
    features = source.evidence.features[second]
    noise = rng.normal(size=features.shape) * SCENE_NOISE / np.sqrt(features.shape[1])
    noise[len(both) :] = 0.0
    features = features + noise
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    true_s = START_S + source.time_s[second] + rng.normal(0.0, 10.0, len(second))
    shown = true_s - offset_s - DRIFT_S_PER_DAY * (true_s - START_S) / 86400.0
    readings = clocks.Readings(
        np.array(["A"] * len(first) + ["B"] * len(second), dtype=object),
        np.concatenate([START_S + walk.time_s[first], shown]),
        np.concatenate([START_S + walk.time_s[first], np.full(len(second), np.nan)]),
        np.concatenate([walk.evidence.features[first], features]).astype(np.float32),
    )
    _, result = clocks.estimate(readings, TripParameters().same_scene)
    return next((clock for clock in result if clock.camera == "B"), None)


def measure_size(folds: list[list[Walk]], parameters: TripParameters) -> dict[str, float]:
    """Return seconds and gigabytes for placing 100,000 photos whose evidence is there.

    The walks of one fold are repeated day by day, one geotag in a hundred.
    """
    walks = folds[0]
    evidence = walks[0].evidence
    names = ("cell", "belief", "features", "answer", "radii_km", "probability")
    columns = {
        name: np.concatenate([getattr(walk.evidence, name) for walk in walks]) for name in names
    }
    repeats = -(-LARGE // len(columns["answer"]))
    tiled: Evidence = replace(
        evidence,
        **{n: np.concatenate([c] * repeats)[:LARGE] for n, c in columns.items()},
    )
    latlon = np.concatenate([np.concatenate([w.latlon for w in walks])] * repeats)[:LARGE]
    rng = np.random.default_rng(7)
    days = np.arange(LARGE) // 100
    local = START_S + days * 86400.0 + (np.arange(LARGE) % 100) * 150.0
    tagged = rng.random(LARGE) < 0.01
    photos = [
        LibraryPhoto(f"{i:06}.jpg", f"{i:064x}", "camera", PhotoTime(local[i], 0.0, None, "exif"),
                     latlon[i, 0] if tagged[i] else None, latlon[i, 1] if tagged[i] else None)
        for i in range(LARGE)
    ]  # fmt: skip
    start = time.perf_counter()
    place_library(Library("large", photos, tiled, []), parameters)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"s_100k": round(seconds, 1), "peak_gb_100k": round(peak, 2)}


def write(parameters: TripParameters, bundle: Path) -> None:
    """Store parameters in a bundle, with their checksum."""
    parameters.write(bundle / FILE)
    manifest = json.loads((bundle / "bundle.json").read_text("utf-8"))
    manifest["sha256"][FILE] = sha256(bundle / FILE)
    manifest["sha256"] = dict(sorted(manifest["sha256"].items()))
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (bundle / "bundle.json").write_text(text, "utf-8")


def main() -> None:
    """Measure everything, and store the parameters if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("--journeys", type=Path)
    given = parser.parse_args()
    folds, japan, sure = learned_folds()
    routes = routes_of_photographers()
    real = read_journeys(given.journeys) if given.journeys else {}
    toured = {"tour": [(japan.time_s[sure], japan.latlon[sure])]}

    def fit(
        chosen: list[Fold], kind: str = "walks", own: dict[str, list[Route]] = real
    ) -> TripParameters:
        walks = [walk for fold in chosen for walk in getattr(fold, kind)]
        journeys = [walk for fold in chosen for walk in fold.journeys]
        return fit_trips(walks, journeys, routes, list(own.values()))

    others = [[*folds[:held], *folds[held + 1 :]] for held in range(FOLDS)]
    fitted, of_all = [fit(each) for each in others], fit(folds)
    if given.write is not None:
        write(fit(folds, own=real | toured), given.write)
    print("walks, by models of all other photos:")
    keys = {f"bundle_{name}": value for name, value in measure_shares(
        [fold.walks for fold in folds], fitted).items()}  # fmt: skip
    print("walks, by models of the other walks:")
    walks = [fold.own for fold in folds]
    keys |= measure_shares(walks, [fit(each, "own") for each in others])
    print("simulated journeys:")
    keys["cover80_journeys"] = measure_journeys([fold.journeys for fold in folds], fitted)
    print("tour through Japan:")
    keys["cover80_tour"] = measure_journeys([[japan]], [of_all], sure)
    print("journeys with real times, by time alone:")
    journeys = [walk for fold in folds for walk in fold.journeys]
    every = [walk for fold in folds for walk in fold.walks]
    keys |= measure_real(real | toured, routes, every, journeys)
    keys["clock_sight"] = measure_sight([[walk for fold in walks for walk in fold], journeys])
    keys |= measure_clocks(walks) | measure_size(walks, of_all)
    print(json.dumps(keys))


if __name__ == "__main__":
    main()
