"""Areas from names: countries, groups of countries, regions, and the surroundings of towns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from geocells.borders.hierarchy import embedded_boundaries
from geocells.names import (
    countries_by_name,
    find_towns,
    fold,
    groups,
    groups_by_name,
    regions_by_code,
    regions_by_name,
    town_names,
)
from geocells.places import towns
from geoloc.belief.areas import Area
from geoloc.belief.drawn_areas import circle
from geoloc.errors import ConstraintError

COAST_KM = 5.0
"""Points no farther than this off a country or region, such as piers and boats, belong to it."""

FORMS = (
    'give "Portugal", "Bavaria, Germany", "Paris, France", "Southern Europe", "48.86,2.35,50km", '
    '"south,west,north,east" or a file'
)

_TOWN_KM = (5.0, 50.0)
"""Smallest and largest radius of the surroundings of a town."""

_KM_PER_ROOT_OF_PEOPLE = 0.025
"""The radius grows with the square root of the population: 37 km for Paris."""

_LARGEST = 4.0
"""Of towns with one name, one is meant if it has so many times the people of the next."""

_SUGGESTED_TOWN = 50_000
"""Smaller towns are not suggested for misspelt names."""


def named(text: str) -> Area:
    """Return the area of a name: of a country, a group, a region or a town, in this order.

    "Paris, France" and "Paris, Texas, USA" say where a region or town lies.

    Raises:
        ConstraintError: the name is unknown or means several places; a message suggests names.
    """
    key = fold(text)
    if key in countries_by_name():
        return _country(countries_by_name()[key])
    if key in groups_by_name():
        return _group(groups_by_name()[key])
    if text.partition(",")[2].strip():
        return _inside(text)
    if rows := regions_by_name().get(key):
        return _only_region(text, rows)
    if len(_containing(key, _countries_and_groups())) > 1:
        raise _unknown(f'"{text}" is part of several names', text, _countries_and_groups())
    if found := find_towns(text):
        return _only_town(text, found)
    raise _unknown(f'"{text.strip()}" is no country, region or town', text)


def _country(row: int) -> Area:
    country = embedded_boundaries().country
    return Area(
        str(country.names[row]),
        lambda at: country.locate(at, COAST_KM) == row,
        np.array([]),
        (str(country.codes[row]),),
    )


def _group(code: str) -> Area:
    name, codes = groups()[code]
    country = embedded_boundaries().country
    rows = np.flatnonzero(np.isin(country.codes, codes))
    return Area(
        f"{name} ({len(codes)} countries)",
        lambda at: np.isin(country.locate(at, COAST_KM), rows),
        np.array([]),
        codes,
    )


def _region(rows: list[int]) -> Area:
    region, country = embedded_boundaries().region, embedded_boundaries().country
    name = f"{region.names[rows[0]]}, {country.names[region.parent[rows[0]]]}"
    return Area(
        name,
        lambda at: np.isin(region.locate(at, COAST_KM), rows),
        region.polygons[rows],
        is_region=True,
    )


def _town(row: int) -> Area:
    gazetteer = towns()
    lat, lon = map(float, gazetteer.points.latlon[row])
    reach = _KM_PER_ROOT_OF_PEOPLE * float(gazetteer.population[row]) ** 0.5
    radius_km = round(min(max(reach, _TOWN_KM[0]), _TOWN_KM[1]))
    title = town_title(row)
    return replace(circle(title, lat, lon, radius_km), name=f"within {radius_km} km of {title}")


def town_title(town: int) -> str:
    """Return name, region and country of a town."""
    gazetteer, borders = towns(), embedded_boundaries()
    units = borders.locate(gazetteer.points.latlon[town : town + 1], COAST_KM)[0]
    region = borders.region.names[units[1]] if units[1] >= 0 else ""
    country = borders.country.names[countries_by_name()[gazetteer.country[town].casefold()]]
    parts = dict.fromkeys([gazetteer.name[town].as_py(), region, country])
    return ", ".join(str(part) for part in parts if part)


def _only_region(text: str, rows: list[int]) -> Area:
    """Return the region of a name without a country.

    Raises:
        ConstraintError: regions of several countries have the name.
    """
    region, country = embedded_boundaries().region, embedded_boundaries().country
    titled = [row for row in rows if fold(region.names[row]) == fold(text)] or rows
    homes = sorted({int(region.parent[row]) for row in titled})
    if len(homes) > 1:
        options = " or ".join(f'"{text}, {country.names[home]}"' for home in homes[:4])
        raise ConstraintError(f"{text}: a region of {len(homes)} countries; give {options}")
    return _region(titled)


def _only_town(text: str, rows: list[int]) -> Area:
    """Return the surroundings of the town that a name means.

    Raises:
        ConstraintError: several towns of similar size have the name.
    """
    people = towns().population[rows]
    if len(rows) == 1 or people[0] > _LARGEST * people[1]:
        return _town(rows[0])
    options = " or ".join(dict.fromkeys(f'"{town_title(row)}"' for row in rows[:4]))
    raise ConstraintError(f"{text}: {len(rows)} towns have this name; give {options}")


def _inside(text: str) -> Area:
    """Return the region or town in a country or region: "Bavaria, Germany", "Paris, Texas, USA".

    Raises:
        ConstraintError: an unknown name, or several towns of similar size.
    """
    country, region = embedded_boundaries().country, embedded_boundaries().region
    whole, _, end = text.rpartition(",")
    land = countries_by_name().get(fold(end), -1)
    named_so = [*regions_by_name().get(fold(whole), ()), *regions_by_code(fold(whole))]
    if rows := [row for row in named_so if region.parent[row] == land]:
        return _region([row for row in rows if region.names[row] == region.names[rows[0]]])
    first, _, last = text.partition(",")
    home, around = countries_by_name().get(fold(last), -1), _regions_named(last)
    found = find_towns(first)
    units = embedded_boundaries().locate(towns().points.latlon[found].reshape(-1, 2), COAST_KM)
    inside = [
        row
        for row, (nation, part, _) in zip(found, units.tolist(), strict=True)
        if nation == home != -1 or part in around
    ]
    if inside:
        return _only_town(text, inside)
    if home < 0 and not around:
        word = last.rpartition(",")[0] if land >= 0 else end
        raise _unknown(f'"{word.strip()}" is no country or region', word)
    where = str(country.names[home]) if home >= 0 else last.strip()
    problem = f"{text}: {where} has no such region or town"
    raise _unknown(problem, first, list(region.names[region.parent == home]))


def _regions_named(text: str) -> set[int]:
    """Return the regions that "Texas", "TX" or "Texas, USA" mean."""
    first, _, last = text.partition(",")
    key = fold(first)
    rows = {*regions_by_name().get(key, ()), *regions_by_code(key)}
    if last.strip():
        home = countries_by_name().get(fold(last), -1)
        rows = {row for row in rows if embedded_boundaries().region.parent[row] == home}
    return rows


def _unknown(problem: str, word: str, names: list[str] | None = None) -> ConstraintError:
    """Return an error that suggests the names that contain the word or are spelt alike.

    Args:
        problem: the beginning of the message.
        word: what was given.
        names: to choose from; None for all countries, groups, regions and larger towns.
    """
    key = fold(word)
    by_fold = _suggestions() if names is None else {fold(name): name for name in names}
    cutoff = 0.8 if names is None else 0.7
    close = _containing(key, by_fold) or difflib.get_close_matches(key, by_fold, 4, cutoff)
    meant = " or ".join(list(dict.fromkeys(by_fold[name] for name in close))[:6])
    return ConstraintError(f"{problem}; " + (f"did you mean {meant}?" if meant else FORMS))


def _containing(key: str, names: Iterable[str]) -> list[str]:
    """Return the names that contain a folded word of more than three letters."""
    whole = re.compile(rf"\b{re.escape(key)}\b")
    return [name for name in names if len(key) > 3 and whole.search(fold(name))]


def _countries_and_groups() -> list[str]:
    """Return the English names of countries and groups."""
    return [*embedded_boundaries().country.names, *(name for name, _ in groups().values())]


@cache
def _suggestions() -> dict[str, str]:
    """Return the names to suggest by folded names, those of countries last, as they win."""
    country, region = embedded_boundaries().country, embedded_boundaries().region
    found = {name: name.title() for name in town_names(_SUGGESTED_TOWN)}
    found |= {name: str(region.names[rows[0]]) for name, rows in regions_by_name().items()}
    found |= {name: groups()[code][0] for name, code in groups_by_name().items()}
    return found | {name: str(country.names[row]) for name, row in countries_by_name().items()}
