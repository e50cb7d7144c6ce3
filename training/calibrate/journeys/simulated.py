"""Simulated journeys of many days through real coordinates, and through real photos.

The photos of the walks have no times beyond some hours, so what people do within days is simulated:
a base for the nights, days of photos around it, and moves to another base. The positions are those
of real photos; the order and the clock are not. There are three styles: somebody at home who makes
day trips, a tour by car or train, and a tour by bicycle or on foot. Tours are drawn more often,
because they are what a journey is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.neighbours import NearestPoints
from geocells.sphere import destination, haversine_km, latlon_from_vectors, unit_vectors
from geoloc.trips.model.bridge import slerp
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.pace import SOLAR_S_PER_DEG
from geoloc.types import Float64Array, IndexArray
from training.calibrate.journeys.walks import Walk

DAY_S = 86400.0
FIRST_HOUR, LAST_HOUR = 8.0, 21.0
MOST_DAYS, PHOTOS_A_DAY = 30, 7.0
BURST_S, BURST_SHARE = 180.0, 0.4
"""So many photos are taken within this time of the one before."""

SNAP_KM = 3.0
"""A photo is taken where a real one was, if there is one so near."""

TURN_RAD = 0.7
"""Standard deviation of the change of direction from one move to the next."""

LEAST_PHOTOS, MOST_PHOTOS = 12, 80
SCALE = 0.3
"""Typical distance to the next real photo, as a share of the longest move of the style."""

NEAR_KM = 1.0
"""Photos this near each other are of one place."""


@dataclass(frozen=True)
class Style:
    """How somebody travels."""

    share: float
    """Of the journeys."""
    move: float
    """Probability of another base on the next day."""
    move_km: tuple[float, float]
    speed_km_h: float
    excursion: float
    """Probability of a day trip on a day without a move."""
    excursion_km: tuple[float, float]


STYLES = (
    Style(0.2, 0.03, (30.0, 500.0), 60.0, 0.3, (5.0, 80.0)),
    Style(0.4, 0.45, (30.0, 400.0), 60.0, 0.5, (3.0, 40.0)),
    Style(0.4, 0.8, (15.0, 110.0), 14.0, 0.2, (1.0, 8.0)),
)


def simulated_route(
    places: Float64Array, rng: np.random.Generator
) -> tuple[Float64Array, Float64Array]:
    """Return times (N,) and positions (N, 2) of the photos of a journey near places (P, 2)."""
    style = _style(rng)
    nearest = NearestPoints(places)
    base, heading = places[int(rng.integers(len(places)))], float(rng.uniform(0.0, 2 * np.pi))
    times, positions = [], []
    for day in range(int(rng.integers(2, MOST_DAYS + 1))):
        hours = _hours(rng)
        end = base
        if rng.random() < style.move:
            heading += float(rng.normal(0.0, TURN_RAD))
            end = _snapped(_away(base, heading, style.move_km, rng), nearest, np.inf)
            where = _under_way(base, end, hours, style, rng)
        elif rng.random() < style.excursion:
            turn = float(rng.uniform(0.0, 2 * np.pi))
            goal = _away(base, turn, style.excursion_km, rng)
            there = (hours > 10.0) & (hours < 17.0)
            where = np.where(there[:, None], goal, base)
        else:
            where = np.repeat(base[None], len(hours), axis=0)
        times.append(day * DAY_S + 3600.0 * hours)
        positions.append(_snapped(_strolling(where, hours, rng), nearest, SNAP_KM))
        base = end
    latlon = np.concatenate(positions)
    return np.concatenate(times) - SOLAR_S_PER_DEG * latlon[0, 1], latlon


def _style(rng: np.random.Generator) -> Style:
    return STYLES[int(rng.choice(len(STYLES), p=[each.share for each in STYLES]))]


def _hours(rng: np.random.Generator) -> Float64Array:
    """Return the hours of the photos of a day, ascending."""
    hours = np.sort(rng.uniform(FIRST_HOUR, LAST_HOUR, 1 + rng.poisson(PHOTOS_A_DAY)))
    burst = np.flatnonzero(rng.random(len(hours) - 1) < BURST_SHARE) + 1
    hours[burst] = hours[burst - 1] + rng.uniform(5.0, BURST_S, len(burst)) / 3600.0
    return np.sort(hours)


def _away(
    base: Float64Array, heading: float, km: tuple[float, float], rng: np.random.Generator
) -> Float64Array:
    """Return the point (2,) in a direction, at a log-uniform distance."""
    distance = float(np.exp(rng.uniform(*np.log(km))))
    return np.asarray(destination(base[None], np.array([np.degrees(heading)]), distance)[0])


def _under_way(
    start: Float64Array, end: Float64Array, hours: Float64Array, style: Style,
    rng: np.random.Generator,
) -> Float64Array:  # fmt: skip
    """Return the positions (N, 2) at some hours of a day on which somebody moves."""
    long_h = max(float(haversine_km(start, end)) / style.speed_km_h, 0.1)
    first = float(rng.uniform(FIRST_HOUR, max(LAST_HOUR - long_h, FIRST_HOUR + 0.1)))
    share = np.clip((hours - first) / long_h, 0.0, 1.0)
    a, b = (np.repeat(unit_vectors(each[None]), len(hours), axis=0) for each in (start, end))
    return np.asarray(latlon_from_vectors(slerp(a, b, share)))


def _strolling(where: Float64Array, hours: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Return positions (N, 2) around others: a walk that forgets within two hours."""
    gap = np.diff(hours, prepend=hours[0] - 24.0)
    kept = np.exp(-gap / 2.0)
    noise = rng.normal(0.0, 1.0, (len(hours), 2)) * np.sqrt(1.0 - kept**2)[:, None]
    km = np.zeros((len(hours), 2))
    for row in range(len(hours)):
        km[row] = (kept[row] * km[row - 1] if row else 0.0) + noise[row]
    stretch = np.maximum(np.cos(np.radians(where[:, 0])), 0.1)
    return np.asarray(where + km / 111.2 / np.column_stack([np.ones(len(where)), stretch]))


def _snapped(latlon: Float64Array, nearest: NearestPoints, within_km: float) -> Float64Array:
    """Return points (N, 2) or (2,), moved to the nearest real ones within a distance."""
    km, row = nearest.query(np.atleast_2d(latlon))
    real = nearest.latlon[row[:, 0]]
    moved = np.where((km[:, :1] <= within_km), real, np.atleast_2d(latlon))
    return moved if latlon.ndim == 2 else moved[0]


def simulated_journeys(
    latlon: Float64Array, evidence: Evidence, number: int, rng: np.random.Generator
) -> list[Walk]:
    """Return journeys through N held-out photos from all over the world.

    From each photo the journey goes on to one near by that it has not visited, at a distance on the
    scale of its style; nights are at the last photo of a day.

    Args:
        latlon: (N, 2) degrees of the photos.
        evidence: of the photos, by models that never saw their collections.
        number: of journeys; those with fewer than LEAST_PHOTOS photos are left out.
        rng: of the journeys.
    """
    journeys = []
    for start in rng.integers(len(latlon), size=number).tolist():
        rows, time_s = _through(latlon, start, _style(rng), rng)
        if len(rows) >= LEAST_PHOTOS:
            utc_s = time_s - SOLAR_S_PER_DEG * latlon[start, 1]
            journeys.append(Walk(utc_s, latlon[rows], evidence.take(rows)))
    return journeys


def _through(
    latlon: Float64Array, start: int, style: Style, rng: np.random.Generator
) -> tuple[IndexArray, Float64Array]:
    """Return the rows and times of the photos of a journey that begins at one of them."""
    rows, time = [start], [3600.0 * FIRST_HOUR]
    left = np.ones(len(latlon), bool)
    left[start] = False
    while len(rows) < MOST_PHOTOS:
        km = haversine_km(latlon[rows[-1]], latlon)
        chance = np.exp(-km / (SCALE * style.move_km[1])) * (left & (km <= style.move_km[1]))
        if not chance.any():
            break
        chance = np.where(left & (km <= NEAR_KM), 20.0, chance)
        row = int(rng.choice(len(latlon), p=chance / chance.sum()))
        gap = BURST_S * float(rng.exponential(4.0)) + 3600.0 * km[row] / style.speed_km_h
        hour = (time[-1] + gap) % DAY_S / 3600.0
        if not FIRST_HOUR <= hour <= LAST_HOUR:
            nights = 1 if rng.random() < 0.7 else int(rng.integers(2, 6))
            morning = (time[-1] // DAY_S + nights) * DAY_S + 3600.0 * FIRST_HOUR
            gap = max(gap, morning - time[-1])
        rows.append(row)
        time.append(time[-1] + gap)
        left[row] = False
    return np.array(rows), np.array(time)
