"""JSON tables: one object a line, one array of objects, or GeoJSON."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from geoloc.errors import TableError
from geoloc.photos.tabular.delimited import Row, unique_names
from geoloc.photos.tabular.encoding import Report

Parse = Callable[[str], Any]
"""Makes a value of one JSON text."""


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """A JSON object; repeated keys get a number."""
    row = dict(pairs)
    if len(row) == len(pairs):
        return row
    values = (value for _, value in pairs)
    return dict(zip(unique_names(key for key, _ in pairs), values, strict=True))


def _finite(text: str) -> float | str:
    """A number; an ID such as 12e4567, which is too large for one, stays text."""
    return value if math.isfinite(value := float(text)) else text


typed: Parse = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite).decode
"""Makes numbers of numbers."""

written: Parse = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=str
).decode
"""Keeps numbers as they are written, because IDs may be written as numbers."""


_REMEDY = "write one object a line, an array of objects, or GeoJSON"


def json_rows(text: TextIO, name: str, parse: Parse, problem: Report) -> Iterator[Row]:
    """Yield the objects of a JSON table.

    Args:
        text: one object a line; or an array of objects or a GeoJSON FeatureCollection, which are
            read as a whole. A feature becomes a row of its properties, with the coordinates of its
            point in lat and lon.
        name: of the source in messages.
        parse: `typed` or `written`.
        problem: receives a line about what is no object and is left out.

    Raises:
        TableError: nothing in it is an object.
    """
    good, bad, reason = 0, 0, ""
    for place, value, error in _values(text, parse):
        if isinstance(value, dict):
            good += 1
            yield _with_nested(value)
        else:
            bad += 1
            reason = reason or f"{place} is no JSON {f'({error})' if error else 'object'}"
    if bad and not good:
        raise TableError(f"{name}: {reason}; {_REMEDY}")
    if bad:
        count = f"{bad:,} of {good + bad:,} rows are left out"
        problem(f"{name}: {count}; {reason}; {_REMEDY}")


def _values(text: TextIO, parse: Parse) -> Iterator[tuple[str, Any, str]]:
    """Yield where each value of a table is, the value, and why it cannot be parsed."""
    numbered = ((number, line) for number, line in enumerate(text, start=1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    number, line = first
    lines: Iterable[tuple[int, str]] = itertools.chain([first], numbered)
    if _begins_document(line):
        content = line + text.read()
        value, error = _parsed(content, parse)
        if not error or line.lstrip().startswith("["):
            array = {"data": value} if isinstance(value, list) else value
            yield from _elements("element 1", array, error)
            return
        lines = enumerate(content.splitlines(), start=number)  # the first object is damaged
    for number, line in lines:
        if line.strip():
            yield from _elements(f"line {number}", *_parsed(line, parse))


def _begins_document(line: str) -> bool:
    """Whether a text that begins with this line may be one array or object of several lines."""
    line = line.strip()
    return line.startswith("[") or (line.startswith("{") and not line.endswith("}"))


def _elements(place: str, value: Any, error: str) -> Iterator[tuple[str, Any, str]]:  # noqa: ANN401
    """Yield the objects of a page of Mapillary's API or of GeoJSON, or else the value."""
    found = None
    if isinstance(value, dict) and value.keys() <= {"data", "paging"}:
        found = value.get("data")
    elif isinstance(value, dict) and value.get("type") == "FeatureCollection":
        found = value.get("features")
        if isinstance(found, list):
            rows = [_row_of(feature, value) for feature in found]
            # answers of this project have several features for a photo
            found = [row for row in rows if not isinstance(row, dict) or row.get("answer", True)]
    if not isinstance(found, list):
        yield place, value, error
        return
    for number, element in enumerate(found, start=1):
        yield f"element {number}", element, error


def _row_of(feature: Any, collection: Row) -> Any:  # noqa: ANN401
    """The properties of a feature with the coordinates of its point, as a row."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return feature
    properties, geometry = feature.get("properties") or {}, feature.get("geometry") or {}
    if not isinstance(properties, dict) or not isinstance(geometry, dict):
        return feature
    lat, lon = _point(geometry)
    row = {**properties, "lat": lat, "lon": lon}
    if "schema_version" in collection:
        row["schema_version"] = collection["schema_version"]
    return row


def _point(geometry: Row) -> tuple[Any, Any]:
    """Latitude and longitude of a GeoJSON point; None for other geometries."""
    lonlat = geometry.get("coordinates") if geometry.get("type") == "Point" else None
    lon, lat = lonlat[:2] if isinstance(lonlat, list) and len(lonlat) > 1 else (None, None)
    return lat, lon


_NESTED = (("creator", "username"), ("exif", "lat"), ("exif", "lon"))
"""Values in objects within objects that become columns: "creator_username" and so on."""


def _with_nested(row: Row) -> Row:
    """A row with columns for coordinates and authors that are nested in it."""
    nested = {name: value for name, value in row.items() if isinstance(value, dict)}
    if not nested:
        return row
    columns = {
        f"{outer}_{inner}": nested[outer][inner]
        for outer, inner in _NESTED
        if inner in nested.get(outer, ())
    }
    for name in ("computed_geometry", "geometry"):
        lat, lon = _point(nested.get(name, {}))
        if lat is not None and "lat" not in columns:
            columns |= {"lat": lat, "lon": lon}
    return {**columns, **row}


def _parsed(line: str, parse: Parse) -> tuple[Any, str]:
    try:
        return parse(line.strip()), ""
    except (ValueError, RecursionError) as error:
        return None, str(error).splitlines()[0]
