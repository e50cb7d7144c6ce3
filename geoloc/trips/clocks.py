"""Clocks of cameras: offset and drift from GPS time stamps, common scenes, tracks and sight."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import GeolocError
from geoloc.trips.clues.tracks import Track
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.scenes import mutual_pairs
from geoloc.trips.moves import ZONES_S, Sights, align
from geoloc.trips.trip import RIGHT_S, Clock
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray

WINDOW_S = 300.0
"""Pairs of photos of one scene agree about the clock within this time."""

LEAST_PAIRS = 6
LEAST_SHARE = 0.3
"""Pairs that must agree, as a number and as a share of all pairs."""

TOLD_PAIRS = 3
"""Fewer pairs that agree say nothing about a clock."""

CLEAR = 2.5
"""The pairs that agree must outnumber those of every other offset by this factor."""

MOST_WIDTH_S = 300.0
"""Half-width of the interval up to which a correction is applied."""

DRIFT_DAYS, DRIFT_PAIRS = 5.0, 15
"""Days and pairs that a drift is estimated from, at least."""

QUARTER_S = 900.0
"""Time zones are multiples of a quarter of an hour."""

GIVEN = "given by the user"

_CLOCK = re.compile(r"([+-]?)(?:(\d+)d)?(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?|([+-]?\d+(?:\.\d+)?)s?")


def parse(text: str) -> float:
    """Return a correction such as "+01:02:00", "-3d00:00" or "90s" in seconds.

    Raises:
        GeolocError: it is none.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise GeolocError(f"{text!r}: not a correction of a clock; write one like +01:02:00")
    if found[6] is not None:
        return float(found[6])
    days, hours, minutes, seconds = (float(each or 0) for each in found.groups()[1:5])
    total = ((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds
    return -total if found[1] == "-" else total


@dataclass(frozen=True, eq=False)
class Readings:
    """What the clocks of N photos show."""

    camera: StrArray
    """(N,)"""
    utc_s: Float64Array
    """(N,) the camera's time minus its offset from UTC; NaN without a time."""
    stamp_s: Float64Array
    """(N,) GPS time stamps; NaN without one."""
    features: Float32Array
    """(N, F) retrieval features."""
    sights: Sights | None = None
    """Where the photos were taken; None if clocks are not compared with routes."""
    tracks: Sequence[Track] = ()
    """Of the user."""
    zoneless: BoolArray | None = None
    """(N,) whether the file states no offset from UTC, so that `utc_s` assumes one; None for no."""


def estimate(
    readings: Readings, same_scene: float, given: Mapping[str, float] | None = None
) -> tuple[Float64Array, list[Clock]]:
    """Return the corrected times (N,), and the clock of each camera that something is known about.

    Cameras with GPS time stamps are set by them, others by the tracks that they moved along. What
    is left is set by the cameras that are right, or else by the camera with most photos, where both
    photographed one scene or moved alike.

    Args:
        readings: of N photos.
        same_scene: similarity of features from which on two photos show one scene.
        given: seconds to add, by camera, from the user.
    """
    corrected = readings.utc_s.copy()
    clocks: dict[str, Clock] = {}
    names, count = np.unique(readings.camera, return_counts=True)
    by_size = names[np.argsort(-count, kind="stable")].tolist()
    for camera in by_size:
        rows = np.flatnonzero(readings.camera == camera)
        clock = None
        if given and camera in given:
            add = float(given[camera])
            clock = Clock(camera, add, add, add, 0.0, True, GIVEN)
            corrected[rows] += add
        elif (~np.isnan(readings.stamp_s[rows])).any():
            clock = _by_stamps(camera, rows, readings, corrected)
        else:
            clock = _by_tracks(camera, readings, corrected)
        if clock is not None:
            clocks[camera] = clock
    trusted = [camera for camera, clock in clocks.items() if not clock.doubtful] or by_size[:1]
    for camera in by_size:
        if camera not in trusted:
            clock = _by_scenes(camera, trusted, readings, corrected, same_scene)
            if clock is None or clock.doubtful:
                clock = _by_photos(camera, trusted, readings, corrected) or clock
            if clock is not None and (camera not in clocks or not clock.doubtful):
                clocks[camera] = clock
                trusted += [camera] if clock.applied else []
    told = (_as_local(clock, readings) for clock in clocks.values())
    return corrected, [clock for clock in told if clock is not None]


def _as_local(clock: Clock, readings: Readings) -> Clock | None:
    """Tell the local time of a camera that states no zone from an error of its clock.

    Returns:
        The clock without the whole quarters of an hour; None if it then seems right, but is not
        sure.
    """
    own = readings.camera == clock.camera
    if clock.evidence == GIVEN or readings.zoneless is None or not readings.zoneless[own].all():
        return clock
    shift = float(np.round(clock.offset_s / QUARTER_S) * QUARTER_S)
    if not shift or abs(shift) > ZONES_S or abs(clock.offset_s - shift) >= MOST_WIDTH_S:
        return clock
    low, middle, high = (each - shift for each in (clock.low_s, clock.offset_s, clock.high_s))
    left = replace(clock, offset_s=middle, low_s=low, high_s=high)
    if clock.doubtful:
        return left if left.doubtful else None
    return replace(left, zone_shift_s=shift)


def _by_stamps(
    camera: str, rows: IndexArray, readings: Readings, corrected: Float64Array
) -> Clock | None:
    """Set the photos of a camera by their time stamps, others by the nearest photo with one."""
    stamp, shown = readings.stamp_s[rows], readings.utc_s[rows]
    both = ~np.isnan(stamp) & ~np.isnan(shown)
    if not both.any():
        return None
    error = stamp[both] - shown[both]
    order = np.argsort(shown[both])
    at, wrong = shown[both][order], error[order]
    nearest = np.clip(np.searchsorted(at, shown), 0, len(at) - 1)
    left = np.maximum(nearest - 1, 0)
    closer = np.abs(at[left] - shown) < np.abs(at[nearest] - shown)
    add = wrong[np.where(closer, left, nearest)]
    # a receiver may hold an old position, and its time, for minutes: its clock is not the camera's
    add = np.where(np.abs(add) < RIGHT_S, 0.0, add)
    corrected[rows] = shown + add
    middle = float(np.median(error))
    width = _half_width(error - np.round((error - middle) / QUARTER_S) * QUARTER_S)
    applied = abs(middle) >= RIGHT_S
    evidence = f"{int(both.sum())} GPS time stamps"
    return Clock(camera, middle, middle - width, middle + width, 0.0, applied, evidence)


def _by_scenes(
    camera: str,
    trusted: list[str],
    readings: Readings,
    corrected: Float64Array,
    same_scene: float,
) -> Clock | None:
    """Set a camera by the scenes that it and a camera with a right clock photographed."""
    timed = ~np.isnan(corrected)
    own = np.flatnonzero(timed & (readings.camera == camera))
    others = np.flatnonzero(timed & np.isin(readings.camera, trusted))
    if len(own) < LEAST_PAIRS or len(others) < LEAST_PAIRS:
        return None
    one, other = mutual_pairs(readings.features, own, others, same_scene)
    if not len(one):
        return None
    shown, add = corrected[one], corrected[other] - corrected[one]
    inside, runner_up = _densest(add)
    count = int(inside.sum())
    drift, width = 0.0, _half_width(add[inside])
    centre = float(np.median(shown[inside]))
    days = (shown - centre) / 86400.0
    if count >= DRIFT_PAIRS and np.ptp(days[inside]) >= DRIFT_DAYS:
        drift = _slope(days[inside], add[inside])
    offset = float(np.median(add[inside] - drift * days[inside]))
    sure = count >= LEAST_PAIRS and count >= LEAST_SHARE * len(add) and count >= CLEAR * runner_up
    wrong = abs(offset) >= RIGHT_S and abs(offset) > width
    applied = bool(sure and wrong and width <= MOST_WIDTH_S)
    if applied:
        corrected[own] += offset + drift * (corrected[own] - centre) / 86400.0
    elif not sure:
        width = max(width, WINDOW_S)
        if count < TOLD_PAIRS or count <= runner_up or abs(offset) <= width:
            return None
    evidence = f"{count} scenes photographed by both cameras"
    return Clock(camera, offset, offset - width, offset + width, drift, applied, evidence)


def _by_tracks(camera: str, readings: Readings, corrected: Float64Array) -> Clock | None:
    """Set a camera by the tracks that it moved along, if that is sure."""
    if not readings.tracks:
        return None
    points = Anchors.of(
        np.concatenate([each.utc_s for each in readings.tracks]),
        np.concatenate([each.latlon for each in readings.tracks]),
        np.full(sum(map(len, readings.tracks)), -1),
    )
    only = len(readings.tracks) == 1
    name = f"the track {readings.tracks[0].name}" if only else f"the {len(readings.tracks)} tracks"
    return _by_route(camera, points, name, readings, corrected)


def _by_photos(
    camera: str, trusted: list[str], readings: Readings, corrected: Float64Array
) -> Clock | None:
    """Set a camera by the positions of cameras with right clocks, if that is sure."""
    if readings.sights is None:
        return None
    known = readings.sights.known
    usable = np.isin(readings.camera, trusted) & ~np.isnan(corrected) & ~np.isnan(known[:, 0])
    rows = np.flatnonzero(usable)
    route = Anchors.of(corrected[rows], known[rows], rows)
    return _by_route(camera, route, f"the photos of {' and '.join(trusted)}", readings, corrected)


def _by_route(
    camera: str, route: Anchors, name: str, readings: Readings, corrected: Float64Array
) -> Clock | None:
    if readings.sights is None:
        return None
    rows = np.flatnonzero((readings.camera == camera) & ~np.isnan(corrected))
    found = align(corrected, readings.sights, rows, route)
    if not found.told:
        return None
    wrong = abs(found.offset_s) >= RIGHT_S and not found.low_s <= 0.0 <= found.high_s
    applied = wrong and found.sure
    if applied:
        corrected[rows] += found.offset_s
    evidence = f"moves like {name}"
    return Clock(camera, found.offset_s, found.low_s, found.high_s, 0.0, applied, evidence)


def _densest(add: Float64Array) -> tuple[BoolArray, int]:
    """Return which pairs agree on the offset that most agree on, and the next best number."""
    ordered = np.sort(add)
    count = np.searchsorted(ordered, ordered + 2 * WINDOW_S, side="right") - np.arange(len(ordered))
    first = int(count.argmax())
    middle = float(np.median(ordered[first : first + int(count[first])]))
    inside = np.abs(add - middle) <= WINDOW_S
    apart = np.abs(ordered + WINDOW_S - middle) > 2 * WINDOW_S
    return inside, int(count[apart].max(initial=0))


def _slope(days: Float64Array, add: Float64Array) -> float:
    """Return the median slope of pairs far apart (Theil 1950)."""
    order = np.argsort(days)
    half = len(order) // 2
    early, late = order[:half], order[-half:]
    span = days[late] - days[early]
    return float(np.median((add[late] - add[early]) / np.maximum(span, 1e-6)))


def _half_width(values: Float64Array) -> float:
    """Return half the 95 % interval of the median, at least some seconds."""
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return float(5.0 + 1.96 * 1.2533 * spread / np.sqrt(max(len(values), 1)))
