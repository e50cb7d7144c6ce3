"""The one check for tables whose columns of latitude and longitude are swapped."""

from __future__ import annotations

from os import PathLike

import numpy as np
import pyarrow as pa

from geocells.attributes import is_land
from geocells.borders.hierarchy import embedded_boundaries
from geocells.names import find_countries
from geocells.places import towns
from geoloc.errors import TableError
from geoloc.photos.columns import column, read_degrees, to_texts
from geoloc.photos.coordinate_columns import are_answers
from geoloc.photos.position import on_earth
from geoloc.types import Float64Array, Int32Array

MIN_ROWS_TO_JUDGE = 100
"""Minimum number of coordinates: fewer may all lie on one coast, half of them at sea."""

_MAX_BEYOND_POLES = 0.02
_MIN_ON_LAND = 0.5
_MIN_ON_LAND_SWAPPED = 0.75

_MIN_COUNTRIES = 3
"""Minimum number of rows with a known country for the country check."""
_MIN_SAME_COUNTRY = 0.5
_COAST_KM = 10.0

_BLOCK_DEG = 0.1
_MIN_BLOCKS = 30
"""Minimum number of different places: fewer may all lie in one wilderness."""
_MOST_PLACES = 1000
"""Maximum number of places that are looked up: a larger sample would not change the result."""
_NEAR_KM = 5.0
_SHIFTS_DEG = ((0.3, 0.0), (-0.3, 0.0), (0.0, 0.3), (0.0, -0.3))
_MOST_CLUSTERING = 0.1
"""Coordinates that cluster around towns more than this are not swapped."""
_MORE_CLUSTERING = 0.05
_MORE_NEAR_TOWNS = 0.3
"""Swapped columns exceed both margins after swapping them back: clustering, share near towns."""
_MUCH_MORE_CLUSTERING = 0.2
"""A margin of clustering that is sufficient alone."""


def read_true_degrees(table: pa.Table, path: str | PathLike[str], needs: str) -> Float64Array:
    """Return the true coordinates (N, 2) of a table as they are written; see `read_degrees`.

    Raises:
        TableError: a column is missing, or latitude and longitude are swapped.
    """
    latlon = read_degrees(table, path, needs)
    refuse_swapped(table, latlon, path)
    return latlon


def refuse_swapped(table: pa.Table, latlon: Float64Array, path: str | PathLike[str]) -> None:
    """Raise a TableError if the coordinates (N, 2) of a table are swapped."""
    if look_swapped(latlon, countries_of(table)):
        raise TableError(
            f"{path}: latitude and longitude seem to be swapped: the places fit land, towns or"
            " countries only the other way round; rename the columns, or add a column country if"
            " they are right"
        )


def countries_of(table: pa.Table) -> Int32Array | None:
    """Return the countries (N,) in the column `country`, -1 for unknown; None without a column.

    Those of answers of this project are estimates, and count as unknown.
    """
    names = None if are_answers(table.column_names) else column(table, "country")
    return None if names is None else find_countries(to_texts(names, len(table)))


def look_swapped(latlon: Float64Array, country: Int32Array | None = None) -> bool:
    """Return whether the first column holds longitudes and the second latitudes.

    Copies of IM2GPS3k with swapped columns exist. The countries of the photos decide if they are
    known. Otherwise swapped columns are recognised by latitudes beyond 90 degrees or, where both
    ways are possible, by the share of coordinates on land or near towns.

    Args:
        latlon: (N, 2) degrees as written, NaN where they are missing. With fewer than
            MIN_ROWS_TO_JUDGE numbers, and without countries, the answer is False.
        country: (N,) rows of the embedded countries, -1 for unknown.
    """
    finite = np.isfinite(latlon).all(axis=1) & (latlon != 0.0).any(axis=1)
    if country is not None:
        decided = _by_country(latlon[finite], country[finite])
        if decided is not None:
            return decided
    known = latlon[finite]
    if len(known) < MIN_ROWS_TO_JUDGE or (np.abs(known[:, 1]) > 90.0).any():
        return False
    beyond = np.abs(known[:, 0]) > 90.0
    if beyond.mean() > _MAX_BEYOND_POLES:  # fewer may be typing errors
        return True
    if beyond.any() or not on_earth(known).all():
        return False
    land, land_swapped = is_land(known).mean(), is_land(known[:, ::-1]).mean()
    if land < _MIN_ON_LAND and land_swapped > _MIN_ON_LAND_SWAPPED:
        return True
    return bool(land_swapped > _MIN_ON_LAND) and _by_towns(known)


def _by_country(latlon: Float64Array, country: Int32Array) -> bool | None:
    """Return whether only swapped coordinates lie in their countries; None if that is unclear."""
    rows = np.flatnonzero(country >= 0)
    if len(rows) < _MIN_COUNTRIES:
        return None
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_PLACES)).astype(int)]
    shares = []
    for points in (latlon[rows], latlon[rows, ::-1]):
        valid = on_earth(points)
        found = np.full(len(points), -1)
        found[valid] = embedded_boundaries().country.locate(points[valid], max_km=_COAST_KM)
        shares.append(float((found == country[rows]).mean()))
    written, swapped = shares
    if max(shares) < _MIN_SAME_COUNTRY:
        return None
    return swapped > 2 * written


def _by_towns(latlon: Float64Array) -> bool:
    """Return whether only swapped coordinates (N, 2) are where people are.

    Photos are more often near towns than points some 30 km beside them, even in a wilderness: 5 to
    40 % of 300 photos in each of 24 countries, but -5 to 6 % of swapped ones.
    """
    _, first = np.unique(np.floor(latlon / _BLOCK_DEG), axis=0, return_index=True)
    if len(first) < _MIN_BLOCKS:
        return False
    chosen = first[np.linspace(0, len(first) - 1, min(len(first), _MOST_PLACES)).astype(int)]
    near, clustering = _nearness(latlon[chosen])
    if clustering > _MOST_CLUSTERING:
        return False
    near_swapped, clustering_swapped = _nearness(latlon[chosen, ::-1])
    more = clustering_swapped - clustering
    return more > _MUCH_MORE_CLUSTERING or (
        more > _MORE_CLUSTERING and near_swapped - near > _MORE_NEAR_TOWNS
    )


def _nearness(latlon: Float64Array) -> tuple[float, float]:
    """Return the share of coordinates near towns, and how much it exceeds that beside them."""
    near = _near_towns(latlon)
    beside = [_near_towns(latlon + shift) for shift in _SHIFTS_DEG]
    return near, near - float(np.mean(beside))


def _near_towns(latlon: Float64Array) -> float:
    """Return the share of coordinates (N, 2) with a town within _NEAR_KM."""
    points = np.stack(
        [np.clip(latlon[:, 0], -90.0, 90.0), (latlon[:, 1] + 180.0) % 360.0 - 180.0], axis=1
    )
    row, _ = towns().points.within(points, _NEAR_KM)
    return len(np.unique(row)) / len(points)
