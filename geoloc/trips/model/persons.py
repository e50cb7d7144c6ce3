"""Persons: cameras that travelled together share one journey, others have one of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from geocells.sphere import haversine_km
from geoloc.trips.model.anchors import SLACK_KM, Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.chains import hold_both, second_photographer
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.placing import Placement, place
from geoloc.trips.model.scenes import mutual_pairs
from geoloc.trips.model.stretches import locate
from geoloc.types import BoolArray, Float64Array, IndexArray, Int64Array

SAYS_LITTLE_KM = 50.0
"""Where one camera is known less well than this, it cannot contradict another."""

TOGETHER_S = 600.0
SCENES = 3
"""Cameras without positions belong to one person if they took so many scenes within this time."""

APART_SHARE = 0.3
"""Cameras whose positions contradict each other this often belong to two persons."""

SAMPLE = 300
"""Photos of two cameras without positions whose pictures are compared, at most."""

SKIPPED, LEAST_OF_SERIES, MOST_DIGITS = 100, 5, 6
"""A camera goes on with its numbers, but for so many that are missing; fewer photos are no series;
longer numbers are dates."""

SURER, SURER_PER_PHOTO = 5.0, 0.05
"""Logarithm of the ratio of the evidence from which on two journeys are believed: two fit the
errors of many photos a little better than one."""


def place_all(
    camera: Sequence[str],
    names: Sequence[str],
    time_s: Float64Array,
    known: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
    track: Anchors | None = None,
) -> Placement:
    """Place N photos of any number of persons; see `placing.place`.

    Args:
        camera: (N,) "" if unknown.
        names: (N,) paths of the files; folders tell cameras of one model apart.
        time_s: (N,) seconds since 1970, NaN for none.
        known: (N, 2) degrees, NaN for none.
        evidence: of the pictures.
        parameters: of the model.
        track: the user's track, which counts for the person with most photos.
    """
    units = [
        (name or _prefix(path), os.path.dirname(path), series)
        for name, path, series in zip(camera, names, _series(camera, names, time_s), strict=True)
    ]
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    unit = np.array([numbers[each] for each in units])
    person = persons_of(unit, time_s, known, evidence, parameters)
    parts: list[Placement] = []
    rows_of: list[IndexArray] = []
    for number in np.argsort(-np.bincount(person)).tolist():
        rows = np.flatnonzero(person == number)
        second = second_photographer(time_s[rows], known[rows], evidence.take(rows), parameters)
        pair = [rows[~second], rows[second]] if second.any() else [rows]
        for own, other in zip(pair, pair[::-1], strict=True):
            line = None if parts else track
            placed = place(time_s[own], known[own], evidence.take(own), parameters, line)
            if second.any():
                hold_both(placed, time_s[own], time_s[other], known[other], parameters)
            parts.append(placed)
        rows_of += pair
    return parts[0] if len(parts) == 1 else _joined(parts, rows_of)


def _prefix(path: str) -> str:
    """Return the letters that a file name begins with, as IMG_ or DSC, for unknown cameras."""
    return re.split(r"\d", os.path.basename(path), maxsplit=1)[0].upper()


def _series(camera: Sequence[str], names: Sequence[str], time_s: Float64Array) -> list[int]:
    """Return the series (N,) of numbers that each photo belongs to, of one camera or model; else 0.

    A camera counts its files: of two cameras in one folder, the numbers of each rise with the time.
    """
    found = np.zeros(len(names), np.int64)
    folders: dict[tuple[str, str, str], list[int]] = {}
    for row in np.argsort(time_s, kind="stable").tolist():
        if not np.isnan(time_s[row]) and _number(names[row]) is not None:
            key = camera[row], _prefix(names[row]), os.path.dirname(names[row])
            folders.setdefault(key, []).append(row)
    for rows in folders.values():
        last: list[int] = []
        series = []
        for row in rows:
            number = _number(names[row]) or 0
            steps = [number - each if number >= each else SKIPPED + 1 for each in last]
            nearest = int(np.argmin(steps)) if steps else 0
            if not steps or steps[nearest] > SKIPPED:
                nearest = len(last)
                last.append(number)
            last[nearest] = number
            series.append(nearest)
        if np.bincount(series).min() >= LEAST_OF_SERIES:
            found[rows] = series
    return found.tolist()


def _number(path: str) -> int | None:
    """Return the number of a file name such as DSC01234.JPG; None for dates and other names."""
    digits = re.findall(r"\d+", os.path.splitext(os.path.basename(path))[0])
    return int(digits[0]) if len(digits) == 1 and len(digits[0]) <= MOST_DIGITS else None


def persons_of(
    unit: Int64Array,
    time_s: Float64Array,
    known: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
) -> Int64Array:
    """Return the person (N,) of each photo, by its camera and folder (N,)."""
    person = np.zeros(len(unit), np.int64)
    members: list[list[int]] = []
    for number in np.argsort(-np.bincount(unit), kind="stable").tolist():
        rows = np.flatnonzero((unit == number) & ~np.isnan(time_s))
        for candidate, others in enumerate(members):
            present = np.flatnonzero(np.isin(unit, others) & ~np.isnan(time_s))
            if not _apart(rows, present, time_s, known, evidence, parameters):
                others.append(number)
                person[unit == number] = candidate
                break
        else:
            person[unit == number] = len(members)
            members.append([number])
    return person


def _apart(
    one: IndexArray,
    other: IndexArray,
    time_s: Float64Array,
    known: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
) -> bool:
    """Return whether two cameras were at different places at the same time."""
    if not len(one) or not len(other):
        return False
    overlap = (
        max(time_s[one].min(), time_s[other].min()),
        min(time_s[one].max(), time_s[other].max()),
    )
    if overlap[1] <= overlap[0]:
        return False
    first, second = (rows[~np.isnan(known[rows, 0])] for rows in (one, other))
    if len(first) and len(second):
        contradict = np.concatenate(
            [
                _contradictions(rows, by, time_s, known, parameters)
                for rows, by in ((first, second), (second, first))
            ]
        )
        if len(contradict):
            return bool(contradict.mean() >= APART_SHARE)
    if not len(first) and not len(second):
        # a person's second camera loses little by a journey of its own, another person's a lot
        return not _common_scenes(one, other, time_s, evidence, parameters)
    return _pictures_differ(one, other, overlap, time_s, evidence, parameters)


def _contradictions(
    rows: IndexArray,
    by: IndexArray,
    time_s: Float64Array,
    known: Float64Array,
    parameters: TripParameters,
) -> BoolArray:
    """Return whether positions of one camera are out of reach of those of the other.

    Positions that the other camera says little about are left out.
    """
    bridged = bridge(Anchors.of(time_s[by], known[by], by), time_s[rows], parameters.pace)
    radii = np.where(
        bridged.between,
        parameters.radii_km("between", bridged.features())[:, 2],
        parameters.radii_km("beyond", bridged.features())[:, 2],
    )
    away = haversine_km(bridged.latlon, known[rows]) > 2.0 * radii + SLACK_KM
    return np.asarray(away[radii <= SAYS_LITTLE_KM])


def _common_scenes(
    one: IndexArray,
    other: IndexArray,
    time_s: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
) -> bool:
    """Return whether two cameras photographed some scenes at the same time."""
    first, second = mutual_pairs(evidence.features, one, other, parameters.same_scene)
    together = np.abs(time_s[first] - time_s[second]) <= TOGETHER_S
    return bool(together.sum() >= SCENES)


def _pictures_differ(
    one: IndexArray,
    other: IndexArray,
    overlap: tuple[float, float],
    time_s: Float64Array,
    evidence: Evidence,
    parameters: TripParameters,
) -> bool:
    """Return whether two journeys explain the pictures of two cameras better than one.

    All three count each picture as much as among the pictures of both cameras: with the larger
    exponents of fewer photos, two journeys would always explain them better.
    """
    rows = []
    for each in (one, other):
        inside = each[(time_s[each] >= overlap[0]) & (time_s[each] <= overlap[1])]
        inside = inside[np.argsort(time_s[inside], kind="stable")]
        rows.append(inside[np.linspace(0, len(inside) - 1, min(len(inside), SAMPLE)).astype(int)])
    if min(map(len, rows)) < 3:
        return False
    both = np.concatenate(rows)
    both = both[np.argsort(time_s[both], kind="stable")]
    exponent = np.zeros(len(time_s))
    exponent[both] = evidence.take(both).exponents(time_s[both], parameters.alpha)
    together, first, second = (
        locate(evidence.take(e), time_s[e], parameters, exponent=exponent[e]).log_evidence
        for e in (both, rows[0], rows[1])
    )
    return bool(first + second > together + SURER + SURER_PER_PHOTO * len(both))


def _joined(parts: list[Placement], rows: list[IndexArray]) -> Placement:
    """Return the placements of several persons in the order of the library."""
    order = np.argsort(np.concatenate(rows), kind="stable")
    scenes = [
        np.where(part.scene >= 0, own[np.maximum(part.scene, 0)], -1)
        for part, own in zip(parts, rows, strict=True)
    ]
    bridges = [part.bridge for part in parts]
    names = ("latlon", "before", "after", "gap_s", "apart_km", "rough_km")
    bridge = type(bridges[0])(
        *(np.concatenate([getattr(each, name) for each in bridges])[order] for name in names)
    )
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("case", "latlon", "radii_km", "features")
    }
    return Placement(scene=np.concatenate(scenes)[order], bridge=bridge, **columns)
