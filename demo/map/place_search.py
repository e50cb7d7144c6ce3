"""Search of places by name, for the field "What do you know about the place?"."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from geocells.borders.hierarchy import embedded_boundaries
from geocells.names import (
    countries_by_name,
    find_towns,
    fold,
    groups,
    groups_by_name,
    known_towns,
    regions_by_name,
)
from geocells.places import towns
from geoloc.belief.named_areas import town_title

MOST_OF_A_KIND = 3
"""Suggestions of one kind, such as countries."""
CITY = 100_000
"""A smaller town of exactly the name that was typed does not come before countries and regions."""
SHORTEST_PREFIX = 3
"""Shorter texts find whole names only, apart from countries."""
LONGEST_CHARACTERS = 60
MOST_KEYS = 3000

Value = TypeVar("Value")

Suggestion = dict[str, str]
"""`text` is a constraint of `geoloc.belief.constraints.parse`, `kind` a word for people."""


def search(text: object) -> list[Suggestion]:
    """Return places whose English or local name starts with a text, the best known first.

    Args:
        text: what the visitor has typed; anything but text finds nothing.
    """
    if not isinstance(text, str):
        return []
    key = fold(text[:LONGEST_CHARACTERS])
    return list(_search(key)) if len(key) > 1 else []


@lru_cache(2000)
def _search(key: str) -> tuple[Suggestion, ...]:
    country = embedded_boundaries().country
    kinds = {
        "country": [str(country.names[row]) for row in _starting(countries_by_name(), key)],
        "several countries": [groups()[code][0] for code in _starting(groups_by_name(), key)],
        "region": _regions(key),
        "town": [town_title(row) for row in _towns(key)],
    }
    found: dict[str, str] = {}
    for kind, names in kinds.items():
        if kind == "country":  # the English name of one may be a local name of another
            names.sort(key=lambda name: not fold(name).startswith(key))
        for name in list(dict.fromkeys(names))[:MOST_OF_A_KIND]:
            found.setdefault(name, kind)
    villages = {town_title(row) for row in _towns(key) if towns().population[row] < CITY}
    whole = {name for name in found if fold(name.partition(",")[0]) == key} - villages
    ordered = sorted(found, key=lambda name: name not in whole)
    return tuple({"text": name, "kind": found[name]} for name in ordered)


def _starting(names: Mapping[str, Value], key: str) -> list[Value]:
    """Return the values of names that start with a key, the name itself first."""
    same = [names[key]] if key in names else []
    longer = [value for name, value in names.items() if len(name) > 3 and name.startswith(key)]
    return [*same, *longer]


def _regions(key: str) -> list[str]:
    """Return "Region, Country" of regions with such a name."""
    borders = embedded_boundaries()
    if len(key) < SHORTEST_PREFIX:
        return []
    rows = [row for each in _starting(regions_by_name(), key) for row in each]
    return [
        f"{borders.region.names[row]}, {borders.country.names[borders.region.parent[row]]}"
        for row in rows
    ]


def _towns(key: str) -> list[int]:
    """Return rows of towns with such a name, the largest first; whole names come first."""
    same = find_towns(key)[:MOST_OF_A_KIND]
    longer: set[int] = set()
    if len(key) >= SHORTEST_PREFIX:
        names = [name for name in known_towns() if name.startswith(key)]
        for name in names[:MOST_KEYS]:
            longer.update(find_towns(name)[:3])
    own = [row for row in longer if fold(towns().name[row].as_py()).startswith(key)]
    return [*same, *sorted(own, key=lambda row: -int(towns().population[row]))[:MOST_OF_A_KIND]]
