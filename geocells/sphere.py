"""Distances, means and destinations on a spherical Earth.

Coordinates are (..., 2) arrays of degrees, latitude first; distances are kilometres. The Earth is a
sphere of the mean radius; distances differ from those on the WGS 84 ellipsoid by 0.6 % at most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.types import Float64Array

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the WGS 84 ellipsoid (IUGG)."""

KM_PER_DEG = EARTH_RADIUS_KM * np.pi / 180.0
"""Length of a degree of latitude."""

_ROWS_PER_BLOCK = 1024


def check_latlon(latlon: npt.ArrayLike, what: str = "coordinates") -> Float64Array:
    """Return coordinates as a float64 array after checking their shape and range.

    Args:
        latlon: (N, 2) degrees, latitude in -90..90 and longitude in -180..180.
        what: name of the data in error messages, for example a file name.

    Returns:
        (N, 2) float64.

    Raises:
        ValueError: the array has another shape, or a row is not finite or out of range; the
            message names the first such row.
    """
    array = np.asarray(latlon, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{what}: expected shape (N, 2) of lat, lon degrees, got {array.shape}")
    good = (np.abs(array[:, 0]) <= 90.0) & (np.abs(array[:, 1]) <= 180.0)  # False for NaN
    if not good.all():
        row = int(np.argmin(good))
        lat, lon = array[row]
        raise ValueError(
            f"{what}: row {row} has latitude {lat:g}, longitude {lon:g}; "
            "expected -90..90 and -180..180 degrees"
        )
    return array


def wrap_lon(lon: npt.ArrayLike) -> Float64Array:
    """Return longitudes wrapped to -180 <= lon < 180 degrees."""
    wrapped: Float64Array = np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0
    return wrapped


def haversine_km(
    a: npt.ArrayLike, b: npt.ArrayLike, radius_km: float = EARTH_RADIUS_KM
) -> Float64Array:
    """Return great-circle distances by the haversine formula.

    The result is accurate to rounding for near points. The argument of the arcsine is clamped, so
    only NaN input gives NaN.

    Args:
        a: (..., 2) degrees.
        b: (..., 2) degrees; broadcasts against `a`.
        radius_km: radius of the sphere.

    Returns:
        (...) kilometres.
    """
    first, second = np.radians(np.asarray(a, float)), np.radians(np.asarray(b, float))
    half_dlat, half_dlon = np.moveaxis((second - first) / 2.0, -1, 0)
    cosines = np.cos(first[..., 0]) * np.cos(second[..., 0])
    h = np.sin(half_dlat) ** 2 + cosines * np.sin(half_dlon) ** 2
    distance: Float64Array = 2.0 * radius_km * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0)))
    return distance


def pairwise_km(
    a: npt.ArrayLike, b: npt.ArrayLike, dtype: npt.DTypeLike = np.float64
) -> npt.NDArray[Any]:
    """Return the great-circle distance of every pair of coordinates from two sets.

    The squared chord is 2 - 2 cos; all cosines come from matrix products of unit vectors. Rounding
    of a product (about 4e-16) gives errors of up to 0.2 m near 0 km and near the antipode, and much
    smaller ones elsewhere. Blocks of rows are computed in float64 whatever `dtype` is, so a float32
    result (half the memory) keeps 7 digits.

    Args:
        a: (N, 2) degrees.
        b: (M, 2) degrees.
        dtype: floating type of the result.

    Returns:
        (N, M) kilometres.
    """
    return distances_km(unit_vectors(a), unit_vectors(b), dtype)


def distances_km(
    left: Float64Array, right: Float64Array, dtype: npt.DTypeLike = np.float64
) -> npt.NDArray[Any]:
    """Return the distances (N, M) of `pairwise_km` between unit vectors (N, 3) and (M, 3)."""
    right = right.T
    distances = np.empty((left.shape[0], right.shape[1]), dtype=dtype)
    for start in range(0, len(left), _ROWS_PER_BLOCK):
        block = left[start : start + _ROWS_PER_BLOCK] @ right
        np.subtract(0.5, 0.5 * block, out=block)  # squared half chord
        np.clip(block, 0.0, 1.0, out=block)
        np.arcsin(np.sqrt(block, out=block), out=block)
        distances[start : start + _ROWS_PER_BLOCK] = 2.0 * EARTH_RADIUS_KM * block
    return distances


def unit_vectors(latlon: npt.ArrayLike) -> Float64Array:
    """Return unit vectors of coordinates: (..., 2) degrees -> (..., 3).

    The x axis points to (0, 0), the z axis to the north pole.
    """
    lat, lon = np.moveaxis(np.radians(np.asarray(latlon, float)), -1, 0)
    xyz = np.empty((*lat.shape, 3))
    xyz[..., 0] = xyz[..., 1] = np.cos(lat)
    xyz[..., 0] *= np.cos(lon)
    xyz[..., 1] *= np.sin(lon)
    xyz[..., 2] = np.sin(lat)
    return xyz


def dot(a: Float64Array, b: Float64Array) -> Float64Array:
    """Return dot products of vectors (..., 3), which broadcast.

    The terms are added in a fixed order, so that the result is the same to the last bit in every
    run. Those of `einsum` and of matrix products may depend on the alignment of the arrays.
    """
    total: Float64Array = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]
    return total


def latlon_from_vectors(xyz: npt.ArrayLike) -> Float64Array:
    """Return coordinates of vectors of any length: (..., 3) -> (..., 2), -180 <= lon < 180."""
    x, y, z = np.moveaxis(np.asarray(xyz, float), -1, 0)
    lat = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.stack([lat, wrap_lon(np.degrees(np.arctan2(y, x)))], axis=-1)


def group_means(
    latlon: npt.ArrayLike,
    labels: npt.ArrayLike,
    n_groups: int,
    weights: npt.ArrayLike | None = None,
) -> Float64Array:
    """Return the spherical mean (direction of the mean unit vector) of each group of coordinates.

    Args:
        latlon: (N, 2) degrees.
        labels: (N,) integers, 0..n_groups-1.
        n_groups: number of groups.
        weights: (N,) non-negative, or None for equal weights.

    Returns:
        (n_groups, 2) degrees. NaN for a group without points or with zero total weight; the first
        point of the group if its vectors cancel, as antipodes do.
    """
    points = np.asarray(latlon, float)
    group = np.asarray(labels, np.intp)
    weight = np.ones(len(points)) if weights is None else np.asarray(weights, float)
    vectors = unit_vectors(points) * weight[:, None]
    sums = np.stack([np.bincount(group, vectors[:, axis], n_groups) for axis in range(3)], axis=-1)
    totals = np.bincount(group, weight, n_groups)
    means = latlon_from_vectors(sums)
    cancelled = np.flatnonzero((np.linalg.norm(sums, axis=-1) <= 1e-12 * totals) & (totals > 0))
    if len(cancelled):
        present, first = np.unique(group, return_index=True)
        means[cancelled] = points[first[np.searchsorted(present, cancelled)]]
    means[totals <= 0] = np.nan
    return means


def destination(
    latlon: npt.ArrayLike, bearing_deg: npt.ArrayLike, distance_km: npt.ArrayLike
) -> Float64Array:
    """Return the end points of great-circle paths.

    Args:
        latlon: (..., 2) degrees, the starting points.
        bearing_deg: (...) initial bearings, clockwise from north.
        distance_km: (...) lengths of the paths; all arguments broadcast.

    Returns:
        (..., 2) degrees, -180 <= lon < 180.
    """
    lat, lon = np.moveaxis(np.radians(np.asarray(latlon, float)), -1, 0)
    bearing = np.radians(np.asarray(bearing_deg, float))
    angle = np.asarray(distance_km, float) / EARTH_RADIUS_KM
    sin_end = np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(bearing)
    end_lat = np.arcsin(np.clip(sin_end, -1.0, 1.0))
    end_lon = lon + np.arctan2(
        np.sin(bearing) * np.sin(angle) * np.cos(lat), np.cos(angle) - np.sin(lat) * sin_end
    )
    end_lat, end_lon = np.broadcast_arrays(np.degrees(end_lat), wrap_lon(np.degrees(end_lon)))
    return np.stack([end_lat, end_lon], axis=-1)
