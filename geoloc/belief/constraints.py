"""Constraints on the location of photos (`--within`): from text to areas.

`parse` accepts

- a country: "Portugal", "pt", "UK"; it takes precedence over a region of the same name;
- a region: "Bavaria, Germany", or "Bavaria" where only one country has it;
- a box "south,west,north,east" in degrees, across the antimeridian if west > east;
- a circle "lat,lon,50km" or "lat,lon,800m";
- polygons: the path of a .geojson or .json file, GeoJSON text, or "POLYGON((lon lat, ...))". An
  edge that spans more than 180 degrees of longitude crosses the antimeridian.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import shapely

from geocells.borders.hierarchy import embedded_boundaries
from geocells.polygons import repair, split_antimeridian
from geocells.sphere import KM_PER_DEG, destination, haversine_km
from geoloc.belief.areas import Area, Constraint
from geoloc.errors import ConstraintError as ConstraintError
from geoloc.types import (
    BoolArray,
    Float64Array,
)

COAST_KM = 5.0
"""Points no farther than this off a country or region, such as piers and boats, belong to it."""

_FORMS = 'give "Portugal", "Bavaria, Germany", "48.86,2.35,50km", "south,west,north,east" or a file'
_RANGES = "latitudes in -90..90 and longitudes in -180..180 degrees"

_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*"
_CIRCLE = re.compile(f"{_NUMBER},{_NUMBER},{_NUMBER}(km|m)", re.IGNORECASE)
_BOX = re.compile(",".join([_NUMBER] * 4))

_ALIASES = {
    "united states of america": "US", "usa": "US", "uk": "GB", "britain": "GB", "uae": "AE",
    "great britain": "GB", "korea": "KR", "czech republic": "CZ", "ivory coast": "CI",
    "holland": "NL", "burma": "MM", "turkiye": "TR", "russian federation": "RU", "bosnia": "BA",
    "macedonia": "MK", "swaziland": "SZ", "cabo verde": "CV", "east timor": "TL", "drc": "CD",
    "dr congo": "CD", "congo brazzaville": "CG", "vatican": "VA", "republic of ireland": "IE",
}  # fmt: skip

_LETTERS = {**str.maketrans("øłđðıə", "olddie", ".'’‘ʻʼ`´"), ord("æ"): "ae", ord("&"): " and "}


def parse(text: str | Sequence[str]) -> Constraint:
    """Parse a constraint in one of the forms above, or the union of several.

    Raises:
        ConstraintError: a text is in none of the forms, names no known place, or holds no area.
    """
    areas = tuple(_parse_one(one.strip()) for one in ([text] if isinstance(text, str) else text))
    if not areas:
        raise ConstraintError(f"no place given; {_FORMS}")
    return Constraint(" or ".join(area.name for area in areas), areas)


def _parse_one(text: str) -> Area:
    if re.match(r"\{|(multi)?polygon\b", text, re.IGNORECASE):
        return _polygons("the area drawn", text)
    if text.lower().endswith((".geojson", ".json")):
        try:
            return _polygons(text, Path(text).read_text("utf-8-sig"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConstraintError(f"{text}: {reason}; give a GeoJSON file of polygons") from error
    text = " ".join(text.replace("−", "-").split())[:200]
    if match := _CIRCLE.fullmatch(text):
        unit_km = 1.0 if match[4].lower() == "km" else 1e-3
        return _circle(text, float(match[1]), float(match[2]), float(match[3]) * unit_km)
    if match := _BOX.fullmatch(text):
        return _box(text, *map(float, match.groups()))
    if re.match(_NUMBER, text):
        raise ConstraintError(f'{text}: write a box "south,west,north,east" or "lat,lon,50km"')
    return _named(text)


def _polygons(name: str, text: str) -> Area:
    """Parse GeoJSON or well-known text."""
    try:
        if text.lstrip().startswith("{"):
            json.loads(text)  # raises RecursionError where deep nesting would crash GEOS
            geometry = shapely.from_geojson(text)
        else:
            geometry = shapely.from_wkt(text)
    except (shapely.errors.ShapelyError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConstraintError(f"{name}: not readable ({reason}); give closed polygons") from error
    if not (np.abs(shapely.get_coordinates(geometry)) <= (360.0, 90.0)).all():
        raise ConstraintError(f"{name}: a corner is out of range; give lon, lat in degrees")
    polygon = shapely.union_all(split_antimeridian(repair(shapely.get_parts(geometry))))
    if polygon.is_empty:
        raise ConstraintError(f"{name}: holds no area; give a Polygon or a MultiPolygon")
    return _area(name, polygon)


def _area(name: str, polygon: shapely.Geometry) -> Area:
    """Return the area of a polygon in lon/lat."""

    def inside(latlon: Float64Array) -> BoolArray:
        lat, lon = latlon.T
        turned = np.where(np.abs(lon) == 180.0, -lon, lon)  # both sides end at the antimeridian
        found: BoolArray = shapely.intersects_xy(polygon, np.stack([lon, turned]), lat).any(axis=0)
        return found

    shapely.prepare(polygon)
    return Area(name, inside, np.array([polygon]))


def _box(text: str, south: float, west: float, north: float, east: float) -> Area:
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    polygon = shapely.union_all([shapely.box(w, south, e, north) for w, e in spans if w < e])
    good = -90.0 <= south < north <= 90.0 and abs(west) <= 180.0 >= abs(east)
    if polygon.is_empty or not good:
        raise ConstraintError(
            f'{text}: not a box; write "south,west,north,east", south below north, {_RANGES}'
        )
    return _area(f"the box {south:g}, {west:g} to {north:g}, {east:g}", polygon)


def _circle(text: str, lat: float, lon: float, radius_km: float) -> Area:
    reach = radius_km / KM_PER_DEG
    if abs(lat) > 90.0 or abs(lon) > 180.0 or not 0.0 < reach < 180.0:
        raise ConstraintError(
            f'{text}: not a circle; write "lat,lon,50km", {_RANGES}, a radius in 0..20015 km'
        )
    # the eastern half of the rim from north to south, any pole inside, and the mirror image
    off_pole = np.clip(lat, -89.999999, 89.999999)  # by 0.1 m: at a pole no bearing is defined
    rim = destination((off_pole, 0.0), np.linspace(0.0, 180.0, 721), radius_km)
    rim[:, 1] = np.abs(rim[:, 1])
    if lat + reach >= 90.0:
        rim = np.insert(rim, 0, (90.0, 180.0), axis=0)
    if lat - reach <= -90.0:
        rim = np.append(rim, [(-90.0, 180.0)], axis=0)
    ring = np.concatenate([rim, (rim * (1.0, -1.0))[::-1]])[:, ::-1] + (lon, 0.0)
    outline = split_antimeridian(repair(np.array([shapely.Polygon(ring)])))
    name = f"within {radius_km:g} km of {lat:.4f}, {lon:.4f}"
    return Area(name, lambda at: haversine_km(at, (lat, lon)) <= radius_km, outline)


def _named(text: str) -> Area:
    """Look up a country or region by name."""
    country, region = embedded_boundaries().country, embedded_boundaries().region
    countries, regions = _rows_by_name()
    row = countries.get(_fold(text))
    if row is not None:
        name, code = country.names[row], country.codes[row]
        return Area(name, lambda at: country.locate(at, COAST_KM) == row, np.array([]), code)
    homes = regions.get(_fold(text), {})
    if len(homes) > 1:
        options = " or ".join(f'"{text}, {country.names[home]}"' for home in homes)
        raise ConstraintError(f"{text}: a region of {len(homes)} countries; give {options}")
    first, _, last = text.rpartition(",")
    home = next(iter(homes), countries.get(_fold(last)))
    if home is None:
        problem = f'"{last.strip()}" is ' + ("no country" if first else "no country or region")
        raise _unknown(problem, last, [*country.names, *([] if first else region.names)])
    rows = (homes or regions.get(_fold(first), {})).get(home)
    if rows is None:
        problem = f"{text}: {country.names[home]} has no such region"
        raise _unknown(problem, first, list(region.names[region.parent == home]))
    name = f"{region.names[rows[0]]}, {country.names[home]}"
    outline = region.polygons[rows]
    return Area(name, lambda at: np.isin(region.locate(at, COAST_KM), rows), outline)


def _unknown(problem: str, word: str, names: list[str]) -> ConstraintError:
    """Return an error that suggests the names that contain the word or are spelt alike."""
    by_fold, key = {_fold(name): name for name in names}, _fold(word)
    close = difflib.get_close_matches(key, by_fold, 4, 0.7)
    close += [name for name in by_fold if len(key) > 3 and key in name and name not in close][:4]
    meant = " or ".join(by_fold[name] for name in close)
    return ConstraintError(f"{problem}; " + (f"did you mean {meant}?" if meant else _FORMS))


@cache
def _rows_by_name() -> tuple[dict[str, int], dict[str, dict[int, list[int]]]]:
    """Return country rows by folded name, code or alias, and region rows by name and country."""
    country, region = embedded_boundaries().country, embedded_boundaries().region
    code = {_fold(code): row for row, code in enumerate(country.codes)}
    name = {_fold(name): row for row, name in enumerate(country.names)}
    regions: dict[str, dict[int, list[int]]] = {}
    for row, (title, parent) in enumerate(zip(region.names, region.parent, strict=True)):
        regions.setdefault(_fold(title), {}).setdefault(int(parent), []).append(row)
    return code | name | {alias: code[iso.lower()] for alias, iso in _ALIASES.items()}, regions


def _fold(name: str) -> str:
    """Return a name in lower case, without accents, punctuation and a leading article."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return re.sub(r"\bst (?=\w)", "saint ", " ".join(kept.split())).removeprefix("the ")
