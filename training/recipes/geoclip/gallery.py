"""Where photos may have been taken: the points of a gallery, as many and as fine as wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from geocells.attributes import is_land
from geocells.borders.hierarchy import embedded_boundaries
from geocells.places import towns
from geocells.sphere import KM_PER_DEG, destination, wrap_lon
from geoloc.belief.constraints import Part, parse
from geoloc.errors import GeolocError
from geoloc.types import Float64Array, GeometryArray
from training.data import coordinates

POINTS = 500_000
STREET_KM = 0.1
"""Between the points of a region."""

MOST_POINTS = 5_000_000
SCATTER_KM = 2.0
"""How far around known places further points are strewn, in the mean."""

_APART_DEG = 0.002
"""Of several points in a square of this side one is kept."""


def everywhere(photos: Float64Array, count: int = POINTS, seed: int = 0) -> Float64Array:
    """Points on populated land, dense where photos are taken.

    All photos and towns; then points strewn around them, on land, until there are enough. A place
    is drawn as often as it is known for photos, or by the fourth root of its people.

    Args:
        photos: (P, 2) degrees of places known for photos.
        count: how many points, at least.
        seed: of chance.

    Returns:
        (M, 2) degrees, M >= count, without near-duplicates.
    """
    rng = np.random.default_rng(seed)
    known = towns()
    sources = np.concatenate([photos, known.points.latlon])
    points = given = _thin(sources)
    weight = np.concatenate([np.ones(len(photos)), (known.population / 1000.0) ** 0.25])
    chance = np.cumsum(weight / weight.sum())
    while len(points) < count:
        wanted = max(2 * (count - len(points)), 1000)
        start = sources[np.searchsorted(chance, rng.random(wanted)).clip(max=len(sources) - 1)]
        bearing, away = rng.uniform(0.0, 360.0, wanted), rng.exponential(SCATTER_KM, wanted)
        strewn = destination(start, bearing, away)
        points = _thin(np.concatenate([points, strewn[is_land(strewn)]]))
    return points[: max(count, len(given))]


def region(text: str, step_km: float = STREET_KM) -> Float64Array:
    """A grid of points over a part of the Earth, on land.

    Args:
        text: as `geoloc.belief.constraints.parse` takes it: "Lisbon, Portugal", "48.86,2.35,20km",
            a polygon.
        step_km: between neighbouring points.

    Raises:
        ConstraintError: the text is not understood.
        GeolocError: there would be no point, or more than MOST_POINTS.
    """
    area = parse(text)
    boxes = np.concatenate([shapely.bounds(_outline(part)) for part in area.shape])
    grid = np.concatenate([_band(*box, step_km, text) for box in boxes])
    inside = np.unique(grid[area.contains(grid)], axis=0)
    found = inside[is_land(inside)]
    if not len(found):
        raise GeolocError(f"{text}: no point of a {step_km:g} km grid lies there; make it finer")
    return found


def _outline(part: Part) -> GeometryArray:
    """The single polygons of an area."""
    country = embedded_boundaries().country
    whole = country.polygons[country.codes == part.country] if part.country else part.polygons
    parts: GeometryArray = shapely.get_parts(whole)
    return parts


def _band(
    west: float, south: float, east: float, north: float, step_km: float, text: str
) -> Float64Array:
    """Points `step_km` apart in a box of parallels and meridians, row by row."""
    step_deg = step_km / KM_PER_DEG
    lat = np.arange(south + step_deg / 2.0, north, step_deg)
    widths = step_deg / np.cos(np.radians(np.clip(lat, -89.0, 89.0)))
    counts = np.maximum(1, ((east - west) / widths).astype(np.int64))
    if counts.sum() > 4 * MOST_POINTS:
        raise GeolocError(
            f"{text}: more than {MOST_POINTS:,} points of a {step_km:g} km grid; choose a smaller"
            " region or a coarser grid"
        )
    column = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    lon = west + (column + 0.5) * np.repeat((east - west) / counts, counts)
    return np.stack([np.repeat(lat, counts), wrap_lon(lon)], axis=1)


def from_table(path: Path) -> tuple[Float64Array, list[str]]:
    """Points of a CSV or Parquet table with the columns lat and lon, and what was left out.

    Raises:
        TableError: no row is usable; see `training.data.coordinates.read`.
    """
    latlon, _, problems = coordinates.read(path)
    return np.unique(latlon, axis=0), problems


def _thin(points: Float64Array) -> Float64Array:
    """The first point of each small square, in their order."""
    square = np.floor(points / _APART_DEG).astype(np.int64)
    key = square[:, 0] * 1_000_000 + square[:, 1]
    return points[np.sort(np.unique(key, return_index=True)[1])]
