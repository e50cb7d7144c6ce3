"""A placed library as a file: JSON lines, tables, GeoJSON, KML with the track, or a page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import GeolocError
from geoloc.io.atomic import AtomicFile
from geoloc.output.formats import KML_END, KML_START, Scalar, csv_lines, xml_text
from geoloc.output.tables import write_parquet
from geoloc.output.text import km
from geoloc.trips.review.page import write_page
from geoloc.trips.trip import SCHEMA_VERSION, PlacedPhoto, Trip
from geoloc.types import Float64Array

COLUMNS: dict[str, type] = {
    "photo": str, "lat": float, "lon": float, "radius_50_km": float, "radius_80_km": float,
    "radius_95_km": float, "kind": str, "how": str, "probability": float, "taken_at": str,
    "camera": str, "country_code": str, "country": str, "region": str, "town": str,
    "town_distance_km": float, "stay": int, "journey": int, "exif_lat": float, "exif_lon": float,
    "sha256": str, "bundle": str, "schema_version": int,
}  # fmt: skip
"""Columns of tables and their types; README.md explains them."""


def check_output(path: Path) -> None:
    """Check that an output file has a known ending, before any work is done.

    Raises:
        GeolocError: the name has none of the endings in OUTPUTS.
    """
    if path.suffix.lower() not in OUTPUTS:
        *others, last = OUTPUTS
        endings = f"{', '.join(others)} or {last}"
        raise GeolocError(f"{path}: unknown output format; the name must end in {endings}")


def write_trip(
    trip: Trip,
    path: Path,
    library: Path | None = None,
    before_rename: Callable[[Path], None] | None = None,
) -> Path:
    """Write a trip atomically in the format of the file's ending, and return the path.

    Args:
        trip: the trip.
        path: the file; its folder is created.
        library: the folder of the photos, for pictures on the page; None for no pictures.
        before_rename: see `AtomicFile`.

    Raises:
        GeolocError: see `check_output`.
        OSError: the file cannot be written; names the file.
    """
    check_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFile(path, before_rename) as out:
        OUTPUTS[path.suffix.lower()](out, trip, library)
        out.commit()
    return path


def table_rows(trip: Trip) -> Iterator[dict[str, Scalar]]:
    """Yield a row with the columns COLUMNS for each photo, in the order of the trip.

    `exif_lat` and `exif_lon` are the position of a measured photo: commands that need known
    positions read these, and take no estimate for one.
    """
    for photo in trip.photos:
        values: dict[str, Any] = dataclasses.asdict(photo)
        place = values.pop("place") or {}
        measured = photo.kind == "measured"
        yield {
            **{name: _text(value) for name, value in {**values, **place}.items()},
            "journey": None if photo.stay is None else trip.stays[photo.stay].journey,
            "exif_lat": photo.lat if measured else None,
            "exif_lon": photo.lon if measured else None,
            "bundle": trip.bundle,
            "schema_version": SCHEMA_VERSION,
        }


def _text(value: Any) -> Any:  # noqa: ANN401
    """Escape lone surrogates of text, which stand for undecodable bytes in names (PEP 383)."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def journeys(trip: Trip) -> Iterator[list[PlacedPhoto]]:
    """Yield the photos of each journey that have a time and a place, in order of time."""
    by_number: dict[int, list[PlacedPhoto]] = {}
    for photo in trip.photos:
        if photo.stay is not None and photo.lat is not None:
            by_number.setdefault(trip.stays[photo.stay].journey, []).append(photo)
    for number in sorted(by_number):
        yield by_number[number]


def lines(latlon: Float64Array) -> list[Float64Array]:
    """Cut a line (N, 2) where it crosses the antimeridian, as RFC 7946 asks for.

    Returns:
        Parts (M, 2) in degrees, of at least two points each.
    """
    if len(latlon) < 2:
        return []
    lon = np.unwrap(latlon[:, 1], period=360.0)
    world = np.floor((lon + 180.0) / 360.0)
    inside = np.clip(lon - 360.0 * world, -180.0, 180.0)  # without what rounding adds
    latlon = np.stack([latlon[:, 0], inside], axis=1)
    parts, start = [], [latlon[0]]
    for i in range(1, len(lon)):
        if world[i] != world[i - 1]:
            edge = 360.0 * max(world[i], world[i - 1]) - 180.0
            share = (edge - lon[i - 1]) / (lon[i] - lon[i - 1])
            lat = latlon[i - 1, 0] + share * (latlon[i, 0] - latlon[i - 1, 0])
            side = 180.0 if world[i] > world[i - 1] else -180.0
            parts.append(np.array([*start, (lat, side)]))
            start = [np.array((lat, -side))]
        start.append(latlon[i])
    return [*parts, np.array(start)]


def _jsonl(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    for photo in trip.photos:
        values = {**dataclasses.asdict(photo), "bundle": trip.bundle}
        out.write_text(_json({**values, "schema_version": SCHEMA_VERSION}) + "\n")


def _whole(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    out.write_text(_json(trip.to_dict()) + "\n")


def _csv(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    for line in csv_lines(table_rows(trip), COLUMNS):
        out.write_text(line)


def _parquet(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    lonlat = np.array([(p.lon, p.lat) for p in trip.photos if p.lat is not None]).reshape(-1, 2)
    low = lonlat.min(axis=0, initial=np.inf)
    high = lonlat.max(axis=0, initial=-np.inf)
    write_parquet(out, table_rows(trip), COLUMNS, [*low.tolist(), *high.tolist()])


def _geojson(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    collection = {"type": "FeatureCollection", "schema_version": SCHEMA_VERSION}
    out.write_text(f'{json.dumps(collection)[:-1]}, "features": [\n')
    out.write_text(",\n".join(map(_json, _features(trip))))
    out.write_text("\n]}\n")


def _features(trip: Trip) -> Iterator[dict[str, Any]]:
    """Yield a point for each photo, null without a place, and the lines of journeys and tracks."""
    for row in table_rows(trip):
        lat, lon = row.pop("lat"), row.pop("lon")
        point = None if lat is None else {"type": "Point", "coordinates": [lon, lat]}
        yield {"type": "Feature", "geometry": point, "properties": row}
    for name, parts in _named_lines(trip):
        coordinates = [part[:, ::-1].tolist() for part in parts]
        geometry = {"type": "MultiLineString", "coordinates": coordinates}
        yield {"type": "Feature", "geometry": geometry, "properties": {"line": name}}


def _named_lines(trip: Trip) -> Iterator[tuple[str, list[Float64Array]]]:
    """Yield the lines of journeys and tracks with their names."""
    for number, photos in enumerate(journeys(trip), start=1):
        parts = lines(np.array([(p.lat, p.lon) for p in photos], np.float64))
        if parts:
            yield f"journey {number}", parts
    for number, track in enumerate(trip.tracks, start=1):
        parts = lines(np.array(track, np.float64).reshape(-1, 2))
        if parts:
            yield f"track {number}", parts


def _kml(out: AtomicFile, trip: Trip, library: Path | None) -> None:
    out.write_text(KML_START)
    for photo in trip.photos:
        if photo.lat is not None:
            out.write_text(_placemark(photo))
    for name, parts in _named_lines(trip):
        shapes = "".join(
            "<LineString><tessellate>1</tessellate><coordinates>"
            + " ".join(f"{lon:.6f},{lat:.6f}" for lat, lon in part.tolist())
            + "</coordinates></LineString>"
            for part in parts
        )
        geometry = f"<MultiGeometry>{shapes}</MultiGeometry>"
        out.write_text(f"<Placemark><name>{name}</name>{geometry}</Placemark>\n")
    out.write_text(KML_END)


def _placemark(photo: PlacedPhoto) -> str:
    """Return the KML placemark of a photo; its time stamp lets globes play the journey."""
    radius = "" if photo.radius_80_km is None else f", within {km(photo.radius_80_km)}"
    description = f"{photo.kind}: {photo.how}{radius}"
    when = f"<TimeStamp><when>{photo.taken_at}</when></TimeStamp>" if photo.taken_at else ""
    return (
        f"<Placemark><name>{xml_text(photo.photo)}</name>"
        f"<description>{xml_text(description)}</description>{when}"
        f"<Point><coordinates>{photo.lon:.6f},{photo.lat:.6f}</coordinates></Point></Placemark>\n"
    )


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


OUTPUTS: dict[str, Callable[[AtomicFile, Trip, Path | None], None]] = {
    ".html": write_page,
    ".jsonl": _jsonl,
    ".json": _whole,
    ".csv": _csv,
    ".geojson": _geojson,
    ".kml": _kml,
    ".parquet": _parquet,
}
"""File ending -> function that writes the file."""
