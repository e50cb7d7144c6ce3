"""Held-out walks of known order, journeys of known times, and how much of them is known."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.ranker import Ranker
from geoloc.trips.model.evidence import Evidence, of_ranking
from geoloc.trips.model.pace import SOLAR_S_PER_DEG
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.placing import Placement, place
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.data.manifest import Manifest

WALK_STEP_S = 150.0
"""Simulated time between two photos of a walk whose order is known: four hours for 100 photos."""

WALK_PHOTOS, WALK_STEP_KM = 40, 1.0
"""A group of so many photos, most of which were taken this near the one before, is a walk."""


Route = tuple[Float64Array, Float64Array]
"""Times (N,), UTC, and positions (N, 2) of photos whose pictures are not looked at."""


@dataclass(frozen=True, eq=False)
class Walk:
    """N photos of one held-out walk or journey, in order of time."""

    time_s: Float64Array
    latlon: Float64Array
    """(N, 2) degrees."""
    evidence: Evidence
    """By models that never saw the walk."""


def held_out_walks(
    manifest: Manifest, embeddings: Float32Array, rankers: Sequence[Ranker], fold: IndexArray
) -> list[Walk]:
    """Return the walks among N photos: groups in the order of their table, with a simulated clock.

    Args:
        manifest: N photos.
        embeddings: (N, D).
        rankers: by fold; none has seen the groups of its fold.
        fold: (N,) the ranker that answers each photo.
    """
    walks = []
    group = manifest.group.astype(str)
    for name in np.unique(group):
        rows = np.flatnonzero(group == name)
        if len(rows) < WALK_PHOTOS:
            continue
        step_km = haversine_km(manifest.latlon[rows[:-1]], manifest.latlon[rows[1:]])
        if np.median(step_km) > WALK_STEP_KM or not step_km.any():
            continue
        ranker = rankers[int(fold[rows[0]])]
        evidence = of_ranking(ranker, ranker.rank(embeddings[rows]))
        walks.append(
            Walk(
                WALK_STEP_S * np.arange(len(rows), dtype=np.float64),
                manifest.latlon[rows],
                evidence,
            )
        )
    return walks


def read_journeys(table: Path) -> dict[str, list[Route]]:
    """Return the journeys of a table `collection,journey,time,lat,lon`, by collection.

    Times without an offset from UTC are local, and are taken as solar time.

    Args:
        table: a CSV file with ISO 8601 times.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for row in rows:
        lat, lon = float(row["lat"]), float(row["lon"])
        journey = found.setdefault((row["collection"], row["journey"]), [])
        journey.append((_utc_s(row["time"], lon), lat, lon))
    by_collection: dict[str, list[Route]] = {}
    for (collection, _), photos in found.items():
        values = np.array(sorted(photos))
        by_collection.setdefault(collection, []).append((values[:, 0], values[:, 1:]))
    return by_collection


def _utc_s(time: str, lon: float) -> float:
    when = datetime.fromisoformat(time)
    if when.tzinfo is not None:
        return when.timestamp()
    return when.replace(tzinfo=UTC).timestamp() - SOLAR_S_PER_DEG * lon


def known_rows(count: int, share: float, rng: np.random.Generator) -> BoolArray:
    """Return which of N photos keep their geotags: none, one, or a share but at least one."""
    known = np.zeros(count, bool)
    if share > 0.0:
        known[rng.choice(count, max(1, round(share * count)), replace=False)] = True
    return known


def place_walk(walk: Walk, known: BoolArray, parameters: TripParameters) -> Placement:
    """Place a walk of which some photos have their positions."""
    latlon = np.where(known[:, None], walk.latlon, np.nan)
    return place(walk.time_s, latlon, walk.evidence, parameters)
