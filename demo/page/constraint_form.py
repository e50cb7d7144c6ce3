"""The field "What do you know about the place?": from its value to a search within places."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geoloc.belief.constraints import parse
from geoloc.belief.drawn_areas import is_geometry
from geoloc.belief.named_areas import FORMS
from geoloc.errors import ConstraintError
from geoloc.output.map.shown import searched

CHIPS = {
    "Left-hand traffic": "left-hand traffic",
    "Right-hand traffic": "right-hand traffic",
    "Near the sea": "near the sea",
    "Near a lake": "near a lake",
    "Near a river": "near a river",
    "Above 2,000 m": "above 2,000 m",
    "Cyrillic script": "a language written in Cyrillic",
    "Arabic script": "a language written in Arabic",
    "Chinese characters": "a language written in Chinese characters",
}
"""Conditions that the page offers, and their text; see `geoloc.belief.conditions`."""

HINT = "choose one of the list, or draw an area on the map"
"""In place of what the parser advises, which can also be a file."""

MAX_CHARACTERS = 100
MAX_AREAS = 10
MAX_CORNERS = 200
MAX_NUMBER = 1e6
"""Of degrees and kilometres, before longitudes are wrapped."""

Area = Mapping[str, Any]
"""A place from the scripts of the page: `kind` is name (with `text`), circle, box or polygon."""


def within(areas: object, chips: Sequence[str] = ()) -> tuple[str, ...]:
    """Return constraints for `Geolocator.restrict`; none for the whole Earth.

    Args:
        areas: a list of `Area`, whose union is searched; drawn on the map or chosen by name.
        chips: some of CHIPS, which the place satisfies as well; others are ignored.

    Raises:
        ConstraintError: an area is not understood, or there are too many.
    """
    given = [each for each in areas if not _is_wrong(each)] if isinstance(areas, list) else []
    if len(given) > MAX_AREAS:
        raise ConstraintError(f"these are {len(given)} places; give at most {MAX_AREAS}")
    stated = [CHIPS[chip] for chip in chips if chip in CHIPS]
    return (*map(_text, given), *stated)


def named(area: object) -> dict[str, Any]:
    """Return an area with a `label` for people, and its constraint, or else its `problem`."""
    try:
        label = parse(_text(area)).name
    except ConstraintError as error:
        text = str(area.get("text", ""))[:MAX_CHARACTERS] if isinstance(area, Mapping) else ""
        problem = str(error).replace(FORMS, HINT)
        return {"kind": "name", "text": text, "label": text, "problem": problem}
    known: dict[str, Any] = dict(area) if isinstance(area, Mapping) else {}
    return known | {"label": label, "problem": "", "within": _text(area)}


def outline(areas: object) -> dict[str, Any] | None:
    """Return GeoJSON of areas for the map; None for none, and for areas that are not understood."""
    try:
        return searched(within(areas))
    except ConstraintError:
        return None


def _is_wrong(area: object) -> bool:
    """Whether `named` found a problem, which the page shows beside the place."""
    return isinstance(area, Mapping) and bool(area.get("problem"))


def _text(area: object) -> str:
    kind = area.get("kind") if isinstance(area, Mapping) else None
    if not isinstance(area, Mapping) or not isinstance(kind, str) or kind not in _READERS:
        raise ConstraintError("this is no place; choose a name, or draw an area on the map")
    return _READERS[kind](area)


def _name(area: Area) -> str:
    name = str(area.get("text") or "").strip()
    # `Geolocator.restrict` also accepts file names and polygons, which visitors must not send
    if not name or len(name) > MAX_CHARACTERS or name.lower().endswith("json") or is_geometry(name):
        raise ConstraintError(
            "this is not the name of a country, region, town or continent; choose one of the list"
        )
    return name


def _circle(area: Area) -> str:
    lat, lon, radius_km = _numbers(area, "lat", "lon", "radius_km")
    return f"{lat:.5f},{_wrapped(lon):.5f},{max(radius_km, 0.1):.3f}km"


def _box(area: Area) -> str:
    south, west, north, east = _numbers(area, "south", "west", "north", "east")
    if east - west >= 360.0:
        west, east = -180.0, 180.0
    return f"{south:.5f},{_wrapped(west):.5f},{north:.5f},{_wrapped(east):.5f}"


def _polygon(area: Area) -> str:
    ring = area.get("ring")
    if not isinstance(ring, list) or not 3 <= len(ring) <= MAX_CORNERS:
        raise ConstraintError(f"a polygon needs 3 to {MAX_CORNERS} corners; draw it again")
    corners = [
        _numbers(dict(enumerate(corner)) if isinstance(corner, list) else {}, 0, 1)
        for corner in ring
    ]
    turns = 360.0 * math.floor((corners[0][0] + 180.0) / 360.0)
    closed = [[lon - turns, lat] for lon, lat in [*corners, corners[0]]]
    rounded = [[round(lon, 4), round(lat, 4)] for lon, lat in closed]
    return json.dumps({"type": "Polygon", "coordinates": [rounded]}, separators=(",", ":"))


_READERS: dict[str, Callable[[Area], str]] = {
    "name": _name,
    "circle": _circle,
    "box": _box,
    "polygon": _polygon,
}


def _numbers(area: Mapping[Any, Any], *names: str | int) -> list[float]:
    values = [area.get(name) for name in names]
    if not all(isinstance(value, int | float) and abs(value) <= MAX_NUMBER for value in values):
        raise ConstraintError("the drawn area has no numbers; draw it again")
    return [float(value) for value in values if value is not None]


def _wrapped(lon: float) -> float:
    """Return a longitude in -180..180; 180 stays, because a box may end there."""
    return lon if -180.0 <= lon <= 180.0 else (lon + 180.0) % 360.0 - 180.0


def number(text: str | None) -> float | None:
    """Return a finite number from text; None if it is none.

    A decimal comma and a Unicode minus sign are accepted.
    """
    try:
        value = float((text or "").strip().replace("−", "-").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
