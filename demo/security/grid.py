"""A fixed grid over the Earth, whose cells are at least a given number of kilometres wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import shapely

from geocells.sphere import KM_PER_DEG, wrap_lon
from geoloc.belief.areas import Area, Constraint
from geoloc.belief.drawn_areas import area_of
from geoloc.belief.narrowed import Narrowed
from geoloc.errors import ConstraintError
from geoloc.types import Float64Array, GeometryArray, Int64Array

MAX_ROWS = 20_480
"""Rows of the grid that a drawn area may touch, each of which is cut out of it: those of 1 km from
pole to pole."""


def snap(latlon: npt.ArrayLike, km: float) -> tuple[Float64Array, Float64Array]:
    """Move coordinates to the centres of grid cells that are at least `km` high and wide.

    Args:
        latlon: (N, 2) degrees.
        km: smallest side of a grid cell.

    Returns:
        The centres (N, 2) in degrees, and the largest distance (N,) in km from each centre to a
        corner of its cell.
    """
    lat, lon = np.asarray(latlon, np.float64).T
    rows, height = _rows(km)
    row = np.clip(np.floor((lat + 90.0) / height), 0, rows - 1)
    centre_lat = (row + 0.5) * height - 90.0
    width, widest = _columns(row, km)
    column = np.floor((wrap_lon(lon) + 180.0) / width)
    centres = np.stack([centre_lat, wrap_lon((column + 0.5) * width - 180.0)], axis=-1)
    reach_km = KM_PER_DEG * np.hypot(height, width * widest) / 2.0
    return centres, np.minimum(reach_km, 180.0 * KM_PER_DEG)


def coarse(constraint: Constraint | Narrowed, km: float) -> Constraint | Narrowed:
    """Return a constraint that tells places apart no more finely than the grid does.

    Drawn areas and the surroundings of towns grow to whole cells of the grid: two of them that
    touch the same cells are the same question. Countries, groups of countries and regions that are
    larger than a cell stay, because answers name them.

    Args:
        constraint: from `geoloc.belief.constraints.parse`.
        km: smallest side of a grid cell; 0 changes nothing.

    Raises:
        ConstraintError: it asks for the height or the distance to the sea of a place, or a drawn
            area touches too many cells.
    """
    if km <= 0.0:
        return constraint
    if isinstance(constraint, Narrowed):
        for condition in constraint.conditions:
            if condition.countries is None:
                raise ConstraintError(
                    f"{condition.name}: this server gives places no more precisely than {km:g} km"
                    " and does not answer this; name a country or draw an area"
                )
        area = constraint.area and coarse(constraint.area, km)
        assert area is None or isinstance(area, Constraint)
        return replace(constraint, area=area)
    areas = tuple(_coarse_area(area, km) for area in constraint.areas)
    return Constraint(" or ".join(area.name for area in areas), areas)


def _coarse_area(area: Area, km: float) -> Area:
    if area.countries or (area.is_region and areas_km2(area.polygons).sum() >= km**2):
        return area
    cells = cells_touching(shapely.union_all(area.polygons), km, area.name)
    return area_of(f"{area.name}, in squares of {km:g} km", cells)


def areas_km2(polygons: GeometryArray) -> Float64Array:
    """Return the approximate areas (N,) of polygons (N,) in lon/lat, in square kilometres."""
    middle = np.radians(shapely.get_y(shapely.centroid(polygons)))
    return np.asarray(shapely.area(polygons) * np.cos(middle) * KM_PER_DEG**2)


def cells_touching(polygon: shapely.Geometry, km: float, name: str) -> shapely.Geometry:
    """Return the union of all grid cells that a polygon in lon/lat touches.

    A connected part of the polygon within one row of the grid touches every column between its
    westernmost and its easternmost point.

    Raises:
        ConstraintError: too many rows; the message begins with `name`.
    """
    rows, height = _rows(km)
    _, south, _, north = shapely.bounds(polygon)
    first, last = np.clip(np.floor((np.array([south, north]) + 90.0) / height), 0, rows - 1)
    if last - first >= MAX_ROWS:
        raise ConstraintError(f"{name}: too tall for this server; draw a smaller area")
    row = np.arange(first, last + 1)
    bottom = row * height - 90.0
    bands = shapely.box(-180.0, bottom, 180.0, bottom + height)
    pieces, piece_row = shapely.get_parts(shapely.intersection(polygon, bands), return_index=True)
    west, _, east, _ = shapely.bounds(pieces).T
    width, _ = _columns(row, km)
    width = width[piece_row]
    last_column = np.round(360.0 / width) - 1.0
    begin = np.clip(np.floor((west + 180.0) / width), 0.0, last_column) * width - 180.0
    end = (np.clip(np.floor((east + 180.0) / width), 0.0, last_column) + 1.0) * width - 180.0
    below = bottom[piece_row]
    return shapely.union_all(shapely.box(begin, below, end, below + height))


def _rows(km: float) -> tuple[int, float]:
    """Return the number of rows of the grid and their height in degrees."""
    rows = max(int(180.0 * KM_PER_DEG / km), 1)
    return rows, 180.0 / rows


def _columns(row: Float64Array | Int64Array, km: float) -> tuple[Float64Array, Float64Array]:
    """Return the width of the columns of some rows, and where they are widest.

    Args:
        row: (N,).
        km: smallest side of a grid cell.

    Returns:
        The width (N,) in degrees, and the cosine (N,) of the latitude at which it is widest in km.
    """
    _, height = _rows(km)
    centre = np.abs((np.asarray(row, np.float64) + 0.5) * height - 90.0)
    edges = np.radians(centre + np.array([[-0.5], [0.5]]) * height)
    widest, narrowest = np.cos(np.maximum(edges[0], 0.0)), np.cos(np.minimum(edges[1], np.pi / 2))
    columns = np.maximum(np.floor(360.0 * narrowest * KM_PER_DEG / km), 1.0)
    return 360.0 / columns, widest
