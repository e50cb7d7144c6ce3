"""Reverse geocoding: country, region and town of coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.borders.hierarchy import DATA, Boundaries, embedded_boundaries
from geocells.columns import numbers, objects, read_parquet, to_numbers, to_strings
from geocells.derived import Arrays, derived
from geocells.neighbours import NearestPoints
from geocells.sphere import check_latlon, unit_vectors
from geocells.types import Float64Array, IndexArray, Int32Array, StrArray

OPEN_SEA_KM = 50.0
"""A coordinate farther than this from all land belongs to no country."""

_CANDIDATES = 10


@dataclass(frozen=True, eq=False)
class Towns:
    """Populated places of GeoNames: more than 500 people, or the seat of an administration."""

    name: pa.ChunkedArray
    country: StrArray
    """(T,) ISO alpha-2 codes."""
    population: Int32Array
    """(T,) people; 0 where GeoNames has no number."""
    points: NearestPoints


@cache
def towns() -> Towns:
    """Return the embedded towns (235,692); they are loaded once."""
    file = DATA / "towns.parquet"
    ends, names, codes, code, population, latlon, xyz = derived(
        "towns 1", [file], partial(_read_towns, file)
    )
    name = pa.StringArray.from_buffers(len(code), pa.py_buffer(ends), pa.py_buffer(names))
    points = NearestPoints(latlon, xyz)
    return Towns(pa.chunked_array([name]), codes.astype(object)[code], population, points)


def _read_towns(file: Path) -> Arrays:
    """Return the ends and bytes of names, country codes and the rows in them, people, positions."""
    table = read_parquet(file)
    latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=-1).astype(np.float64)
    words = [word.encode() for word in table["name"].to_pylist()]
    ends = np.cumsum([0, *map(len, words)]).astype(np.int32)
    codes, code = np.unique(objects(table["country"]).astype(np.str_), return_inverse=True)
    names, people = np.frombuffer(b"".join(words), np.uint8), numbers(table["population"])
    return ends, names, codes, code.astype(np.int16), people, latlon, unit_vectors(latlon)


def describe(latlon: npt.ArrayLike, boundaries: Boundaries | None = None) -> pa.Table:
    """Return country, region and town of coordinates.

    Country and region belong to the polygon that covers the coordinate, or to the nearest polygon
    within `OPEN_SEA_KM`. The town is always one of that country: of those among the ten nearest
    towns, else of the country's ten nearest, the one with the smallest
    distance / (population + 100)^(1/5). A hamlet is therefore chosen only if it is much nearer than
    the next city.

    Args:
        latlon: (N, 2) degrees.
        boundaries: borders to use instead of the embedded ones.

    Returns:
        N rows: country_code, country, region and town (strings, all "" on the open sea; town is
        also "" in a country without towns), and town_distance_km (where no town is named, the
        distance to the nearest one).

    Raises:
        ValueError: a coordinate is not finite or out of range.
    """
    points = check_latlon(latlon)
    borders = embedded_boundaries() if boundaries is None else boundaries
    units = borders.locate(points, max_km=OPEN_SEA_KM)
    country, region = units[:, 0], units[:, min(1, units.shape[1] - 1)]
    code = np.append(borders.country.codes, "")[country]
    town, distance_km = _town(points, code)
    return pa.table(
        {
            "country_code": to_strings(code),
            "country": to_strings(np.append(borders.country.names, "")[country]),
            "region": to_strings(np.append(borders.region.names, "")[region]),
            "town": to_strings(town),
            "town_distance_km": to_numbers(distance_km, pa.float64()),
        }
    )


def _town(points: Float64Array, country: StrArray) -> tuple[StrArray, Float64Array]:
    """Return the names (N,) and distances (N,) of the towns chosen for coordinates.

    Args:
        points: (N, 2) degrees.
        country: (N,) ISO codes; "" on the open sea.
    """
    gazetteer = towns()
    distance_km, index = gazetteer.points.query(points, _CANDIDATES)
    abroad = (gazetteer.country[index] != country[:, None]).all(axis=1)
    for code in sorted(set(country[abroad].tolist())):
        own = np.flatnonzero(gazetteer.country == code)
        rows = np.flatnonzero(abroad & (country == code))
        if len(own):
            own = np.resize(own, max(len(own), _CANDIDATES))  # repeats the towns of a small country
            near = NearestPoints(gazetteer.points.latlon[own])
            distance_km[rows], nearest = near.query(points[rows], _CANDIDATES)
            index[rows] = own[nearest]
    weighted = distance_km / (gazetteer.population[index] + 100.0) ** 0.2
    own_town = gazetteer.country[index] == country[:, None]
    nameless = ~own_town.any(axis=1)
    cost = np.where(nameless[:, None], distance_km, np.where(own_town, weighted, np.inf))
    best = np.argmin(cost, axis=1)[:, None]
    chosen = np.take_along_axis(index, best, axis=1)[:, 0]
    names = _names(gazetteer, chosen)
    names[nameless] = ""
    return names, np.take_along_axis(distance_km, best, axis=1)[:, 0]


def _names(gazetteer: Towns, rows: IndexArray) -> StrArray:
    """Return the names (N,) of rows (N,)."""
    distinct, back = np.unique(rows, return_inverse=True)
    # `take` would import pyarrow.compute, which takes longer than naming one place
    name = [gazetteer.name[i].as_py() for i in distinct.tolist()]
    return np.array([*name, None], dtype=object)[back]
