"""Constraints on the location of photos (`--within`): from text to areas.

`parse` accepts

- a country: "Portugal", "pt", "PRT", "Deutschland", "Republic of Korea"; it takes precedence over
  everything else of the same name;
- a group of countries: "Southern Europe", "Africa", "EU", "Scandinavia";
- a region: "Bavaria, Germany", or "Bavaria" where only one country has it;
- a town and its surroundings: "Paris, France", "Portland, Oregon", or "Paris" where it is by far
  the largest of that name;
- a box "south,west,north,east" in degrees, across the antimeridian if west > east;
- a circle "lat,lon,50km" or "lat,lon,800m";
- polygons: the path of a .geojson or .json file, GeoJSON text, "POLYGON((lon lat, ...))", or EWKT
  with SRID 4326. An edge that spans more than 180 degrees of longitude crosses the antimeridian;
- conditions, alone or after a place: "left-hand traffic", "near water", "above 2,000 m",
  "a language written in Cyrillic"; see `geoloc.belief.conditions`. ";" or "and" combines them:
  "Africa; above 2,000 m", "left-hand traffic and near water".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from geoloc.belief import drawn_areas
from geoloc.belief.areas import Area, Constraint
from geoloc.belief.conditions import CONDITION_FORMS, Condition, parse_condition
from geoloc.belief.named_areas import FORMS, named
from geoloc.belief.narrowed import Narrowed
from geoloc.errors import ConstraintError as ConstraintError

_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*"
_CIRCLE = re.compile(f"{_NUMBER},{_NUMBER},{_NUMBER}(km|m)", re.IGNORECASE)
_BOX = re.compile(",".join([_NUMBER] * 4))


def parse(text: str | Sequence[str]) -> Constraint | Narrowed:
    """Parse a constraint in one of the forms above, or the union of several places.

    Raises:
        ConstraintError: a text is in none of the forms, names no known place, or holds no area.
    """
    areas: list[Area] = []
    conditions: list[Condition] = []
    for one in [text] if isinstance(text, str) else text:
        places, stated = _divided(one.strip())
        if len(places) > 1:
            raise ConstraintError(f"{one}: {len(places)} places; give one, and conditions on it")
        areas += map(_parse_one, places)
        conditions += stated
    if not areas and not conditions:
        raise ConstraintError(f"no place given; {FORMS}, or {CONDITION_FORMS}")
    place = Constraint(" or ".join(area.name for area in areas), tuple(areas)) if areas else None
    return place if place and not conditions else Narrowed(place, tuple(conditions))


def _divided(text: str) -> tuple[list[str], list[Condition]]:
    """Return the places and the conditions that a text combines."""
    if drawn_areas.is_geometry(text) or text.lower().endswith((".geojson", ".json")):
        return [text], []
    places: list[str] = []
    conditions: list[Condition] = []
    for part in text.split(";"):
        words = []
        for piece in re.split(r"\s+and\s+", part.strip()):  # also a word of names of countries
            condition = parse_condition(piece)
            if condition is None:
                words.append(piece)
            else:
                conditions.append(condition)
        places += [" and ".join(words)] if words else []
    named_places = [place for place in places if place]
    return named_places or ([] if conditions else [""]), conditions


def _parse_one(text: str) -> Area:
    if drawn_areas.is_geometry(text):
        return drawn_areas.polygons("the area drawn", text)
    if text.lower().endswith((".geojson", ".json")):
        try:
            return drawn_areas.polygons(text, Path(text).read_text("utf-8-sig"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConstraintError(f"{text}: {reason}; give a GeoJSON file of polygons") from error
    text = " ".join(text.replace("−", "-").split())[:200]
    if not text:
        raise ConstraintError(f"no place given; {FORMS}")
    if match := _CIRCLE.fullmatch(text):
        unit_km = 1.0 if match[4].lower() == "km" else 1e-3
        return drawn_areas.circle(text, float(match[1]), float(match[2]), float(match[3]) * unit_km)
    if match := _BOX.fullmatch(text):
        return drawn_areas.box(text, *map(float, match.groups()))
    if re.match(_NUMBER, text):
        raise ConstraintError(f'{text}: write a box "south,west,north,east" or "lat,lon,50km"')
    return named(text)
