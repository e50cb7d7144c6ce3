"""Point-in-polygon and nearest-polygon search on the sphere.

Polygons are shapely geometries in lon/lat degrees whose edges are straight in those degrees, as in
GeoJSON; those that cross the antimeridian are split there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import shapely

from geocells.neighbours import NearestVectors
from geocells.sphere import (
    KM_PER_DEG,
    check_latlon,
    dot,
    haversine_km,
    latlon_from_vectors,
    unit_vectors,
    wrap_lon,
)
from geocells.types import Float64Array, GeometryArray, IndexArray, Int32Array

_SEGMENT_DEG = 0.05
"""Longest segment of an outline, 5.6 km."""

_CANDIDATES = 8
"""Number of segments with the nearest midpoints that are compared exactly."""

_WINDOWS_KM = (20.0, 100.0, 500.0)
"""Search windows for few points: the next larger one is used where nothing was found."""

_FEW_BOXES = 32
"""Up to this number of boxes, comparing them with all is faster than building a tree."""

_MAX_WINDOWED_POINTS = 5000
"""Up to this number of points, only the outlines around them are cut into segments."""


@dataclass(frozen=True, eq=False)
class _Segments:
    """Short straight segments of polygon outlines, indexed by their midpoints."""

    midpoints: NearestVectors
    start: Float64Array
    """(S, 3) unit vectors."""
    step: Float64Array
    """(S, 3) vectors from start to end."""
    owner: Int32Array
    """(S,) polygons that the segments belong to."""

    @classmethod
    def of(cls, parts: GeometryArray, owner: Int32Array) -> _Segments:
        lines, part = shapely.get_parts(shapely.boundary(parts), return_index=True)
        lonlat, line = shapely.get_coordinates(
            shapely.segmentize(lines, _SEGMENT_DEG), return_index=True
        )
        xyz = unit_vectors(lonlat[:, ::-1])
        first = np.flatnonzero(line[1:] == line[:-1])
        step = xyz[first + 1] - xyz[first]
        midpoints = NearestVectors(xyz[first] + step / 2.0)
        return cls(midpoints, xyz[first], step, owner[part[line[first]]])

    def nearest(self, latlon: Float64Array) -> tuple[Int32Array, Float64Array, Float64Array]:
        """Return what `PolygonIndex.nearest` returns."""
        xyz = unit_vectors(latlon)
        index = self.midpoints.search(xyz, min(_CANDIDATES, len(self.owner)))
        index.sort(axis=1)  # a tie between segments with a common end is always broken alike
        step = self.step[index]
        offset = xyz[:, None] - self.start[index]
        along = dot(offset, step) / np.maximum(dot(step, step), 1e-300)
        foot = np.clip(along, 0.0, 1.0)[:, :, None] * step
        gap = dot(offset - foot, offset - foot)
        best = np.argmin(gap, axis=1)
        row = np.arange(len(latlon))
        point = latlon_from_vectors(self.start[index[row, best]] + foot[row, best])
        return self.owner[index[row, best]], haversine_km(latlon, point), point


class Parts(Protocol):
    """Polygons without holes between their parts, by row."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: IndexArray | slice) -> GeometryArray:
        """Return some of the polygons."""
        ...


class _Boxes:
    """Bounding boxes of polygons, and those that intersect others."""

    def __init__(self, bounds: Float64Array) -> None:
        """Take boxes (P, 4) as west, south, east, north; NaN for an empty polygon."""
        self._bounds = bounds

    def query(self, bounds: Float64Array) -> tuple[IndexArray, IndexArray]:
        """Return the rows of all pairs of a box of (Q, 4) and one of (P, 4) that intersect."""
        if "_tree" not in self.__dict__ and len(bounds) <= _FEW_BOXES:
            west, south, east, north = self._bounds.T
            other = bounds[:, :, None]
            query, part = np.nonzero(
                (other[:, 0] <= east) & (other[:, 2] >= west)
                & (other[:, 1] <= north) & (other[:, 3] >= south)
            )  # fmt: skip
            return query, part
        low, high = bounds[:, :2], bounds[:, 2:]
        given = shapely.points(low) if (low == high).all() else shapely.box(*bounds.T)
        query, part = self._tree.query(given)
        return query, part

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.box(*self._bounds.T))


class PolygonIndex:
    """Spatial index over polygons."""

    def __init__(self, polygons: GeometryArray) -> None:
        """Index (N,) valid Polygon or MultiPolygon geometries in lon/lat degrees."""
        parts, owner = shapely.get_parts(polygons, return_index=True)
        self._hold(parts, owner.astype(np.int32), shapely.bounds(parts))

    @classmethod
    def of_parts(cls, parts: Parts, owner: Int32Array, bounds: Float64Array) -> Self:
        """Return an index over P polygons that are read when they are needed.

        Args:
            parts: P polygons.
            owner: (P,) ascending, the row of the geometry that each is a part of.
            bounds: (P, 4) west, south, east and north of each.
        """
        index = cls.__new__(cls)
        index._hold(parts, owner, bounds)
        return index

    def _hold(self, parts: Parts, owner: Int32Array, bounds: Float64Array) -> None:
        self._parts, self._owner, self._boxes = parts, owner, _Boxes(bounds)

    def locate(self, latlon: npt.ArrayLike, max_km: float = np.inf) -> Int32Array:
        """Return the index of the polygon that covers each coordinate or is nearest to it.

        Args:
            latlon: (N, 2) degrees.
            max_km: largest distance to the nearest polygon for coordinates outside all polygons.

        Returns:
            (N,) int32: the covering polygon (the first one on a shared border), else the nearest
            one within `max_km`, else -1.
        """
        return self.snap(latlon, max_km)[0]

    def snap(
        self, latlon: npt.ArrayLike, max_km: float = np.inf
    ) -> tuple[Int32Array, Float64Array]:
        """Return the indices of `locate`, and (N, 2) coordinates moved to the nearest outline.

        Coordinates that a polygon covers, or that are farther than `max_km`, are not moved.
        """
        points = check_latlon(latlon)
        found = self.covering(points)
        outside = np.flatnonzero(found < 0)
        snapped = points
        if max_km > 0 and len(outside) and len(self._parts):
            nearest, distance_km, foot = self.nearest(points[outside])
            near = distance_km <= max_km
            found[outside[near]] = nearest[near]
            snapped = points.copy()
            snapped[outside[near]] = foot[near]
        return found, snapped

    def covering(self, latlon: Float64Array) -> Int32Array:
        """Return the first polygon (N,) that covers each coordinate (N, 2); -1 if none does."""
        lat, lon = latlon[:, 0], wrap_lon(latlon[:, 1])
        point, part = self._boxes.query(np.stack([lon, lat, lon, lat], axis=1))
        order = np.argsort(part, kind="stable")  # all points of one prepared polygon in a row
        point, part = point[order], part[order]
        polygons = self._parts[part]
        if len(point) > 64:
            shapely.prepare(polygons)  # worth it from two points per polygon
        inside = shapely.intersects_xy(polygons, lon[point], lat[point])
        found = np.full(len(latlon), len(self._parts), np.int32)
        np.minimum.at(found, point[inside], self._owner[part[inside]])
        found[found == len(self._parts)] = -1
        return found

    def nearest(self, latlon: Float64Array) -> tuple[Int32Array, Float64Array, Float64Array]:
        """Return the nearest polygon outline on the sphere.

        Outlines are cut into segments of 5.6 km at most. The segments with the nearest midpoints
        are compared exactly.

        Args:
            latlon: (N, 2) degrees.

        Returns:
            (N,) polygon index, (N,) distance in km, and (N, 2) nearest points of the outlines.
        """
        owner = np.full(len(latlon), -1, np.int32)
        distance_km = np.full(len(latlon), np.inf)
        foot = latlon.copy()
        if len(latlon) <= _MAX_WINDOWED_POINTS:
            for window_km in _WINDOWS_KM:
                far = np.flatnonzero(distance_km == np.inf)
                parts = self._parts_around(latlon[far], window_km)
                if len(far) == 0 or len(parts) == 0:
                    continue
                found = _Segments.of(self._parts[parts], self._owner[parts]).nearest(latlon[far])
                near = found[1] <= window_km
                owner[far[near]], distance_km[far[near]], foot[far[near]] = (
                    column[near] for column in found
                )
        far = np.flatnonzero(distance_km == np.inf)
        if len(far):
            owner[far], distance_km[far], foot[far] = self._segments.nearest(latlon[far])
        return owner, distance_km, foot

    @cached_property
    def _segments(self) -> _Segments:
        return _Segments.of(self._parts[:], self._owner)

    def _parts_around(self, latlon: Float64Array, window_km: float) -> IndexArray:
        """Return the polygon parts whose bounding boxes are within a distance of any point."""
        lat, lon = latlon[:, 0], latlon[:, 1]
        height = window_km / KM_PER_DEG * 1.01
        half_width = height / np.cos(np.radians(np.minimum(np.abs(lat) + height, 89.5)))
        turns = np.array([[-360.0], [0.0], [360.0]])  # boxes may cross the antimeridian
        sides = (lon - half_width + turns, lat - height, lon + half_width + turns, lat + height)
        boxes = np.stack([each.ravel() for each in np.broadcast_arrays(*sides)], axis=1)
        return np.unique(self._boxes.query(boxes)[1])
