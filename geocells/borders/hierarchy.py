"""The hierarchy of administrative units: countries, regions, districts.

Only the finest level holds polygons; a coarser unit is the union of its members, so that the levels
are always consistent. Country codes follow ISO 3166-1 alpha-2; XK is Kosovo.

In disputed territories the embedded borders follow the lines of control of Natural Earth with the
codes of GeoNames: Taiwan is TW, Kosovo XK, Western Sahara EH, Palestine PS, Crimea UA, Northern
Cyprus and the British bases there CY, Somaliland SO, Siachen IN, Baikonur KZ. The Spratly reefs
have no code and no polygon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.csv as csv
import shapely

from geocells.borders.stored import StoredPolygons
from geocells.columns import objects, read_parquet
from geocells.derived import Arrays, derived
from geocells.polygon_index import PolygonIndex
from geocells.polygons import dissolve
from geocells.types import GeometryArray, Int32Array, StrArray

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, eq=False)
class AdminLevel:
    """The units of one administrative level, for example all first-level regions of the world."""

    codes: StrArray
    """(U,) unique codes; for countries, ISO 3166-1 alpha-2."""
    names: StrArray
    """(U,) names, in English where Natural Earth or GeoNames has an English name."""
    parent: Int32Array
    """(U,) row in the level above; -1 at the top."""
    source: GeometryArray | StoredPolygons | AdminLevel
    """Polygons (U,) of the units, or the finer level that the units are unions of."""

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def polygons(self) -> GeometryArray:
        """(U,) valid shapely polygons in lon/lat, split at the antimeridian."""
        if isinstance(self.source, AdminLevel):
            return dissolve(self.source.polygons, self.source.parent, len(self))
        return self.source.polygons if isinstance(self.source, StoredPolygons) else self.source

    def locate(self, latlon: npt.ArrayLike, max_km: float = np.inf) -> Int32Array:
        """Return the unit of each coordinate.

        Args:
            latlon: (N, 2) degrees.
            max_km: largest distance to the nearest unit for coordinates outside all units.

        Returns:
            (N,) int32: the unit that covers the coordinate, else the nearest one on the sphere
            within `max_km`, else -1.
        """
        if isinstance(self.source, AdminLevel):
            return lift(self.source.locate(latlon, max_km), self.source.parent)
        return self.index.locate(latlon, max_km)

    @cached_property
    def index(self) -> PolygonIndex:
        """Spatial index over the polygons."""
        if isinstance(self.source, StoredPolygons):
            return self.source.index
        return PolygonIndex(self.polygons)


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Administrative levels, countries first; the last level holds the polygons."""

    levels: tuple[AdminLevel, ...]

    @property
    def country(self) -> AdminLevel:
        """The top level."""
        return self.levels[0]

    @property
    def region(self) -> AdminLevel:
        """The second level, of regions; the countries if there is no other level."""
        return self.levels[min(1, len(self.levels) - 1)]

    @property
    def finest(self) -> AdminLevel:
        """The last level."""
        return self.levels[-1]

    def locate(self, latlon: npt.ArrayLike, max_km: float = np.inf) -> Int32Array:
        """Return the units on all levels (N, L) of coordinates (N, 2); -1 beyond `max_km`."""
        return self.ancestors(self.finest.locate(latlon, max_km))

    def ancestors(self, finest: Int32Array) -> Int32Array:
        """Return rows on all levels (N, L) of rows (N,) of the finest level."""
        rows = [finest]
        for level in reversed(self.levels[1:]):
            rows.append(lift(rows[-1], level.parent))
        return np.stack(rows[::-1], axis=-1)


def lift(rows: Int32Array, parent: Int32Array) -> Int32Array:
    """Return the rows of the parents of rows; -1 stays -1."""
    above: Int32Array = np.append(parent, np.int32(-1))[rows]
    return above


def hierarchy(
    country: npt.ArrayLike,
    names: Sequence[npt.ArrayLike],
    codes: Sequence[npt.ArrayLike],
    polygons: GeometryArray,
) -> Boundaries:
    """Build a hierarchy from a table of the finest units.

    Args:
        country: (U,) ISO codes.
        names: (U,) names for each level below the country, coarse to fine.
        codes: (U,) codes for the same levels; rows with equal codes belong to one unit.
        polygons: (U,) polygons; those of rows with the same finest code are united.

    Returns:
        Countries and the given levels, each sorted by code.
    """
    labels = [np.asarray(column, dtype=object) for column in (country, *codes)]
    titles = [country_names(labels[0]), *(np.asarray(column, dtype=object) for column in names)]
    # a unit is identified by its path from the country, so that it has exactly one parent
    paths = [labels[0]]
    for label in labels[1:]:
        paths.append(paths[-1] + "\x1f" + label)
    firsts, rows = zip(
        *(np.unique(path, return_index=True, return_inverse=True)[1:] for path in paths),
        strict=True,
    )
    source: GeometryArray | AdminLevel = dissolve(polygons, rows[-1], len(firsts[-1]))
    levels: list[AdminLevel] = []
    for depth in reversed(range(len(paths))):
        first = firsts[depth]
        parent = rows[depth - 1][first] if depth else np.full(len(first), -1)
        level = AdminLevel(
            labels[depth][first], titles[depth][first], parent.astype(np.int32), source
        )
        levels.insert(0, level)
        source = level
    return Boundaries(tuple(levels))


@cache
def country_table() -> dict[str, tuple[str, str, str]]:
    """Return alpha-3 code, English name and driving side ("left", "right") by alpha-2 code."""
    options = csv.ConvertOptions(strings_can_be_null=False)  # "NA" is the code of Namibia
    table = csv.read_csv(DATA / "countries.csv", convert_options=options)
    columns = [table[name].to_pylist() for name in ("iso2", "iso3", "name", "drive_side")]
    return {code: (iso3, name, side) for code, iso3, name, side in zip(*columns, strict=True)}


def country_names(codes: npt.ArrayLike) -> StrArray:
    """Return English names of ISO alpha-2 codes; an unknown code is returned unchanged."""
    table = country_table()
    array = np.asarray(codes, dtype=object)
    return np.array([table[c][1] if c in table else c for c in array] + [None], object)[:-1]


@cache
def country_continents() -> dict[str, str]:
    """Return the continent, one of seven, by ISO alpha-2 code.

    Each country has one continent, that of Natural Earth: Russia is in Europe, Türkiye in Asia.
    """
    options = csv.ConvertOptions(strings_can_be_null=False)
    table = csv.read_csv(DATA / "countries.csv", convert_options=options)
    return dict(zip(table["iso2"].to_pylist(), table["continent"].to_pylist(), strict=True))


@cache
def outline() -> GeometryArray:
    """Return (C,) lon/lat polygons of countries, simplified to 0.1 degrees for drawing."""
    shapes: GeometryArray = shapely.from_wkb(
        objects(read_parquet(DATA / "outline.parquet")["geometry"])
    )
    return shapes


@cache
def embedded_boundaries() -> Boundaries:
    """Return the embedded Natural Earth borders: countries, regions, districts."""
    files = DATA / "regions.parquet", DATA / "countries.csv"
    arrays = derived("borders 1", files, partial(_read_embedded, files[0]))
    stored = StoredPolygons(*arrays[:_STORED])
    columns = iter(arrays[_STORED:])
    levels: list[AdminLevel] = []
    for codes, names, parent in zip(columns, columns, columns, strict=True):  # fine to coarse
        source: AdminLevel | StoredPolygons = levels[0] if levels else stored
        levels.insert(0, AdminLevel(codes.astype(object), names.astype(object), parent, source))
    return Boundaries(tuple(levels))


_STORED = len(fields(StoredPolygons))


def _read_embedded(file: Path) -> Arrays:
    """Return the fields of `StoredPolygons`, then codes, names and parents, fine to coarse."""
    table = read_parquet(file)
    column = {name: objects(table[name]) for name in table.column_names}
    borders = hierarchy(
        column["country"],
        [column["region"], column["name"]],
        [column["region_code"], column["code"]],
        shapely.from_wkb(column["geometry"]),
    )
    arrays = [*StoredPolygons.of(borders.finest.polygons).arrays]
    for level in reversed(borders.levels):
        arrays += [level.codes.astype(np.str_), level.names.astype(np.str_), level.parent]
    return tuple(arrays)
