"""Lakes and rivers (GSHHG): which points are near them."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely

from geocells.borders.hierarchy import DATA
from geocells.neighbours import NearestPoints
from geocells.sphere import check_latlon, haversine_km
from geocells.types import BoolArray, Float64Array

Kind = Literal["lake", "river"]

STEP_KM = 3.0
"""Distance between points along shores and rivers, whose lines are kept to about 1 km."""


def near_fresh_water(latlon: npt.ArrayLike, km: float, kind: Kind) -> BoolArray:
    """Return whether points are within a distance of a lake of 10 km² or more, or of a river.

    Args:
        latlon: (N, 2) degrees.
        km: distance; below 2 km it means little, because lines are kept to about 1 km.
        kind: "lake" or "river".

    Returns:
        (N,)
    """
    points = check_latlon(latlon)
    distance, _ = _index(kind).query(points)
    near = distance[:, 0] <= km
    if kind == "lake":
        left = np.flatnonzero(~near)
        inside, _ = _lakes().query(shapely.points(points[left, ::-1]), predicate="within")
        near[left[inside]] = True
    return np.asarray(near, bool)


@cache
def _index(kind: Kind) -> NearestPoints:
    """Return an index of points along all lines of a kind, at most STEP_KM apart."""
    points, part = _points(kind)
    start, end = points[:-1], points[1:].copy()
    turn = np.round((end[:, 1] - start[:, 1]) / 360.0)  # across the antimeridian
    end[:, 1] -= 360.0 * turn
    joined = part[1:] == part[:-1]
    steps = np.where(joined, np.ceil(haversine_km(start, end) / STEP_KM), 1).astype(int)
    row = np.repeat(np.arange(len(start)), steps)
    share = (np.arange(len(row)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[row]
    along = start[row] + share[:, None] * np.where(joined[row, None], (end - start)[row], 0.0)
    along[:, 1] = (along[:, 1] + 180.0) % 360.0 - 180.0
    return NearestPoints(np.concatenate([along, points[-1:]]))


@cache
def _lakes() -> shapely.STRtree:
    """Return the polygons of the lakes, for points far from any shore."""
    points, part = _points("lake")
    rings = np.bincount(part)[part] >= 4
    outlines = shapely.linearrings(points[rings, ::-1], indices=_renumbered(part[rings]))
    return shapely.STRtree(shapely.make_valid(shapely.polygons(outlines)))


def _renumbered(part: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.asarray(np.unique(part, return_inverse=True)[1], np.int64)


def _points(kind: Kind) -> tuple[Float64Array, npt.NDArray[np.int64]]:
    """Return points (M, 2) in degrees, and the line of each."""
    with np.load(DATA / "water.npz", allow_pickle=False) as stored:
        points, counts = stored[f"{kind}_points"] / 100.0, stored[f"{kind}_counts"]
    return np.asarray(points, np.float64), np.repeat(np.arange(len(counts)), counts)
