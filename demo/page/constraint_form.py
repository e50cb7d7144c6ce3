"""What a visitor already knows of the place, from the fields of the page to a constraint."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache

from geocells.borders.hierarchy import embedded_boundaries
from geoloc.belief.constraints import ConstraintError

ANYWHERE, NAMED, CIRCLE, BOX = "Nothing", "Country or region", "Circle", "Box"
KINDS = (ANYWHERE, NAMED, CIRCLE, BOX)

MOST_CHARACTERS = 100

_NO_NAME = re.compile(r"json$|^\{|^(multi)?polygon\b", re.IGNORECASE)

Fields = Sequence[str]
"""Numbers as people type them."""


def within(kind: str, place: str | None, circle: Fields, box: Fields) -> str | None:
    """What `Geolocator.restrict` is asked; None if nothing is known.

    Args:
        kind: one of KINDS; only its fields count.
        place: name of a country or region.
        circle: latitude, longitude, radius in km.
        box: south, west, north, east in degrees.

    Raises:
        ConstraintError: a field is empty, or holds something other than a name.
    """
    if kind == NAMED:
        return _name(place)
    if kind == CIRCLE:
        lat, lon, radius_km = _filled(circle, "latitude, longitude and radius")
        return f"{lat},{lon},{radius_km}km"
    if kind == BOX:
        return ",".join(_filled(box, "south, west, north and east"))
    return None


def _name(place: str | None) -> str:
    name = (place or "").strip()
    if not name:
        raise ConstraintError("Choose a country, or type a region such as Bavaria, Germany.")
    # a constraint may also be a file or a polygon, and visitors have no business with either
    if len(name) > MOST_CHARACTERS or _NO_NAME.search(name):
        raise ConstraintError("That is not the name of a country or region.")
    return name


def _filled(fields: Fields, names: str) -> list[str]:
    numbers = [number(text) for text in fields]
    if None in numbers:
        raise ConstraintError(f"Fill in {names}, as numbers such as 48.86.")
    return [f"{value:.6f}" for value in numbers if value is not None]


def number(text: str | None) -> float | None:
    """A finite number as people type it, with a comma or a long minus too; None if it is none."""
    try:
        value = float((text or "").strip().replace("−", "-").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@cache
def countries() -> list[str]:
    """Names of all countries, in the order of the alphabet."""
    return sorted(set(embedded_boundaries().country.names))
