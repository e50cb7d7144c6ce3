"""Attributes of coordinates: climate, elevation, population, driving side, time zone.

All functions take (N, 2) degrees of latitude and longitude and return (N,) values. Rasters are read
once, on first use; the value is that of the pixel that covers the coordinate.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.borders.hierarchy import DATA, country_table, embedded_boundaries
from geocells.columns import to_numbers, to_strings
from geocells.places import OPEN_SEA_KM, towns
from geocells.sphere import check_latlon
from geocells.types import BoolArray, Float64Array, Int64Array, StrArray

POPULATION_RADIUS_KM = 10.0

KOPPEN_CLASSES = (
    "Af Am As Aw BSh BSk BWh BWk Cfa Cfb Cfc Csa Csb Csc Cwa Cwb Cwc Dfa Dfb Dfc Dfd Dsa Dsb Dsc"
    " Dsd Dwa Dwb Dwc Dwd EF ET"
).split()
"""Classes of the Köppen-Geiger map in the order of its pixel values, which start at 1."""


def describe_earth(latlon: npt.ArrayLike) -> pa.Table:
    """Return all attributes of coordinates.

    Args:
        latlon: (N, 2) degrees.

    Returns:
        N rows: koppen, temperature_c, coldest_month_c, warmest_month_c, rain_mm, driest_month_mm,
        wettest_month_mm, elevation_m, land, population_per_km2, driving_side, time_zone.

    Raises:
        ValueError: a coordinate is not finite or out of range.
    """
    points = check_latlon(latlon)
    climate = {
        name: to_numbers(values, pa.float64()) for name, values in climatology(points).items()
    }
    return pa.table(
        {
            "koppen": to_strings(koppen(points)),
            **climate,
            "elevation_m": to_numbers(elevation_m(points), pa.float64()),
            "land": pa.array(is_land(points).tolist(), pa.bool_()),
            "population_per_km2": to_numbers(population_per_km2(points), pa.float64()),
            "driving_side": to_strings(driving_side(points)),
            "time_zone": to_strings(time_zone(points)),
        }
    )


def koppen(latlon: npt.ArrayLike) -> StrArray:
    """Return Köppen-Geiger classes such as "Cfb" (Rubel et al. 2017, 1986-2010); "" at sea."""
    value = _pixel(_koppen_map(), check_latlon(latlon))
    return np.array(["", *KOPPEN_CLASSES, ""], dtype=object)[value]


def climatology(latlon: npt.ArrayLike) -> dict[str, Float64Array]:
    """Return temperature and precipitation of ERA5, means of 2000-2025, on land and sea.

    Returns:
        (N,) each, at 0.25 degrees: temperature_c, coldest_month_c, warmest_month_c (degrees
        Celsius), rain_mm (per year), driest_month_mm and wettest_month_mm (per month).
    """
    points = check_latlon(latlon)
    grid = _grids("climate.npz")
    names = {
        "temperature_c": ("t_ann", 0.1),
        "coldest_month_c": ("t_min_month", 0.1),
        "warmest_month_c": ("t_max_month", 0.1),
        "rain_mm": ("p_ann", 1.0),
        "driest_month_mm": ("p_min_month", 1.0),
        "wettest_month_mm": ("p_max_month", 1.0),
    }
    return {name: _node(grid[key], points) * unit for name, (key, unit) in names.items()}


def elevation_m(latlon: npt.ArrayLike) -> Float64Array:
    """Return metres above sea level by ETOPO5 (5 minutes); the sea floor is cut off at -450."""
    return _node(_grids("elevation.npz")["z"], check_latlon(latlon))


def is_land(latlon: npt.ArrayLike) -> BoolArray:
    """Return whether coordinates are on land or inland water, not sea (GLOBE, 30 seconds)."""
    points = check_latlon(latlon)
    packed = _grids("land.npz")["land"].astype(np.uint8, copy=False)
    row, column = _pixel_index(points, packed.shape[0], packed.shape[1] * 8)
    shift = (7 - column % 8).astype(np.uint8)
    bits: BoolArray = (packed[row, column // 8] >> shift) & 1 == 1
    return bits


def population_per_km2(latlon: npt.ArrayLike) -> Float64Array:
    """Return people per km² in the towns within 10 km (GeoNames).

    This measures how urban a place is; it is not a census. GeoNames lists some districts of cities
    as towns of their own, whose people are then counted twice.
    """
    points = check_latlon(latlon)
    gazetteer = towns()
    row, town = gazetteer.points.within(points, POPULATION_RADIUS_KM)
    people = np.bincount(row, gazetteer.population[town], len(points))  # sums of integers: exact
    return people / (np.pi * POPULATION_RADIUS_KM**2)


def driving_side(latlon: npt.ArrayLike) -> StrArray:
    """Return the driving side, "left" or "right"; "" on the open sea and where there is none."""
    country = embedded_boundaries().country
    row = country.locate(latlon, max_km=OPEN_SEA_KM)
    return np.append(country_driving_side(country.codes), "")[row]


def country_driving_side(codes: npt.ArrayLike) -> StrArray:
    """Return the driving side (N,) of ISO alpha-2 codes (N,); "" for an unknown code."""
    table = country_table()
    names = np.asarray(codes, dtype=object)
    return np.array([table[c][2] if c in table else "" for c in names] + [None], object)[:-1]


def time_zone(latlon: npt.ArrayLike) -> StrArray:
    """Return IANA time zones such as "Europe/Paris", also at sea.

    The lookup reads the quadtree of tz-lookup: tiles of 7.5 degrees are divided into four until one
    zone fills a tile.
    """
    points = check_latlon(latlon)
    text, zones = _time_zones()
    x = 48.0 * (180.0 + points[:, 1]) / 360.00000000000006
    y = 24.0 * (90.0 - points[:, 0]) / 180.00000000000003
    column, row = np.floor(x), np.floor(y)
    value = _symbol(text, (96 * row + 2 * column).astype(np.int64))
    node = np.full(len(points), -1)
    inner = np.flatnonzero(value + len(zones) < _SYMBOLS)
    while len(inner):
        node[inner] += value[inner] + 1
        x[inner], y[inner] = 2 * (x - column)[inner] % 2, 2 * (y - row)[inner] % 2
        column[inner], row[inner] = np.floor(x[inner]), np.floor(y[inner])
        position = 8 * node + 4 * row.astype(np.int64) + 2 * column.astype(np.int64) + 2304
        value[inner] = _symbol(text, position[inner])
        inner = inner[value[inner] + len(zones) < _SYMBOLS]
    return zones[value + len(zones) - _SYMBOLS]


_SYMBOLS = 56 * 56


def _symbol(text: npt.NDArray[np.uint8], position: Int64Array) -> Int64Array:
    """Decode two characters of base 56."""
    first = text[position].astype(np.int64)
    return 56 * first + text[position + 1].astype(np.int64) - 1995


@cache
def _time_zones() -> tuple[npt.NDArray[np.uint8], StrArray]:
    stored = json.loads((DATA / "time_zones.json").read_text(encoding="utf-8"))
    tree = np.frombuffer(stored["tree"].encode("ascii"), np.uint8)
    return tree, np.array(stored["zones"], dtype=object)


@cache
def _koppen_map() -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(DATA / "koppen.png") as picture:
        return np.asarray(picture)


@cache
def _grids(name: str) -> dict[str, npt.NDArray[np.generic]]:
    with np.load(DATA / name, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def _pixel_index(points: Float64Array, rows: int, columns: int) -> tuple[Int64Array, Int64Array]:
    """Return row (from the north) and column (from -180) of the pixel that covers each point."""
    row = np.clip((90.0 - points[:, 0]) / 180.0 * rows, 0, rows - 1)
    column = np.floor((points[:, 1] + 180.0) / 360.0 * columns) % columns
    return row.astype(np.int64), column.astype(np.int64)


def _pixel(raster: npt.NDArray[np.uint8], points: Float64Array) -> npt.NDArray[np.uint8]:
    """Return the value of the pixel that covers each point."""
    row, column = _pixel_index(points, *raster.shape)
    return raster[row, column]


def _node(raster: npt.NDArray[np.generic], points: Float64Array) -> Float64Array:
    """Return the value at the nearest node of a grid that has nodes on both poles."""
    rows, columns = raster.shape
    row = np.rint((90.0 - points[:, 0]) / 180.0 * (rows - 1)).astype(np.int64)
    column = np.rint((points[:, 1] + 180.0) / 360.0 * columns).astype(np.int64) % columns
    return np.asarray(raster[row, column], np.float64)
