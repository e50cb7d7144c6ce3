"""From a coordinate to words: country, region, town."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.borders.hierarchy import DATA, Boundaries, embedded_boundaries
from geocells.columns import numbers, objects, read_parquet, to_numbers, to_strings
from geocells.neighbours import NearestPoints
from geocells.sphere import check_latlon
from geocells.types import Float64Array, Int32Array, StrArray

OPEN_SEA_KM = 50.0
"""Farther than this from any land a coordinate belongs to no country."""

_CANDIDATES = 10


@dataclass(frozen=True, eq=False)
class Towns:
    """The places of GeoNames with more than 500 people, and seats of administrations."""

    name: pa.ChunkedArray
    country: StrArray
    """(T,) ISO alpha-2 codes."""
    population: Int32Array
    """(T,) people; 0 where GeoNames does not know."""
    points: NearestPoints


@cache
def towns() -> Towns:
    """The embedded towns (235,692), loaded once."""
    table = read_parquet(DATA / "towns.parquet")
    latlon = np.stack([numbers(table["lat"]), numbers(table["lon"])], axis=-1)
    return Towns(
        table["name"],
        objects(table["country"]),
        numbers(table["population"]),
        NearestPoints(latlon.astype(np.float64)),
    )


def describe(latlon: npt.ArrayLike, boundaries: Boundaries | None = None) -> pa.Table:
    """Name the places at coordinates.

    Country and region are those of the polygon that covers the coordinate, or of the nearest one
    within `OPEN_SEA_KM`. The town is the one of the ten nearest (of the same country if there is
    one) with the smallest distance / (population + 100)^(1/5): a hamlet names a place only if it is
    clearly nearer than the city next to it.

    Args:
        latlon: (N, 2) degrees.
        boundaries: another hierarchy than the embedded one.

    Returns:
        N rows: country_code, country, region, town (strings, all "" on the open sea) and
        town_distance_km (on the open sea: to the nearest town, left unnamed).

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
    """Names (N,) and distances (N,) of the towns that stand for coordinates."""
    known = towns()
    distance_km, index = known.points.query(points, _CANDIDATES)
    farness = distance_km / (known.population[index] + 100.0) ** 0.2
    abroad = known.country[index] != country[:, None]
    at_sea = country == ""
    cost = np.where(at_sea[:, None], distance_km, farness + 1e6 * abroad)
    best = np.argmin(cost, axis=1)[:, None]
    chosen = np.take_along_axis(index, best, axis=1)[:, 0]
    once, row = np.unique(chosen, return_inverse=True)
    # `take` would import pyarrow.compute, which costs more than one answer
    names = np.array([*(known.name[i].as_py() for i in once.tolist()), None], dtype=object)[row]
    names[at_sea] = ""
    return names, np.take_along_axis(distance_km, best, axis=1)[:, 0]
