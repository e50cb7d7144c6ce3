"""GPS tracks from files: GPX, KML, KMZ, FIT and Google Timeline, as points with times."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from geocells.sphere import haversine_km
from geoloc.errors import GeolocError, MissingExtraError
from geoloc.photos.position import is_position
from geoloc.trips.clues import timeline
from geoloc.trips.clues.times import EARLIEST, parse_iso
from geoloc.types import BoolArray, Float64Array

Point = tuple[float, float, float]
"""Seconds since 1970, latitude and longitude in degrees."""

MAX_BYTES = 1 << 30
"""Larger files are refused; ten years of Google Timeline have some hundred megabytes."""

FASTEST_M_S = 340.0
"""Points that were reached faster are errors of the receiver."""

SHOWN_POINTS = 500
"""Points of a track for display, at most."""


class TrackError(GeolocError):
    """A track cannot be used."""


@dataclass(frozen=True, eq=False)
class Track:
    """T points in order of time."""

    name: str
    utc_s: Float64Array
    """(T,) seconds since 1970, ascending."""
    latlon: Float64Array
    """(T, 2) degrees."""

    def __len__(self) -> int:
        return len(self.utc_s)

    def shown(self) -> tuple[tuple[float, float], ...]:
        """Return at most SHOWN_POINTS points (lat, lon)."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(len(self), SHOWN_POINTS)).astype(int))
        return tuple((lat, lon) for lat, lon in self.latlon[rows].round(6).tolist())


def read(path: str | os.PathLike[str]) -> tuple[Track, list[str]]:
    """Read the points with times of a file, and return one line for each kind left out.

    Raises:
        TrackError: the file cannot be read, is no track, or no point has a time.
        MissingExtraError: the library that reads its format is not installed.
    """
    file = Path(path)
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise TrackError(f"{file}: not a track; give {', '.join(sorted(READERS))}")
    try:
        if file.stat().st_size > MAX_BYTES:
            raise TrackError(f"{file}: larger than {MAX_BYTES >> 30} GB; split it")
        points = list(reader(file.read_bytes()))
    except GeolocError:
        raise
    except OSError as error:
        raise TrackError(f"{file}: {error.strerror or error}; check the path") from error
    except Exception as error:  # damaged files raise errors of any type
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TrackError(
            f"{file}: cannot be read as a track ({reason}); export it again"
        ) from error
    return _cleaned(file, points)


def _cleaned(file: Path, points: list[Point]) -> tuple[Track, list[str]]:
    """Sort points by time, and leave out those without sense and those reached too fast."""
    values = np.array(points, np.float64).reshape(-1, 3)
    sensible = is_position(values[:, 1:]) & (values[:, 0] >= EARLIEST)
    values = values[sensible]
    values = values[np.unique(values[:, 0], return_index=True)[1]]
    if not len(values):
        raise TrackError(f"{file}: no point with a position and a time; export it with times")
    kept = _reachable(values)
    lines = []
    if dropped := int((~sensible).sum()):
        lines.append(f"{file}: {dropped:,} points without a valid position or time are left out")
    if jumps := int((~kept).sum()):
        lines.append(f"{file}: {jumps:,} points are left out that no vehicle could have reached")
    return Track(file.name, values[kept, 0], values[kept, 1:]), lines


def _reachable(values: Float64Array) -> BoolArray:
    """Return (T,) False for points that are out of reach both from before and from after."""
    kept = np.ones(len(values), bool)
    if len(values) < 3:
        return kept
    metres = haversine_km(values[:-1, 1:], values[1:, 1:]) * 1000.0
    fast = metres > FASTEST_M_S * np.maximum(np.diff(values[:, 0]), 1.0) + 1000.0
    kept[1:-1] = ~(fast[:-1] & fast[1:])
    kept[0], kept[-1] = not (fast[0] and not fast[1]), not (fast[-1] and not fast[-2])
    return kept


def _gpx(content: bytes) -> Iterator[Point]:
    try:
        import gpxpy
    except ImportError as error:
        raise MissingExtraError("gpxpy", "trip") from error
    _without_entities(content)
    document = gpxpy.parse(content.decode("utf-8-sig"))
    points: list[Any] = [point.point for point in document.get_points_data()]
    for each in points + list(document.waypoints):
        if each.time is not None:
            yield parse_time(each.time.isoformat()), each.latitude, each.longitude


def _kml(content: bytes) -> Iterator[Point]:
    """Yield the points of gx:Track, and of placemarks with a time stamp."""
    _without_entities(content)
    root = ElementTree.fromstring(content)
    for element in root.iter():
        kind = element.tag.rpartition("}")[2]
        if kind == "Track":
            times = [each.text or "" for each in element if each.tag.endswith("}when")]
            places = [each.text or "" for each in element if each.tag.endswith("}coord")]
            for time, place in zip(times, places, strict=False):
                yield from _kml_point(time, place.split())
        elif kind == "Placemark":
            time = next((e.text or "" for e in element.iter() if e.tag.endswith("}when")), "")
            point = next((e for e in element.iter() if e.tag.endswith("}Point")), None)
            if time and point is not None:
                place = next((e.text or "" for e in point if e.tag.endswith("}coordinates")), "")
                yield from _kml_point(time, place.strip().split(","))


def _kml_point(time: str, lonlat: list[str]) -> Iterator[Point]:
    if len(lonlat) >= 2:
        yield parse_time(time), float(lonlat[1]), float(lonlat[0])


def _kmz(content: bytes) -> Iterator[Point]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            if member.filename.lower().endswith(".kml"):
                if member.file_size > MAX_BYTES:
                    raise ValueError("its KML is too large")
                yield from _kml(archive.read(member))


def _fit(content: bytes) -> Iterator[Point]:
    try:
        import fitdecode
    except ImportError as error:
        raise MissingExtraError("fitdecode", "trip") from error
    degrees = 180.0 / 2**31
    with fitdecode.FitReader(io.BytesIO(content)) as frames:
        for frame in frames:
            if isinstance(frame, fitdecode.FitDataMessage) and frame.name == "record":
                names = ("timestamp", "position_lat", "position_long")
                time, lat, lon = (frame.get_value(name, fallback=None) for name in names)
                if time is not None and lat is not None and lon is not None:
                    yield time.timestamp(), lat * degrees, lon * degrees


def parse_time(text: str) -> float:
    """Return a time as ISO 8601 in seconds since 1970, NaN if it is none; UTC without an offset."""
    time = parse_iso(text)
    return math.nan if time.local_s is None else time.local_s - (time.zone_s or 0.0)


def _without_entities(content: bytes) -> None:
    """Refuse XML with a document type, whose entities could fill the memory."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it declares a document type")


def _json(content: bytes) -> Iterable[Point]:
    return timeline.points(content, parse_time)


READERS: dict[str, Callable[[bytes], Iterable[Point]]] = {
    ".gpx": _gpx, ".kml": _kml, ".kmz": _kmz, ".fit": _fit, ".json": _json,
}  # fmt: skip
"""By ending of the file."""
