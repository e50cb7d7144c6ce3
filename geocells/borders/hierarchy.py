"""The administrative hierarchy: countries, their regions, and the districts of these.

Only the finest level holds polygons; a coarser unit is the union of its members, so that the levels
can never disagree. Country codes follow ISO 3166-1 alpha-2, and XK for Kosovo.

Where states disagree, the embedded borders follow the lines of control of Natural Earth with the
codes of GeoNames: Taiwan is TW, Kosovo XK, Western Sahara EH, Palestine PS, Crimea UA, Northern
Cyprus and the British bases there CY, Somaliland SO, Siachen IN, Baikonur KZ. The Spratly reefs
have no code and no polygon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.csv as csv
import shapely

from geocells.columns import objects, read_parquet
from geocells.polygons import PolygonIndex, dissolve
from geocells.types import GeometryArray, Int32Array, StrArray

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, eq=False)
class AdminLevel:
    """The units of one level, for example all first-level regions of the world."""

    codes: StrArray
    """(U,) unique strings; of countries the ISO 3166-1 alpha-2 code."""
    names: StrArray
    """(U,) English where Natural Earth or GeoNames has an English name."""
    parent: Int32Array
    """(U,) row in the level above; -1 at the top."""
    source: GeometryArray | AdminLevel
    """Own polygons (U,), or the finer level whose unions they are."""

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def polygons(self) -> GeometryArray:
        """(U,) valid shapely polygons in lon/lat, split at the antimeridian."""
        if isinstance(self.source, AdminLevel):
            return dissolve(self.source.polygons, self.source.parent, len(self))
        return self.source

    def locate(self, latlon: npt.ArrayLike, max_km: float = np.inf) -> Int32Array:
        """Unit of each coordinate.

        Args:
            latlon: (N, 2) degrees.
            max_km: how far off every unit a coordinate may lie, for example on the sea.

        Returns:
            (N,) int32: the covering unit, else the nearest one on the sphere, else -1.
        """
        if isinstance(self.source, AdminLevel):
            return lift(self.source.locate(latlon, max_km), self.source.parent)
        return self.index.locate(latlon, max_km)

    @cached_property
    def index(self) -> PolygonIndex:
        """Spatial index over the polygons."""
        return PolygonIndex(self.polygons)


@dataclass(frozen=True, eq=False)
class Boundaries:
    """A hierarchy of levels, countries first; the finest one holds the polygons."""

    levels: tuple[AdminLevel, ...]

    @property
    def country(self) -> AdminLevel:
        """The top level."""
        return self.levels[0]

    @property
    def region(self) -> AdminLevel:
        """First-level units of countries; the countries themselves where there is nothing finer."""
        return self.levels[min(1, len(self.levels) - 1)]

    @property
    def finest(self) -> AdminLevel:
        """The last level."""
        return self.levels[-1]

    def locate(self, latlon: npt.ArrayLike, max_km: float = np.inf) -> Int32Array:
        """Units of each coordinate on all levels: (N, 2) degrees -> (N, L) int32, -1 beyond."""
        return self.ancestors(self.finest.locate(latlon, max_km))

    def ancestors(self, finest: Int32Array) -> Int32Array:
        """Rows of units of the finest level -> (N, L) rows on all levels."""
        rows = [finest]
        for level in reversed(self.levels[1:]):
            rows.append(lift(rows[-1], level.parent))
        return np.stack(rows[::-1], axis=-1)


def lift(rows: Int32Array, parent: Int32Array) -> Int32Array:
    """Rows of the level above; -1 stays -1."""
    above: Int32Array = np.append(parent, np.int32(-1))[rows]
    return above


def hierarchy(
    country: npt.ArrayLike,
    names: Sequence[npt.ArrayLike],
    codes: Sequence[npt.ArrayLike],
    polygons: GeometryArray,
) -> Boundaries:
    """Build the levels from one row per finest unit.

    Args:
        country: (U,) ISO codes.
        names: for each level below the country, coarse to fine, (U,) names.
        codes: likewise (U,) codes; equal codes are one unit.
        polygons: (U,) polygons of the rows; rows with the same finest code are united.

    Returns:
        Countries and the given levels, each sorted by code.
    """
    labels = [np.asarray(column, dtype=object) for column in (country, *codes)]
    titles = [country_names(labels[0]), *(np.asarray(column, dtype=object) for column in names)]
    # a unit is named by its whole path, so that no unit has two parents
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
    """ISO alpha-2 code -> (alpha-3 code, English name, driving side "left" or "right")."""
    options = csv.ConvertOptions(strings_can_be_null=False)  # "NA" is Namibia
    table = csv.read_csv(DATA / "countries.csv", convert_options=options)
    columns = [table[name].to_pylist() for name in ("iso2", "iso3", "name", "drive_side")]
    return {code: (iso3, name, side) for code, iso3, name, side in zip(*columns, strict=True)}


def country_names(codes: npt.ArrayLike) -> StrArray:
    """English names of ISO alpha-2 codes; a code that is none is its own name."""
    table = country_table()
    array = np.asarray(codes, dtype=object)
    return np.array([table[c][1] if c in table else c for c in array] + [None], object)[:-1]


@cache
def country_continents() -> dict[str, str]:
    """ISO alpha-2 code -> continent, one of seven.

    A country has one, that of Natural Earth: Russia is in Europe, Türkiye in Asia.
    """
    options = csv.ConvertOptions(strings_can_be_null=False)
    table = csv.read_csv(DATA / "countries.csv", convert_options=options)
    return dict(zip(table["iso2"].to_pylist(), table["continent"].to_pylist(), strict=True))


@cache
def outline() -> GeometryArray:
    """Countries simplified to 0.1 degrees, for drawing the world; (C,) lon/lat polygons."""
    shapes: GeometryArray = shapely.from_wkb(
        objects(read_parquet(DATA / "outline.parquet")["geometry"])
    )
    return shapes


@cache
def embedded_boundaries() -> Boundaries:
    """Load the embedded Natural Earth borders: countries, regions, districts."""
    table = read_parquet(DATA / "regions.parquet")
    column = {name: objects(table[name]) for name in table.column_names}
    return hierarchy(
        column["country"],
        [column["region"], column["name"]],
        [column["region_code"], column["code"]],
        shapely.from_wkb(column["geometry"]),
    )
