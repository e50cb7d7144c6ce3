"""Conditions of `--within` on properties of a place: traffic, water, height, script.

`parse_condition` accepts, with or without "in a country with":

- "left-hand traffic", "right-hand traffic", "drives on the left";
- "near water", "near the sea", "within 20 km of the sea", "near a lake", "within 3 km of a river";
- "above 2,000 m", "below 500 m", "above 6,000 ft";
- "a language written in Cyrillic", "Hangul script", "written in Thai".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geocells.attributes import elevation_m, is_land
from geocells.borders.hierarchy import country_table, embedded_boundaries
from geocells.sphere import destination
from geocells.water import Kind, near_fresh_water
from geoloc.belief.witnesses.camera_markets import SCRIPTS
from geoloc.errors import ConstraintError
from geoloc.types import BoolArray, Float64Array

COAST_KM = 10.0
"""Places are near the sea up to this distance, unless the user gives another."""

SHORE_KM = 5.0
"""The same for lakes and rivers, of which there are more."""

LEAST_SHORE_KM = 2.0
"""Lines of lakes and rivers are kept to about 1 km."""

OFFSHORE_KM = 5.0
"""Cells and points so far off a country belong to it; see `named_areas.COAST_KM`."""

METRES = {"m": 1.0, "metre": 1.0, "metres": 1.0, "ft": 0.3048, "feet": 0.3048}

CONDITION_FORMS = (
    '"left-hand traffic", "near water", "above 2,000 m", "a language written in Cyrillic"'
)

_BEARINGS = np.arange(0.0, 360.0, 22.5)
_RINGS = (0.3, 0.65, 1.0)
"""Distances at which the sea is looked for, as shares of the given one."""

_START = r"(?:in )?(?:(?:a |the )?countr(?:y|ies) (?:with|where|that|of) )?"
_TRAFFIC = re.compile(
    _START + r"(?:(left|right)[- ]hand(?: side)? (?:traffic|driving)|"
    r"(?:people |they |one )?drives? on the (left|right)(?:[- ]hand side)?)",
    re.IGNORECASE,
)
_WATER = re.compile(
    r"(?:(?:near|by|at|on|close to) (?:the |a )?|"
    r"(?:within|less than) (?P<km>\d[\d,. ]*) ?km (?:of|from) (?:the |a )?)"
    r"(?P<kind>water|sea|ocean|coast|lake|river)s?",
    re.IGNORECASE,
)
_HEIGHT = re.compile(
    r"(above|over|higher than|below|under|lower than) (-?\d[\d, ]*) ?(m|metres?|ft|feet)"
    r"(?: (?:above sea level|in height))?",
    re.IGNORECASE,
)
_SCRIPT = re.compile(
    _START + r"(?:(?:a )?languages? (?:is )?written in (?:the )?|written in (?:the )?|)"
    r"(?P<name>[a-z ]+?)(?P<script> (?:script|alphabet|letters|characters))?",
    re.IGNORECASE,
)
_ALIASES = {"korean": "hangul", "japanese": "japanese kana", "kana": "japanese kana",
            "chinese": "chinese characters", "han": "chinese characters", "hebrew": "hebrew",
            "myanmar": "burmese", "amharic": "ethiopic"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Condition:
    """A property that a place has or has not."""

    name: str
    """For display: "left-hand traffic"."""
    inside: Callable[[Float64Array], BoolArray]
    """Whether coordinates (N, 2) in degrees have it, (N,)."""
    countries: tuple[str, ...] | None = None
    """The countries whose places have it; None if it does not follow from the country."""


def parse_condition(text: str) -> Condition | None:
    """Return the condition that a text states; None if it is none.

    Raises:
        ConstraintError: the condition is understood, and impossible or unknown.
    """
    text = " ".join(text.split())
    if found := _TRAFFIC.fullmatch(text):
        side = (found[1] or found[2]).lower()
        codes = [code for code, row in country_table().items() if row[2] == side]
        return _of_countries(f"{side}-hand traffic", codes)
    if found := _WATER.fullmatch(text):
        kind = found["kind"].lower()
        return _water(text, kind, _number(found["km"]) if found["km"] else None)
    if found := _HEIGHT.fullmatch(text):
        return _height(text, found)
    found = _SCRIPT.fullmatch(text)
    if found is None or not (found["script"] or "written in" in text.lower()):
        return None
    return _script(text, found["name"].lower())


def near_sea(latlon: Float64Array, km: float) -> BoolArray:
    """Return whether points (N, 2) on land have the sea within a distance, or lie at sea."""
    near = ~is_land(latlon)
    for share in _RINGS:
        for bearing in _BEARINGS:
            left = np.flatnonzero(~near)
            if not len(left):
                return near
            around = destination(latlon[left], bearing, share * km)
            near[left] = ~is_land(around)
    return near


def _water(text: str, kind: str, km: float | None) -> Condition:
    """Return the condition to be near water of a kind, up to a distance or the usual one."""
    least = LEAST_SHORE_KM if kind in ("lake", "river", "water") else 0.0
    if km is not None and (km < least or not 0.0 < km <= 500.0):
        raise ConstraintError(f"{text}: give a distance of {least:g} up to 500 km")
    coast, shore = (COAST_KM, SHORE_KM) if km is None else (km, km)
    if kind == "water":
        usual = f"within {coast:g} km of the sea or {shore:g} km of a lake or river"
        name = usual if km is None else f"within {km:g} km of water"
        return Condition(name, lambda at: near_sea(at, coast) | _near_fresh(at, shore))
    if kind in ("lake", "river"):
        fresh: Kind = "lake" if kind == "lake" else "river"
        name = f"within {shore:g} km of a {kind}"
        return Condition(name, lambda at: near_fresh_water(at, shore, fresh))
    return Condition(f"within {coast:g} km of the sea", lambda at: near_sea(at, coast))


def _near_fresh(at: Float64Array, km: float) -> BoolArray:
    return near_fresh_water(at, km, "lake") | near_fresh_water(at, km, "river")


def _height(text: str, found: re.Match[str]) -> Condition:
    limit = _number(found[2]) * METRES[found[3].lower()]
    above = found[1].lower() in ("above", "over", "higher than")
    if not -450.0 <= limit <= 8500.0:
        raise ConstraintError(f"{text}: give a height between -450 and 8,500 m")
    if above:
        return Condition(f"above {limit:,.0f} m", lambda at: elevation_m(at) > limit)
    return Condition(f"below {limit:,.0f} m", lambda at: elevation_m(at) < limit)


def _script(text: str, name: str) -> Condition:
    names = {shown.lower(): (shown, codes.split()) for shown, codes in SCRIPTS.values()}
    key = _ALIASES.get(name, name)
    if key not in names:
        known = ", ".join(sorted({shown for shown, _ in names.values()}))
        raise ConstraintError(f"{text[:60]}: no script of this name; give one of {known}")
    shown, codes = names[key]
    return _of_countries(f"a language written in {shown}", codes)


def _of_countries(name: str, codes: list[str]) -> Condition:
    country = embedded_boundaries().country
    rows = np.flatnonzero(np.isin(country.codes, codes))
    return Condition(name, lambda at: np.isin(country.locate(at, OFFSHORE_KM), rows), tuple(codes))


def _number(text: str) -> float:
    return float(re.sub(r"[, ](?=\d{3}\b)", "", text.strip()).replace(",", ".").replace(" ", ""))
