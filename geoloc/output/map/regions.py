"""Where a photo may have been taken: calibrated regions of an answer as smooth outlines.

The calibrated radii say how much probability lies within which distance of the best guess, and the
geocells say in which directions. Both are put on one grid, so that a map shows a single picture: no
small circle inside a shaded country that claims the same level.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from geocells.sphere import KM_PER_DEG, haversine_km
from geocells.table import CellTable
from geoloc.belief.fusion import CREDIBLE_LEVELS
from geoloc.guess import Guess
from geoloc.types import BoolArray, Float64Array, GeometryArray

NODES = 193
"""Grid nodes along each axis; their spacing grows with the distance from the best guess."""
FINEST_SHARE = 1 / 12
"""Spacing at the best guess, as a share of the radius for 5 of 10 photos."""
SMOOTHING_NODES = 1.5
MAX_LAT_DEG = 84.0
SMALLEST_RADIUS_KM = 0.5
RING_WIDTH = 1.2
"""Smallest ratio of neighbouring radii, so that there are nodes between any two."""
SMALLEST_PART = 0.002
"""Parts with a smaller share of the area of their region are left out."""
FAIR_OVERLAP = 0.5
"""A circle is a fair summary if it and the region of its level share half of what they cover."""
LARGEST_CIRCLE_KM = 5000.0


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of one answer that contain 50, 80 and 95 % of the probability."""

    outlines: dict[float, GeometryArray]
    """Polygons by level, largest level last, in lon/lat degrees. Longitudes are those around the
    best guess and exceed ±180 across the antimeridian."""
    circle_is_fair: bool
    """Whether the circle of the radius for 8 of 10 photos describes the region as well."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """Nodes around a best guess."""

    lon: Float64Array
    """(N,) ascending; within 180 degrees of the best guess."""
    lat: Float64Array
    """(N,) ascending."""
    area: Float64Array
    """(N, N) share of the sphere of each node, rows by latitude."""
    distance_km: Float64Array
    """(N, N) from the best guess."""


def regions_of(guess: Guess, cells: CellTable) -> Regions:
    """Return the regions of an answer.

    Args:
        guess: an answer.
        cells: the geocells that it refers to.
    """
    from scipy.ndimage import gaussian_filter

    grid = _grid(guess)
    mass = _calibrated(guess, grid, _mass_of_cells(guess, cells, grid))
    density = gaussian_filter(mass / grid.area, SMOOTHING_NODES)
    density[[0, -1], :] = density[:, [0, -1]] = 0.0  # every outline is closed
    thresholds = _thresholds(density, grid.area)
    outlines = {
        level: _outlines(density, grid, threshold)
        for level, threshold in zip(CREDIBLE_LEVELS, thresholds, strict=True)
    }
    inside = density >= thresholds[CREDIBLE_LEVELS.index(0.8)]
    return Regions(outlines, _circle_is_fair(guess, grid, inside))


def _grid(guess: Guess) -> _Grid:
    """Return a grid that is fine around the best guess and reaches around the world."""
    spacing = max(guess.radius_50_km, SMALLEST_RADIUS_KM) * FINEST_SHARE / KM_PER_DEG
    parallel = max(np.cos(np.radians(guess.lat)), 0.05)
    centre = float(np.clip(guess.lat, -MAX_LAT_DEG, MAX_LAT_DEG))
    lat = centre + _spread(-MAX_LAT_DEG - centre, MAX_LAT_DEG - centre, spacing)
    lon = guess.lon + _spread(-180.0, 180.0, spacing / parallel)
    latlon = np.stack(np.meshgrid(lat, lon, indexing="ij"), axis=-1)
    height = np.abs(np.gradient(np.sin(np.radians(lat))))
    area = np.outer(height, np.gradient(lon)) / 720.0
    distance = haversine_km(latlon.reshape(-1, 2), [guess.lat, guess.lon]).reshape(area.shape)
    return _Grid(lon, lat, area, distance)


def _spread(least: float, most: float, spacing: float) -> Float64Array:
    """Return NODES values in a range, `spacing` apart around 0 and farther apart beyond."""
    scale = spacing * NODES / 20.0
    return scale * np.sinh(np.linspace(np.arcsinh(least / scale), np.arcsinh(most / scale), NODES))


def _mass_of_cells(guess: Guess, cells: CellTable, grid: _Grid) -> Float64Array:
    """Return the probability of each node (N, N), spread evenly over each cell."""
    row_of = {cell_id: row for row, cell_id in enumerate(cells.cell_id.tolist())}
    rows = [row_of[cell.cell_id] for cell in guess.region]
    order = np.argsort(lon := (grid.lon + 180.0) % 360.0 - 180.0)
    lon = lon[order]
    mass = np.zeros_like(grid.area)
    polygons, centroids = cells.polygon[rows], cells.centroids[rows]
    for cell, polygon, centroid in zip(guess.region, polygons, centroids, strict=True):
        west, south, east, north = shapely.bounds(polygon)
        i = slice(*np.searchsorted(grid.lat, (south, north)))
        columns = order[slice(*np.searchsorted(lon, (west, east)))]
        shapely.prepare(polygon)
        x, y = np.meshgrid((grid.lon[columns] + 180.0) % 360.0 - 180.0, grid.lat[i])
        area = grid.area[i, columns] * shapely.contains_xy(polygon, x, y)
        if (total := area.sum()) > 0.0:
            mass[i, columns] += cell.probability * area / total
        else:  # smaller than the spacing
            turned = guess.lon + (centroid[1] - guess.lon + 180.0) % 360.0 - 180.0
            nearest = np.abs(grid.lat - centroid[0]).argmin(), np.abs(grid.lon - turned).argmin()
            mass[nearest] += cell.probability
    return mass


def _calibrated(guess: Guess, grid: _Grid, mass: Float64Array) -> Float64Array:
    """Return the masses such that the calibrated radii contain what they promise.

    Where the cells have no probability between two radii, it is spread evenly.
    """
    ends = [0.0]
    for radius_km in (guess.radius_50_km, guess.radius_80_km, guess.radius_95_km):
        ends.append(max(radius_km, SMALLEST_RADIUS_KM, RING_WIDTH * ends[-1]))
    shares = np.diff([0.0, *CREDIBLE_LEVELS, 1.0])
    calibrated = np.zeros_like(mass)
    for (inner, outer), share in zip(pairwise([*ends, np.inf]), shares, strict=True):
        ring = (grid.distance_km >= inner) & (grid.distance_km < outer)
        within = np.where(ring, mass, 0.0)
        if within.sum() <= 0.0 and outer < np.inf:
            within = np.where(ring, grid.area, 0.0)
        if (total := within.sum()) > 0.0:
            calibrated += share * within / total
    normalised: Float64Array = calibrated / calibrated.sum()
    return normalised


def _thresholds(density: Float64Array, area: Float64Array) -> list[float]:
    """Return the densities that bound the smallest regions with the CREDIBLE_LEVELS."""
    order = np.argsort(-density, axis=None)
    held = np.cumsum((density * area).ravel()[order])
    at = np.searchsorted(held, np.multiply(CREDIBLE_LEVELS, held[-1]))
    return [float(density.ravel()[order[min(each, len(order) - 1)]]) for each in at]


def _outlines(density: Float64Array, grid: _Grid, threshold: float) -> GeometryArray:
    """Return the polygons where the density exceeds a threshold, without the tiny ones."""
    from contourpy import FillType, contour_generator

    contours = contour_generator(grid.lon, grid.lat, density, fill_type=FillType.OuterOffset)
    parts = [
        shapely.Polygon(points[ends[0] : ends[1]], [points[a:b] for a, b in pairwise(ends[1:])])
        for points, ends in zip(*contours.filled(threshold, np.inf), strict=True)
    ]
    polygons = np.array(parts, object)
    polygons = polygons[shapely.area(polygons) >= SMALLEST_PART * shapely.area(polygons).sum()]
    simple = shapely.simplify(polygons, np.sqrt(shapely.area(polygons)) / 400)
    valid: GeometryArray = shapely.get_parts(shapely.make_valid(simple))
    areas: GeometryArray = valid[shapely.get_type_id(valid) == 3]
    return areas


def _circle_is_fair(guess: Guess, grid: _Grid, inside: BoolArray) -> bool:
    """Whether the 80 % circle covers about the nodes of the 80 % region, and is a ring on a map."""
    if guess.radius_80_km > LARGEST_CIRCLE_KM:
        return False
    if guess.radius_80_km / KM_PER_DEG + abs(guess.lat) >= MAX_LAT_DEG:
        return False
    circle = grid.distance_km <= guess.radius_80_km
    both, either = (grid.area[nodes].sum() for nodes in (circle & inside, circle | inside))
    return bool(both >= FAIR_OVERLAP * either)
