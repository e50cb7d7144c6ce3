"""Place the N photos of one person: known, bridged, of the scene of another photo, or by sight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.judge import CLAIM_KM
from geoloc.trips.model import scenes, stretches
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import Bridge, bridge
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import RADIUS_FEATURES, TripParameters
from geoloc.trips.model.places import LEVELS
from geoloc.trips.model.stretches import Answers, Known
from geoloc.types import BoolArray, Float64Array, IndexArray, StrArray

MEASURED_KM = (0.01, 0.02, 0.05)
"""Radii of a position of GPS itself."""

NEAR_KM = 50.0
"""Where anchors alone place a photo this well, its picture is not asked: on held-out walks it made
such answers worse, as pictures rarely tell places of one region apart."""

CLEARLY = 0.3
"""Share of the 80 and 95 % radii of the bridge that a place by sight must have instead of it: a
picture of a country that the bundle does not know may seem sure, but not at both. With a half,
held-out walks of which one position is known were placed worse."""

LIKELY = 0.5
"""A photo stays at its own answer against a journey if it is likelier right than this."""

HOME_KM, AWAY_S = 50.0, 86400.0
"""Two positions this near each other, and so long apart, say little about a journey from there and
back: the photos between them were taken there only if their pictures do not contradict it."""

AROUND_KM, ELSEWHERE = 100.0, 0.05
"""Pictures contradict such a place if less than this share of the posterior is within this distance
of it, and the median photo alone is placed farther away."""

REGION_KM = CLAIM_KM["region"]


@dataclass(frozen=True, eq=False)
class Placement:
    """The places of N photos."""

    case: StrArray
    """(N,) "measured", one of `parameters.RADII`, or "lost": by the pictures of a journey that
    do not tell the continent."""
    latlon: Float64Array
    """(N, 2) degrees."""
    radii_km: Float64Array
    """(N, 3)"""
    features: Float64Array
    """(N, 3, RADIUS_FEATURES) input of the radii."""
    scene: IndexArray
    """(N,) the photo of the same scene; -1 for none."""
    bridge: Bridge


def place(
    time_s: Float64Array,
    known: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
    track: Anchors | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Placement:
    """Place N photos of one person.

    Args:
        time_s: (N,) seconds since 1970, NaN for photos without a time.
        known: (N, 2) degrees, NaN for photos without a position.
        evidence: of the pictures.
        parameters: of the model.
        track: further positions.
        progress: called with the number of photos done.
    """
    anchors = _anchors(time_s, known, track)
    has = ~np.isnan(known[:, 0])
    bridged = bridge(anchors, time_s, parameters.pace)
    by_bridge = np.where(bridged.between, "between", "beyond")
    radii = np.where(
        bridged.between[:, None],
        parameters.radii_km("between", bridged.features()),
        parameters.radii_km("beyond", bridged.features()),
    )
    radii[np.isnan(bridged.latlon[:, 0])] = np.inf
    placed = Placement(
        np.where(np.isinf(radii[:, 0]), "alone", by_bridge).astype(object),
        bridged.latlon.copy(),
        radii,
        bridged.features(),
        np.full(len(has), -1),
        bridged,
    )
    _set(placed, has, "measured", known, np.broadcast_to(MEASURED_KM, (len(has), 3)))
    _by_scene(placed, ~has, evidence, parameters)
    returned = _returned(bridged, anchors)
    unsure = (placed.radii_km[:, 1] > NEAR_KM) | returned
    open_rows = np.flatnonzero(~has & unsure & (placed.scene < 0))
    timed = open_rows[~np.isnan(time_s[open_rows])]
    timed = timed[np.argsort(time_s[timed], kind="stable")]
    for rows in _stretches(timed, time_s, bridged, len(anchors)):
        home = placed.latlon[rows[0]] if returned[rows[0]] else None
        if home is None or np.median(haversine_km(evidence.answer[rows], home)) > AROUND_KM:
            _by_sight(placed, rows, time_s, evidence, parameters, anchors, home)
        progress(len(rows))
    _alone(placed, open_rows[np.isnan(time_s[open_rows])], evidence, parameters)
    return placed


def _anchors(time_s: Float64Array, known: Float64Array, track: Anchors | None) -> Anchors:
    rows = np.flatnonzero(~np.isnan(known[:, 0]) & ~np.isnan(time_s))
    times, places, photos = time_s[rows], known[rows], rows
    if track is not None:
        times = np.concatenate([times, track.time_s])
        places = np.concatenate([places, track.latlon])
        photos = np.concatenate([photos, np.full(len(track), -1)])
    return Anchors.of(times, places, photos)


def _set(
    placed: Placement, rows: IndexArray, case: str, latlon: Float64Array, radii: Float64Array
) -> None:
    """Give rows (a mask or numbers) of N photos their case, their places and their radii."""
    placed.case[rows] = case
    placed.latlon[rows] = latlon[rows]
    placed.radii_km[rows] = radii[rows]


def _by_scene(
    placed: Placement, unknown: IndexArray, evidence: Evidence, parameters: TripParameters
) -> None:
    """Place photos at the known photo of the same scene, where that is nearer than the bridge."""
    rows, sources = np.flatnonzero(unknown), np.flatnonzero(~unknown)
    found, similarity = scenes.most_similar(evidence.features, rows, sources)
    alike = (found >= 0) & (similarity >= parameters.same_scene)
    rows, found = rows[alike], found[alike]
    features = np.zeros((len(rows), 3, RADIUS_FEATURES))
    features[:, :, 0] = 1.0
    radii = parameters.radii_km("recognised", features)
    place = placed.latlon[found]
    nearer = radii[:, 1] < placed.radii_km[rows, 1]
    off = np.where(
        np.isinf(placed.radii_km[rows, 2]), 0.0, haversine_km(place, placed.latlon[rows])
    )
    use = nearer & (off <= 2.0 * placed.radii_km[rows, 2])
    rows = rows[use]
    placed.case[rows], placed.scene[rows] = "recognised", found[use]
    placed.latlon[rows], placed.radii_km[rows] = place[use], radii[use]
    placed.features[rows] = features[use]


def _stretches(
    rows: IndexArray, time_s: Float64Array, bridged: Bridge, anchors: int
) -> list[IndexArray]:
    """Split rows in order of time where an anchor lies between two photos, and at long gaps."""
    if not len(rows):
        return []
    before = bridged.before[rows]
    parts = np.split(rows, np.flatnonzero(np.diff(before)) + 1) if anchors else [rows]
    return [part[piece] for part in parts for piece in stretches.cut(time_s[part])]


def _returned(bridged: Bridge, anchors: Anchors) -> BoolArray:
    """Return which photos (N,) are between two positions of one place that are long apart."""
    found = bridged.between & (bridged.apart_km <= HOME_KM)
    rows = np.flatnonzero(found)
    long_s = anchors.time_s[bridged.after[rows]] - anchors.time_s[bridged.before[rows]]
    found[rows] = long_s >= AWAY_S
    return found


def _by_sight(
    placed: Placement,
    rows: IndexArray,
    time_s: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
    anchors: Anchors,
    home: Float64Array | None,
) -> None:
    """Smooth a stretch; leave the bridge between anchors where its radii are clearly larger.

    Where the anchors around are both of one place, `home`, see `_elsewhere`.
    """
    first, last = placed.bridge.before[rows[0]], placed.bridge.after[rows[-1]]
    before = after = None
    if first >= 0:
        before = Known(anchors.latlon[first], float(time_s[rows[0]] - anchors.time_s[first]))
    if last >= 0:
        after = Known(anchors.latlon[last], float(anchors.time_s[last] - time_s[rows[-1]]))
    answers = stretches.locate(
        evidence.take(rows), time_s[rows], parameters, before, after, near=home
    )
    alone_km = stretches.of_stays(time_s[rows], evidence.take(rows))
    features = stretches.guessed_features(answers, alone_km)
    lost = stretches.lost(alone_km[:, 1], answers.spread_km[:, 1])
    widest = np.maximum(alone_km, answers.spread_km)
    radii = np.where(lost[:, None], widest, parameters.radii_km("guessed", features))
    claimed = np.where(stretches.unknown(alone_km[:, 1])[:, None], widest, radii)
    use = (claimed[:, 1:] < CLEARLY * placed.radii_km[rows, 1:]).all(axis=1)
    if home is not None:
        use = _elsewhere(placed, rows, answers, alone_km)
    chosen = rows[use]
    placed.case[chosen] = np.where(lost, "lost", "guessed")[use]
    placed.latlon[chosen] = answers.latlon[use]
    placed.features[chosen] = features[use]
    placed.radii_km[chosen] = radii[use]
    _by_itself(placed, chosen, evidence, parameters)


def _elsewhere(
    placed: Placement, rows: IndexArray, answers: Answers, alone_km: Float64Array
) -> BoolArray:
    """Return which photos (R,) were taken elsewhere, though the positions around are of one place.

    Photos that do not know their continent cannot tell. The radii of those that stay reach the
    answer by sight, and are those of the photos alone, where home is less likely than their level.
    """
    home = placed.latlon[rows]
    at_home = answers.mass_near(home, AROUND_KM)
    reach_km = np.maximum(haversine_km(answers.latlon, home)[:, None], alone_km)
    reach_km = np.where(at_home[:, None] < LEVELS, reach_km, 0.0)
    placed.radii_km[rows] = np.maximum(placed.radii_km[rows], reach_km)
    return np.asarray((at_home < ELSEWHERE) & (alone_km[:, 1] <= stretches.CONTINENT_KM))


def _by_itself(
    placed: Placement, rows: IndexArray, evidence: Evidence, parameters: TripParameters
) -> None:
    """Place photos by themselves that are likely right and exclude the answer of the journey."""
    apart = haversine_km(evidence.answer[rows], placed.latlon[rows])
    alone_km = evidence.radii_km[rows, 1]
    excluded = (apart > alone_km) & (evidence.probability[rows] > LIKELY) & (alone_km <= REGION_KM)
    _alone(placed, rows[excluded], evidence, parameters)


def _alone(
    placed: Placement, rows: IndexArray, evidence: Evidence, parameters: TripParameters
) -> None:
    """Give photos without a time, and without a photo of their scene, their answers when alone."""
    radii = np.log(np.maximum(evidence.radii_km[rows].astype(np.float64), 0.01))
    features = np.zeros((*radii.shape, RADIUS_FEATURES))
    features[:, :, 0], features[:, :, 1] = 1.0, radii
    placed.case[rows], placed.latlon[rows] = "alone", evidence.answer[rows]
    placed.features[rows] = features
    placed.radii_km[rows] = parameters.radii_km("alone", features)
