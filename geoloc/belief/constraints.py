"""What a person knows about where a photo was taken, as a mask over geocells.

`parse` understands a country ("Portugal", "pt", "UK"; it comes before a region of its name); a
region ("Bavaria, Germany", or "Bavaria" where only one country has it); a box
"south,west,north,east" in degrees, across the antimeridian if west > east; a circle
"lat,lon,50km" or "lat,lon,800m"; and polygons as the path of a .geojson or .json file, as GeoJSON
text or as "POLYGON((lon lat, ...))". An edge of a polygon of more than 180 degrees of longitude
goes the short way, across the antimeridian.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from geocells.borders.hierarchy import embedded_boundaries
from geocells.polygons import repair, split_antimeridian
from geocells.sphere import KM_PER_DEG, check_latlon, destination, haversine_km
from geocells.table import CellTable
from geoloc.errors import GeolocError
from geoloc.types import (
    BoolArray,
    Float32Array,
    Float64Array,
    GeometryArray,
    IndexArray,
    Int64Array,
)

COAST_KM = 5.0
"""What lies no farther than this off a country or region, on a pier or a boat, belongs to it."""

MIN_SHARE = 1e-4
"""The least that a cell which is touched counts."""

_SLIVER = 1e-6
"""A smaller share of a polygon of both cell and area is rounding along an outline they share."""

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


class ConstraintError(GeolocError):
    """What is known about a place cannot be used."""


@dataclass(frozen=True, eq=False)
class Part:
    """One of the areas that a constraint is the union of."""

    name: str
    inside: Callable[[Float64Array], BoolArray]
    """Whether coordinates (N, 2) degrees lie in it, (N,)."""
    polygons: GeometryArray
    """Without overlaps, in lon/lat, split at the antimeridian; none for a country."""
    country: str = ""
    """ISO code of the country whose cells are meant."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """A part of the Earth a photo is known to lie in."""

    name: str
    """For people: "Portugal", "within 50 km of 48.8600, 2.3500"."""
    shape: tuple[Part, ...]

    def contains(self, latlon: npt.ArrayLike) -> BoolArray:
        """Whether coordinates (N, 2) degrees lie inside, (N,); ValueError if any is none."""
        points = check_latlon(latlon)
        inside: BoolArray = np.any([part.inside(points) for part in self.shape], axis=0)
        return inside

    def cells(self, table: CellTable) -> Float32Array:
        """Share (C,) of each cell's square degrees that lies inside: MIN_SHARE..1, else 0."""
        row, piece = self._overlaps(table.polygon)
        inside = np.bincount(row, shapely.area(piece), minlength=len(table))
        seen = np.flatnonzero(inside)
        share = np.zeros(len(table), np.float32)
        share[seen] = np.clip(inside[seen] / shapely.area(table.polygon[seen]), MIN_SHARE, 1.0)
        share[self._whole(table)] = 1.0
        return share

    def log_evidence(self, table: CellTable) -> Float32Array:
        """Log share (C,), -inf outside: an item for `posterior.add_evidence`."""
        share = self.cells(table)
        return np.where(share > 0, np.log(np.maximum(share, MIN_SHARE)), -np.inf).astype(np.float32)

    def point_in(self, table: CellTable, cell: Int64Array) -> Float64Array:
        """A point inside, (R, 2) degrees, for each of the touched cells (R,).

        It is the cell's centroid if that lies inside, else in the largest piece of the cell inside.

        Raises:
            ValueError: a cell is not touched.
        """
        points: Float64Array = table.centroids[cell]
        astray = np.flatnonzero(~self.contains(points))
        best, whole = table.polygon[cell[astray]], self._whole(table)[cell[astray]]
        row, piece = self._overlaps(best)
        if not np.isin(np.flatnonzero(~whole), row).all():
            raise ValueError(f"{self.name}: asked for a point in a cell that lies outside")
        row, piece = row[~whole[row]], piece[~whole[row]]
        order = np.argsort(shapely.area(piece), kind="stable")
        best[row[order]] = piece[order]  # the largest piece of a cell is the last one written
        points[astray] = shapely.get_coordinates(shapely.point_on_surface(best))[:, ::-1]
        return points

    def _whole(self, table: CellTable) -> BoolArray:
        return np.isin(table.country, [part.country for part in self.shape if part.country])

    @cached_property
    def _outline(self) -> GeometryArray:
        given = np.concatenate([part.polygons for part in self.shape])
        united = given if len(self.shape) == 1 else shapely.union_all(given)
        parts: GeometryArray = shapely.get_parts(united)
        shapely.prepare(parts)
        return parts

    def _overlaps(self, polygons: GeometryArray) -> tuple[IndexArray, GeometryArray]:
        """The pieces (P,) of polygons that are inside, and whose (P,) they are; rows may repeat."""
        parts, owner = shapely.get_parts(polygons, return_index=True)
        mine, theirs = shapely.STRtree(parts).query(self._outline, predicate="intersects")
        outline, piece = self._outline[mine], parts[theirs]
        cut = np.flatnonzero(~shapely.covers(outline, piece))
        piece[cut] = shapely.intersection(outline[cut], piece[cut])
        kept = shapely.area(piece) > _SLIVER * shapely.area([outline, parts[theirs]]).min(axis=0)
        return owner[theirs[kept]], piece[kept]


def require(constraint: Constraint, table: CellTable) -> Float32Array:
    """The constraint's log evidence (C,); ConstraintError if it touches no cell of the table."""
    evidence = constraint.log_evidence(table)
    if np.isneginf(evidence).all():
        raise ConstraintError(
            f"{constraint.name}: no geocell of this bundle lies there; give a larger area"
        )
    return evidence


def parse(text: str | Sequence[str]) -> Constraint:
    """What a text of the forms above, or the union of several, says; ConstraintError if nothing."""
    parts = tuple(_part(one.strip()) for one in ([text] if isinstance(text, str) else text))
    if not parts:
        raise ConstraintError(f"no place given; {_FORMS}")
    return Constraint(" or ".join(part.name for part in parts), parts)


def _part(text: str) -> Part:
    if re.match(r"\{|(multi)?polygon\b", text, re.IGNORECASE):
        return _drawn("the area drawn", text)
    if text.lower().endswith((".geojson", ".json")):
        try:
            return _drawn(text, Path(text).read_text("utf-8-sig"))
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


def _drawn(name: str, text: str) -> Part:
    try:
        if text.lstrip().startswith("{"):
            json.loads(text)  # raises where nesting without end would crash GEOS
            drawn = shapely.from_geojson(text)
        else:
            drawn = shapely.from_wkt(text)
    except (shapely.errors.ShapelyError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConstraintError(f"{name}: not readable ({reason}); give closed polygons") from error
    if not (np.abs(shapely.get_coordinates(drawn)) <= (360.0, 90.0)).all():
        raise ConstraintError(f"{name}: a corner is out of range; give lon, lat in degrees")
    polygon = shapely.union_all(split_antimeridian(repair(shapely.get_parts(drawn))))
    if polygon.is_empty:
        raise ConstraintError(f"{name}: holds no area; give a Polygon or a MultiPolygon")
    return _area(name, polygon)


def _area(name: str, polygon: shapely.Geometry) -> Part:
    def inside(latlon: Float64Array) -> BoolArray:
        lat, lon = latlon.T
        turned = np.where(np.abs(lon) == 180.0, -lon, lon)  # both sides end at the antimeridian
        found: BoolArray = shapely.intersects_xy(polygon, np.stack([lon, turned]), lat).any(axis=0)
        return found

    shapely.prepare(polygon)
    return Part(name, inside, np.array([polygon]))


def _box(text: str, south: float, west: float, north: float, east: float) -> Part:
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    polygon = shapely.union_all([shapely.box(w, south, e, north) for w, e in spans if w < e])
    good = -90.0 <= south < north <= 90.0 and abs(west) <= 180.0 >= abs(east)
    if polygon.is_empty or not good:
        raise ConstraintError(
            f'{text}: not a box; write "south,west,north,east", south below north, {_RANGES}'
        )
    return _area(f"the box {south:g}, {west:g} to {north:g}, {east:g}", polygon)


def _circle(text: str, lat: float, lon: float, radius_km: float) -> Part:
    reach = radius_km / KM_PER_DEG
    if abs(lat) > 90.0 or abs(lon) > 180.0 or not 0.0 < reach < 180.0:
        raise ConstraintError(
            f'{text}: not a circle; write "lat,lon,50km", {_RANGES}, a radius in 0..20015 km'
        )
    # the eastern half of the rim from north to south, the poles inside, and the mirror image
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
    return Part(name, lambda at: haversine_km(at, (lat, lon)) <= radius_km, outline)


def _named(text: str) -> Part:
    country, region = embedded_boundaries().country, embedded_boundaries().region
    countries, regions = _rows_by_name()
    row = countries.get(_fold(text))
    if row is not None:
        name, code = country.names[row], country.codes[row]
        return Part(name, lambda at: country.locate(at, COAST_KM) == row, np.array([]), code)
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
    return Part(name, lambda at: np.isin(region.locate(at, COAST_KM), rows), outline)


def _unknown(problem: str, word: str, names: list[str]) -> ConstraintError:
    """Says which of the names hold the word, or are spelt alike."""
    by_fold, key = {_fold(name): name for name in names}, _fold(word)
    close = difflib.get_close_matches(key, by_fold, 4, 0.7)
    close += [name for name in by_fold if len(key) > 3 and key in name and name not in close][:4]
    meant = " or ".join(by_fold[name] for name in close)
    return ConstraintError(f"{problem}; " + (f"did you mean {meant}?" if meant else _FORMS))


@cache
def _rows_by_name() -> tuple[dict[str, int], dict[str, dict[int, list[int]]]]:
    """Countries by folded name, code or alias; regions by name, and rows by country of these."""
    country, region = embedded_boundaries().country, embedded_boundaries().region
    code = {_fold(code): row for row, code in enumerate(country.codes)}
    name = {_fold(name): row for row, name in enumerate(country.names)}
    regions: dict[str, dict[int, list[int]]] = {}
    for row, (title, parent) in enumerate(zip(region.names, region.parent, strict=True)):
        regions.setdefault(_fold(title), {}).setdefault(int(parent), []).append(row)
    return code | name | {alias: code[iso.lower()] for alias, iso in _ALIASES.items()}, regions


def _fold(name: str) -> str:
    """Lower case, without accents, punctuation and a leading article."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return re.sub(r"\bst (?=\w)", "saint ", " ".join(kept.split())).removeprefix("the ")
