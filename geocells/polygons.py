"""Which polygon covers a coordinate, and which one is nearest on the sphere.

Polygons are shapely geometries in lon/lat degrees whose edges are straight in those degrees, as in
GeoJSON; those that cross the antimeridian are split there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
from geocells.types import BoolArray, Float64Array, GeometryArray, IndexArray, Int32Array

_STEP_DEG = 0.05
"""Longest piece of an outline, 5.6 km."""
_CANDIDATES = 8
"""Pieces of outlines with the nearest middles, among which the nearest one is looked for."""
_WINDOWS_KM = (20.0, 100.0, 500.0)
_FEW = 5000
"""So few points are compared with what is around them, in windows that grow until all is found;
more, with the outlines of everything."""


def repair(polygons: GeometryArray) -> GeometryArray:
    """Make geometries valid and keep only their areas; empty ones stay empty polygons.

    Args:
        polygons: (N,) shapely geometries, possibly invalid or None.

    Returns:
        (N,) valid Polygon or MultiPolygon.
    """
    valid: GeometryArray = shapely.force_2d(polygons)
    broken = ~shapely.is_valid(valid)
    valid[broken] = shapely.make_valid(valid[broken], method="structure")
    valid[shapely.is_missing(valid)] = shapely.MultiPolygon()
    collections = np.flatnonzero(~np.isin(shapely.get_type_id(valid), (3, 6)))
    for i in collections:
        parts = shapely.get_parts(shapely.get_parts(valid[i]))  # a collection may hold multis
        valid[i] = shapely.multipolygons(parts[shapely.get_type_id(parts) == 3])
    return valid


def dissolve(polygons: GeometryArray, groups: npt.NDArray[Any], n_groups: int) -> GeometryArray:
    """Union of the polygons of each group; (N,) and (N,) integers -> (n_groups,)."""
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(n_groups + 1))
    united = np.empty(n_groups, dtype=object)
    for group in range(n_groups):
        members = polygons[order[edges[group] : edges[group + 1]]]
        united[group] = members[0] if len(members) == 1 else unite(members)
    return united


def unite(polygons: GeometryArray) -> shapely.Geometry:
    """Union of (N,) valid polygons, several times quicker where neighbours share their vertices.

    It is in normal form: GEOS itself starts rings here or there from one run to the next.
    """
    try:
        union = shapely.coverage_union_all(polygons)
        same = np.isclose(shapely.area(union), shapely.area(polygons).sum(), rtol=1e-9, atol=0.0)
        clean = same and shapely.is_valid(union)
    except shapely.GEOSException:
        clean = False
    return shapely.normalize(union if clean else shapely.union_all(polygons))


def without_overlaps(polygons: GeometryArray) -> GeometryArray:
    """Give land that several polygons claim to the smallest of them, so that enclaves survive.

    Args:
        polygons: (N,) valid shapely polygons.

    Returns:
        (N,) valid polygons; the later of two equal ones is empty.
    """
    unclean = ~shapely.is_empty(shapely.coverage_invalid_edges(polygons))
    first, second = shapely.STRtree(polygons).query(polygons)
    once = (first < second) & (unclean[first] | unclean[second])
    first, second = first[once], second[once]
    share = shapely.relate_pattern(polygons[first], polygons[second], "T********")
    first, second = first[share], second[share]
    area = shapely.area(polygons)
    larger = np.where(area[first] > area[second], first, second)
    smaller = first + second - larger
    result = polygons.copy()
    for i in np.unique(larger):
        claims = shapely.union_all(polygons[smaller[larger == i]])
        result[i] = repair(np.array([shapely.difference(polygons[i], claims)]))[0]
    return result


@dataclass(frozen=True, eq=False)
class _Shore:
    """Short straight pieces of the outlines of polygons, found by their middles."""

    middles: NearestVectors
    start: Float64Array
    """(S, 3) unit vectors."""
    run: Float64Array
    """(S, 3) from there to the end."""
    owner: Int32Array
    """(S,) polygon."""

    @classmethod
    def of(cls, parts: GeometryArray, owner: Int32Array) -> _Shore:
        lines, part = shapely.get_parts(shapely.boundary(parts), return_index=True)
        lonlat, line = shapely.get_coordinates(
            shapely.segmentize(lines, _STEP_DEG), return_index=True
        )
        xyz = unit_vectors(lonlat[:, ::-1])
        first = np.flatnonzero(line[1:] == line[:-1])
        run = xyz[first + 1] - xyz[first]
        middles = NearestVectors(xyz[first] + run / 2.0)
        return cls(middles, xyz[first], run, owner[part[line[first]]])

    def nearest(self, latlon: Float64Array) -> tuple[Int32Array, Float64Array, Float64Array]:
        """See `PolygonIndex.nearest`."""
        xyz = unit_vectors(latlon)
        index = self.middles.search(xyz, min(_CANDIDATES, len(self.owner)))
        index.sort(axis=1)  # of pieces that meet in the nearest point always the same one
        run = self.run[index]
        offset = xyz[:, None] - self.start[index]
        along = dot(offset, run) / np.maximum(dot(run, run), 1e-300)
        foot = np.clip(along, 0.0, 1.0)[:, :, None] * run
        gap = dot(offset - foot, offset - foot)
        best = np.argmin(gap, axis=1)
        row = np.arange(len(latlon))
        point = latlon_from_vectors(self.start[index[row, best]] + foot[row, best])
        return self.owner[index[row, best]], haversine_km(latlon, point), point


class PolygonIndex:
    """Spatial index over polygons; built once, asked many times."""

    def __init__(self, polygons: GeometryArray) -> None:
        """Index (N,) shapely Polygon or MultiPolygon, lon/lat degrees, valid."""
        self._parts, owner = shapely.get_parts(polygons, return_index=True)
        self._owner: Int32Array = owner.astype(np.int32)
        self._tree = shapely.STRtree(self._parts)

    def locate(self, latlon: npt.ArrayLike, max_km: float = np.inf) -> Int32Array:
        """Index of the polygon of each coordinate.

        Args:
            latlon: (N, 2) degrees.
            max_km: how far outside every polygon a coordinate may lie.

        Returns:
            (N,) int32: the covering polygon (the first one on a shared border), else the nearest
            one, else -1 beyond `max_km`.
        """
        return self.snap(latlon, max_km)[0]

    def snap(
        self, latlon: npt.ArrayLike, max_km: float = np.inf
    ) -> tuple[Int32Array, Float64Array]:
        """As `locate`, and the (N, 2) coordinates moved to the outlines where they lie outside."""
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
        """Index of the first polygon that covers each coordinate (N, 2), -1 where none does."""
        lat, lon = latlon[:, 0], wrap_lon(latlon[:, 1])
        point, part = self._tree.query(shapely.points(lon, lat))
        order = np.argsort(part, kind="stable")  # one prepared polygon after the other
        point, part = point[order], part[order]
        if len(point) > 64:
            shapely.prepare(self._parts[np.unique(part)])  # pays from the second point in a polygon
        inside = shapely.intersects_xy(self._parts[part], lon[point], lat[point])
        found = np.full(len(latlon), len(self._parts), np.int32)
        np.minimum.at(found, point[inside], self._owner[part[inside]])
        found[found == len(self._parts)] = -1
        return found

    def nearest(self, latlon: Float64Array) -> tuple[Int32Array, Float64Array, Float64Array]:
        """The nearest polygon outline on the sphere.

        Args:
            latlon: (N, 2) degrees.

        Returns:
            (N,) polygon index, (N,) distance in km, and the (N, 2) outline point it is measured to.
            It is the nearest among the pieces of outlines with the nearest middles; pieces are
            5.6 km long at most, and short where there are many.
        """
        owner = np.full(len(latlon), -1, np.int32)
        distance_km = np.full(len(latlon), np.inf)
        foot = latlon.copy()
        if len(latlon) <= _FEW:
            for window_km in _WINDOWS_KM:
                far = np.flatnonzero(distance_km == np.inf)
                parts = self._parts_around(latlon[far], window_km)
                if len(far) == 0 or len(parts) == 0:
                    continue
                found = _Shore.of(self._parts[parts], self._owner[parts]).nearest(latlon[far])
                near = found[1] <= window_km
                owner[far[near]], distance_km[far[near]], foot[far[near]] = (
                    column[near] for column in found
                )
        far = np.flatnonzero(distance_km == np.inf)
        if len(far):
            owner[far], distance_km[far], foot[far] = self._shore.nearest(latlon[far])
        return owner, distance_km, foot

    @cached_property
    def _shore(self) -> _Shore:
        return _Shore.of(self._parts, self._owner)

    def _parts_around(self, latlon: Float64Array, window_km: float) -> IndexArray:
        """Parts with any outline within a distance: few points need not the whole shore."""
        lat, lon = latlon[:, 0], latlon[:, 1]
        height = window_km / KM_PER_DEG * 1.01
        half_width = height / np.cos(np.radians(np.minimum(np.abs(lat) + height, 89.5)))
        turns = np.array([[-360.0], [0.0], [360.0]])  # boxes may reach over the antimeridian
        boxes = shapely.box(
            lon - half_width + turns, lat - height, lon + half_width + turns, lat + height
        )
        return np.unique(self._tree.query(boxes.ravel())[1])


def split_antimeridian(polygons: GeometryArray) -> GeometryArray:
    """Cut polygons that run over the antimeridian into parts within -180..180.

    Two ways of writing them are understood: longitudes beyond 180 degrees, and rings that jump
    from one side to the other. Edges along the poles or the antimeridian itself are no jumps.

    Args:
        polygons: (N,) valid shapely polygons.

    Returns:
        (N,) valid polygons; those that need no cut are unchanged.
    """
    parts, owner = shapely.get_parts(polygons, return_index=True)
    parts = parts.copy()
    for i in np.flatnonzero(_jumps(parts)):
        parts[i] = shapely.transform(parts[i], lambda xy: xy + [360.0, 0.0] * (xy[:, :1] < 0))
    over = (np.abs(shapely.bounds(parts)[:, [0, 2]]) > 180.0 + 1e-9).any(axis=1)
    result = polygons.copy()
    for i in np.unique(owner[over]):
        mine = parts[owner == i]
        strips = [
            shapely.transform(
                shapely.intersection(mine, shapely.box(turn - 180, -90, turn + 180, 90)),
                lambda xy, turn=turn: xy - [turn, 0.0],
            )
            for turn in (-360.0, 0.0, 360.0)
        ]
        result[i] = repair(np.array([shapely.union_all(np.concatenate(strips))]))[0]
    return result


def unwrap(polygons: GeometryArray, country: IndexArray) -> GeometryArray:
    """Shift parts by a turn where that makes one piece of a country on both sides of the seam.

    Args:
        polygons: (N,) lon/lat degrees within -180..180.
        country: (N,) integers; the polygons of each are seen together.

    Returns:
        (N,) polygons; of a country across the antimeridian the side with less land is beyond it.
    """
    parts, owner = shapely.get_parts(polygons, return_index=True)
    bounds = shapely.bounds(parts)
    shift = np.zeros(len(parts))
    order = np.lexsort((bounds[:, 0], country[owner]))
    for rows in np.split(order, np.flatnonzero(np.diff(country[owner][order])) + 1):
        west, reach = bounds[rows, 0], np.maximum.accumulate(bounds[rows, 2])
        gaps = west[1:] - reach[:-1]
        widest = int(np.argmax(gaps, axis=0)) if len(gaps) else -1
        if widest < 0 or gaps[widest] <= 360.0 - (reach[-1] - west[0]):
            continue
        left, right = rows[: widest + 1], rows[widest + 1 :]
        if shapely.area(parts[left]).sum() < shapely.area(parts[right]).sum():
            shift[left] = 360.0
        else:
            shift[right] = -360.0
    result = polygons.copy()
    for i in np.unique(owner[shift != 0.0]):
        mine = owner == i
        moved = [
            shapely.transform(part, lambda xy, turn=turn: xy + np.array([turn, 0.0]))
            for part, turn in zip(parts[mine], shift[mine], strict=True)
        ]
        result[i] = shapely.union_all(moved) if len(moved) > 1 else moved[0]
    return result


def _jumps(parts: GeometryArray) -> BoolArray:
    """Whether a polygon has an edge of more than 180 degrees of longitude that is not a frame."""
    xy, part = shapely.get_coordinates(parts, return_index=True)
    frame = (np.abs(xy[:, 0]) >= 180.0 - 1e-6) | (np.abs(xy[:, 1]) >= 89.9)
    jump = (np.abs(np.diff(xy[:, 0])) > 180.0) & (part[1:] == part[:-1])
    jump &= ~(frame[1:] & frame[:-1])
    found = np.zeros(len(parts), np.bool_)
    found[part[1:][jump]] = True
    return found
