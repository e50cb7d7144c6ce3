"""Points for the gallery of the world model: populated land, a region, or a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from geocells.attributes import is_land
from geocells.borders.hierarchy import embedded_boundaries
from geocells.places import towns
from geocells.sphere import KM_PER_DEG, destination, wrap_lon
from geoloc.belief.areas import Area
from geoloc.belief.constraints import parse
from geoloc.errors import ConstraintError, GeolocError
from geoloc.types import Float64Array, GeometryArray
from training.data import coordinates

POINTS = 500_000
STREET_KM = 0.1
"""Default distance between the points of a region."""

MAX_POINTS = 5_000_000
SCATTER_KM = 2.0
"""Mean distance of an additional point from its photo place or town."""

_APART_DEG = 0.002
"""Side of the squares that keep one point each."""


def everywhere(photos: Float64Array, count: int = POINTS, seed: int = 0) -> Float64Array:
    """Return points on populated land, denser where more photos are taken.

    The points are all photo places and towns, then random points on land around them. A photo
    place is drawn with weight 1, a town with the fourth root of its population in thousands.

    Args:
        photos: (P, 2) degrees of photo places.
        count: least number of points.
        seed: of the random points.

    Returns:
        (M, 2) degrees, M >= count, without near-duplicates.
    """
    rng = np.random.default_rng(seed)
    places = towns()
    sources = np.concatenate([photos, places.points.latlon])
    points = given = _thin(sources)
    weight = np.concatenate([np.ones(len(photos)), (places.population / 1000.0) ** 0.25])
    chance = np.cumsum(weight / weight.sum())
    while len(points) < count:
        draws = max(2 * (count - len(points)), 1000)
        start = sources[np.searchsorted(chance, rng.random(draws)).clip(max=len(sources) - 1)]
        bearing, away = rng.uniform(0.0, 360.0, draws), rng.exponential(SCATTER_KM, draws)
        scattered = destination(start, bearing, away)
        points = _thin(np.concatenate([points, scattered[is_land(scattered)]]))
    return points[: max(count, len(given))]


def region(text: str, step_km: float = STREET_KM) -> Float64Array:
    """Return a grid of points on land in a region.

    Args:
        text: the region, in the syntax of `geoloc.belief.constraints.parse`: "Lisbon, Portugal",
            "48.86,2.35,20km", a polygon.
        step_km: distance between neighbouring points.

    Raises:
        ConstraintError: the text is not a region.
        GeolocError: the grid has no point on land, or more than MAX_POINTS.
    """
    area = parse(text)
    if not area.areas:
        raise ConstraintError(f"{text}: names no place; give a country, a region or a circle")
    boxes = np.concatenate([shapely.bounds(_outline(part)) for part in area.areas])
    grid = np.concatenate([_band(tuple(box), step_km, text) for box in boxes.tolist()])
    inside = np.unique(grid[area.contains(grid)], axis=0)
    points = inside[is_land(inside)]
    if not len(points):
        raise GeolocError(
            f"{text}: no point of a {step_km:g} km grid lies on land there; choose a smaller step"
        )
    return points


def _outline(part: Area) -> GeometryArray:
    """Return the polygons of an area."""
    country = embedded_boundaries().country
    polygons = part.polygons
    if part.countries:
        polygons = country.polygons[np.isin(country.codes, part.countries)]
    parts: GeometryArray = shapely.get_parts(polygons)
    return parts


def _band(box: tuple[float, float, float, float], step_km: float, text: str) -> Float64Array:
    """Return points `step_km` apart in a box of parallels and meridians, row by row."""
    west, south, east, north = box
    step_deg = step_km / KM_PER_DEG
    lat = np.arange(south + step_deg / 2.0, north, step_deg)
    widths = step_deg / np.cos(np.radians(np.clip(lat, -89.0, 89.0)))
    counts = np.maximum(1, ((east - west) / widths).astype(np.int64))
    if counts.sum() > 4 * MAX_POINTS:
        raise GeolocError(
            f"{text}: more than {MAX_POINTS:,} points of a {step_km:g} km grid; choose a smaller"
            " region or a coarser grid"
        )
    column = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    lon = west + (column + 0.5) * np.repeat((east - west) / counts, counts)
    return np.stack([np.repeat(lat, counts), wrap_lon(lon)], axis=1)


def from_table(path: Path) -> tuple[Float64Array, list[str]]:
    """Read the points of a CSV or Parquet table with the columns lat and lon.

    Returns:
        (M, 2) degrees, and one line for each kind of unusable rows.

    Raises:
        TableError: no row is usable; see `training.data.coordinates.read`.
    """
    latlon, _, problems = coordinates.read(path)
    return np.asarray(np.unique(latlon, axis=0)), problems


def _thin(points: Float64Array) -> Float64Array:
    """Return the first point in each square of _APART_DEG, in their order."""
    square = np.floor(points / _APART_DEG).astype(np.int64)
    key = square[:, 0] * 1_000_000 + square[:, 1]
    return np.asarray(points[np.sort(np.unique(key, return_index=True)[1])])
