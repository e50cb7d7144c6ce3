"""Clues of place names: each alone, and names of one area together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from geocells.borders.hierarchy import embedded_boundaries
from geocells.places import describe, towns
from geocells.sphere import haversine_km
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text import place_names
from geoloc.belief.witnesses.text.clue import Clue, Spot
from geoloc.belief.witnesses.text.place_names import Name
from geoloc.belief.witnesses.text.speakers import and_more, name_countries

TOGETHER_KM = 60.0
"""Two names of towns so near to each other support each other."""

ATLAS_NAMES, ATLAS_KM = 8, 400.0
"""So many towns, so far apart in the median, stand on maps, in lists and on departure boards."""

MOST_CLUES = 6


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return the clues of the names in a photo, the most telling first."""
    names = place_names.find(lines)
    if _is_atlas(names):
        shown = and_more([name.text for name in names])
        told = (
            f"names of {len(names)} places far apart ({shown}): a map, a list or a screen; not used"
        )
        return [Clue("map or list", names[0].line, lines[names[0].line].text, told, used=False)]
    pairs = [clue for a, b in combinations(names[:24], 2) if (clue := _together(a, b)) is not None]
    pairs = sorted(pairs, key=lambda clue: len(clue.spots))[:2]
    within = {word for clue in pairs for word in clue.reading.split(" + ")}
    alone = [_alone(name) for name in names if name.text not in within]
    return [*pairs, *alone][:MOST_CLUES]


def _is_atlas(names: Sequence[Name]) -> bool:
    own = [name.spots[0] for name in names if name.spots]
    if len(own) < ATLAS_NAMES:
        return False
    points = np.array([[spot.lat, spot.lon] for spot in own])
    km = haversine_km(points[:, None], points[None])
    return bool(np.median(km[np.triu_indices(len(own), 1)]) > ATLAS_KM)


def _alone(name: Name) -> Clue:
    if name.countries:
        rates = dict.fromkeys(name.countries, 1.0)
        meaning = f"names {name_countries(rates)}"
        return Clue(name.kind, name.line, name.text, meaning, rates)
    if name.regions:
        countries = dict.fromkeys((country for country, _ in name.regions), 1.0)
        meaning = f"names {name.regions[0][1]} in {name_countries(countries)}"
        return Clue(name.kind, name.line, name.text, meaning, regions=name.regions)
    meaning = f"names {_place(name.towns[0])}"
    if name.kind in ("street name", "business name"):
        meaning += f", but in a {name.kind.split(' ')[0]} name, which may be that of a far place"
    elif len(name.towns) > 1:
        meaning += f", or one of {len(name.towns) - 1} smaller places of this name"
    return Clue(name.kind, name.line, name.text, meaning, spots=name.spots)


def _together(one: Name, other: Name) -> Clue | None:
    """Return the clue of two names of one area; None for names that are far apart."""
    if not one.spots:
        one, other = other, one
    if not one.spots or one.text.casefold() == other.text.casefold():
        return None
    kept, near = [], ""
    for spot, row in zip(one.spots, one.towns, strict=True):
        if _supported(spot, row, other):
            kept.append(Spot(spot.lat, spot.lon, spot.scale_km, spot.rate))
            near = near or _place(row)
    if not kept:
        return None
    meaning = f"two names that belong together at {near}"
    reading = f"{one.text} + {other.text}"
    return Clue("names together", one.line, reading, meaning, spots=tuple(kept))


def _supported(spot: Spot, row: int, other: Name) -> bool:
    """Return whether a town lies in the country or region, or near the towns, of another name."""
    country = str(towns().country[row])
    if other.countries:
        return country in other.countries
    if other.regions:
        if country not in {code for code, _ in other.regions}:
            return False
        borders = embedded_boundaries()
        unit = borders.locate(np.array([[spot.lat, spot.lon]]), max_km=50.0)[0]
        return (country, str(borders.region.names[unit[1]])) in other.regions
    here = np.array([spot.lat, spot.lon])
    km = haversine_km(here, np.array([[s.lat, s.lon] for s in other.spots]))
    return bool(np.min(km) <= TOGETHER_KM and row not in other.towns)


def _place(row: int) -> str:
    """Return a town, its region and its country: "Évora (Évora, Portugal)"."""
    table = describe(towns().points.latlon[[row]]).to_pylist()[0]
    name = towns().name[row].as_py()
    return f"{name} ({', '.join(filter(None, (table['region'], table['country'])))})"
