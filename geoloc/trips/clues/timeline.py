"""Google Timeline exports: Records.json, semantic history, and what phones export since 2024."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Point = tuple[float, float, float]
ParseTime = Callable[[str], float]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

MAX_ACCURACY_M = 1000.0
"""Fixes of cell towers, less accurate than this, are left out."""


def points(content: bytes, parse_time: ParseTime) -> Iterator[Point]:
    """Yield seconds since 1970, latitude and longitude of all points of an export.

    Raises:
        ValueError: it is not JSON, or not a Timeline export.
    """
    document = json.loads(content)
    if isinstance(document, list):  # exported by an iPhone
        document = {"semanticSegments": document}
    readers = {
        "locations": _record,
        "timelineObjects": _semantic,
        "semanticSegments": _segment,
        "rawSignals": _signal,
    }
    known = [name for name in readers if isinstance(document, dict) and name in document]
    if not known:
        raise ValueError("it is not a Google Timeline export")
    for name in known:
        for each in document[name]:
            if isinstance(each, dict):
                yield from readers[name](each, parse_time)


def _record(each: dict[str, Any], parse_time: ParseTime) -> Iterator[Point]:
    """Yield a fix of Records.json."""
    if each.get("accuracy", 0) > MAX_ACCURACY_M:
        return
    time = each.get("timestamp")
    utc_s = parse_time(time) if time else float(each.get("timestampMs", "nan")) / 1000.0
    yield from _e7(each, utc_s)


def _semantic(each: dict[str, Any], parse_time: ParseTime) -> Iterator[Point]:
    """Yield the ends of a movement, its raw path, and the ends of a visit."""
    movement, visit = each.get("activitySegment"), each.get("placeVisit")
    if movement:
        start, end = _duration(movement, parse_time)
        yield from _e7(movement.get("startLocation", {}), start)
        for point in movement.get("simplifiedRawPath", {}).get("points", []):
            time = point.get("timestamp")
            utc_s = parse_time(time) if time else float(point.get("timestampMs", "nan")) / 1000.0
            yield from _e7(point, utc_s)
        yield from _e7(movement.get("endLocation", {}), end)
    if visit:
        for utc_s in _duration(visit, parse_time):
            yield from _e7(visit.get("location", {}), utc_s)


def _segment(each: dict[str, Any], parse_time: ParseTime) -> Iterator[Point]:
    """Yield the path, the movement and the visit of a segment that a phone exported."""
    start, end = (parse_time(str(each.get(name, ""))) for name in ("startTime", "endTime"))
    for point in each.get("timelinePath", []):
        time = point.get("time")
        minutes = point.get("durationMinutesOffsetFromStartTime", "nan")
        utc_s = parse_time(time) if time else start + 60.0 * float(minutes)
        yield from _text(point.get("point"), utc_s)
    movement = each.get("activity", {})
    yield from _text(movement.get("start"), start)
    yield from _text(movement.get("end"), end)
    place = each.get("visit", {}).get("topCandidate", {}).get("placeLocation")
    for utc_s in (start, end):
        yield from _text(place, utc_s)


def _signal(each: dict[str, Any], parse_time: ParseTime) -> Iterator[Point]:
    """Yield a fix of the raw signals that a phone exported."""
    position = each.get("position", {})
    if position.get("accuracyMeters", 0) <= MAX_ACCURACY_M:
        yield from _text(position.get("LatLng"), parse_time(str(position.get("timestamp", ""))))


def _duration(each: dict[str, Any], parse_time: ParseTime) -> tuple[float, float]:
    duration = each.get("duration", {})
    start, end = (
        parse_time(str(duration[f"{name}Timestamp"]))
        if f"{name}Timestamp" in duration
        else float(duration.get(f"{name}TimestampMs", "nan")) / 1000.0
        for name in ("start", "end")
    )
    return start, end


def _e7(place: dict[str, Any], utc_s: float) -> Iterator[Point]:
    """Yield a place in degrees times 10^7."""
    lat, lon = (place.get(name, place.get(short)) for name, short in
                (("latitudeE7", "latE7"), ("longitudeE7", "lngE7")))  # fmt: skip
    if lat is not None and lon is not None:
        yield utc_s, lat / 1e7, lon / 1e7


def _text(place: Any, utc_s: float) -> Iterator[Point]:  # noqa: ANN401
    """Yield a place such as "48.85°, 2.35°", "geo:48.85,2.35" or {"latLng": ...}."""
    if isinstance(place, dict):
        place = place.get("latLng") or place.get("LatLng")
    numbers = _NUMBER.findall(place) if isinstance(place, str) else []
    if len(numbers) == 2:
        yield utc_s, float(numbers[0]), float(numbers[1])
