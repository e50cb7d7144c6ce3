"""Operations on polygons: repair, union, overlaps, the antimeridian, areas.

Polygons are shapely geometries in lon/lat degrees whose edges are straight in those degrees, as in
GeoJSON.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geocells.sphere import EARTH_RADIUS_KM
from geocells.types import BoolArray, Float64Array, GeometryArray, IndexArray


def repair(polygons: GeometryArray) -> GeometryArray:
    """Return valid geometries without points and lines; empty ones stay empty polygons.

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
    """Return the union of the polygons of each group: (N,) and (N,) integers -> (n_groups,)."""
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(n_groups + 1))
    united = np.empty(n_groups, dtype=object)
    for group in range(n_groups):
        members = polygons[order[edges[group] : edges[group + 1]]]
        united[group] = members[0] if len(members) == 1 else unite(members)
    return united


def unite(polygons: GeometryArray) -> shapely.Geometry:
    """Return the union of (N,) valid polygons.

    The faster coverage union is used where neighbours share all their vertices. The result is in
    normal form, because the first vertex of a ring that GEOS returns varies between runs.
    """
    try:
        union = shapely.coverage_union_all(polygons)
        same = np.isclose(shapely.area(union), shapely.area(polygons).sum(), rtol=1e-9, atol=0.0)
        clean = same and shapely.is_valid(union)
    except shapely.GEOSException:
        clean = False
    return shapely.normalize(union if clean else shapely.union_all(polygons))


def without_overlaps(polygons: GeometryArray) -> GeometryArray:
    """Remove overlaps: an area covered by several polygons goes to the smallest of them.

    This keeps enclaves that are drawn over a surrounding polygon.

    Args:
        polygons: (N,) valid shapely polygons.

    Returns:
        (N,) valid polygons; the second of two equal ones is empty.
    """
    unclean = ~shapely.is_empty(shapely.coverage_invalid_edges(polygons))
    first, second = shapely.STRtree(polygons).query(polygons)
    candidate = (first < second) & (unclean[first] | unclean[second])
    first, second = first[candidate], second[candidate]
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


def area_km2(polygons: GeometryArray) -> Float64Array:
    """Return areas (N,) on the sphere, by Lambert's cylindrical equal-area projection.

    Edges are divided into steps of 1 degree first, because an edge that is straight in degrees is
    curved in the projection.
    """

    def project(lonlat: Float64Array) -> Float64Array:
        rad = np.radians(lonlat)
        return np.stack([rad[:, 0], np.sin(rad[:, 1])], axis=1) * EARTH_RADIUS_KM

    area: Float64Array = shapely.area(shapely.transform(shapely.segmentize(polygons, 1.0), project))
    return area


def split_antimeridian(polygons: GeometryArray) -> GeometryArray:
    """Cut polygons that cross the antimeridian into parts within -180..180 degrees.

    Two notations are accepted: longitudes beyond 180 degrees, and rings that jump from one side to
    the other. Edges along the poles or the antimeridian itself do not count as jumps.

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
    """Shift parts of countries across the antimeridian by 360 degrees, so that each is contiguous.

    Args:
        polygons: (N,) lon/lat degrees within -180..180.
        country: (N,) integers; all polygons of one country are shifted together.

    Returns:
        (N,) polygons; of a country across the antimeridian, the side with the smaller area has
        longitudes outside -180..180.
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
    """Return whether each polygon has an edge of more than 180 degrees of longitude.

    Edges along the poles and the antimeridian are ignored.
    """
    xy, part = shapely.get_coordinates(parts, return_index=True)
    frame = (np.abs(xy[:, 0]) >= 180.0 - 1e-6) | (np.abs(xy[:, 1]) >= 89.9)
    jump = (np.abs(np.diff(xy[:, 0])) > 180.0) & (part[1:] == part[:-1])
    jump &= ~(frame[1:] & frame[:-1])
    found = np.zeros(len(parts), np.bool_)
    found[part[1:][jump]] = True
    return found
