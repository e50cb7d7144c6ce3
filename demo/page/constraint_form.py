"""The constraint form: from the fields of the page to a `within` text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from geocells.borders.hierarchy import embedded_boundaries
from geoloc.belief.drawn_areas import is_geometry
from geoloc.errors import ConstraintError

ANYWHERE, NAMED, CIRCLE, BOX = "Anywhere", "Named place", "Circle", "Box"
KINDS = (ANYWHERE, NAMED, CIRCLE, BOX)

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

MAX_CHARACTERS = 100

Fields = Sequence[str]
"""Numbers as text, as entered by the visitor."""


def within(
    kind: str, place: str | None, circle: Fields, box: Fields, chips: Sequence[str] = ()
) -> str | None:
    """Return the constraint for `Geolocator.restrict`; None for "Anywhere" without conditions.

    Args:
        kind: one of KINDS; the fields of other kinds are ignored.
        place: name of a country, region, city or continent.
        circle: latitude, longitude, radius in km.
        box: south, west, north, east in degrees.
        chips: some of CHIPS, which the place satisfies as well; others are ignored.

    Raises:
        ConstraintError: a field is empty or invalid.
    """
    area = _area(kind, place, circle, box)
    stated = [area, *(CHIPS[chip] for chip in chips if chip in CHIPS)]
    return "; ".join(filter(None, stated)) or None


def _area(kind: str, place: str | None, circle: Fields, box: Fields) -> str | None:
    if kind == NAMED:
        return _name(place)
    if kind == CIRCLE:
        lat, lon, radius_km = _numbers(circle, "latitude, longitude and radius")
        return f"{lat},{lon},{radius_km}km"
    if kind == BOX:
        return ",".join(_numbers(box, "south, west, north and east"))
    return None


def _name(place: str | None) -> str:
    name = (place or "").strip()
    if not name:
        raise ConstraintError(
            "Choose a country, or enter a region or city such as Bavaria, Germany."
        )
    # `Geolocator.restrict` also accepts file names and polygons, which visitors must not send
    if len(name) > MAX_CHARACTERS or name.lower().endswith("json") or is_geometry(name):
        raise ConstraintError("This is not the name of a country, region, city or continent.")
    return name


def _numbers(fields: Fields, names: str) -> list[str]:
    values = [number(text) for text in fields]
    if None in values:
        raise ConstraintError(f"Fill in {names} as numbers such as 48.86.")
    return [f"{value:.6f}" for value in values if value is not None]


def number(text: str | None) -> float | None:
    """Return a finite number from text; None if it is none.

    A decimal comma and a Unicode minus sign are accepted.
    """
    try:
        value = float((text or "").strip().replace("−", "-").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@cache
def countries() -> list[str]:
    """Return the names of all countries in alphabetical order."""
    return sorted(set(embedded_boundaries().country.names))
