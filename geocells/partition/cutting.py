"""Cutting of polygons along lines that are drawn on the sphere.

The caller cuts a polygon into faces and assigns each face to an owner. No function has to build a
region that contains a pole or spans all longitudes.
"""

from __future__ import annotations

import numpy as np
import shapely

from geocells.sphere import latlon_from_vectors
from geocells.types import Float64Array, GeometryArray, IndexArray

STEP_RAD = np.radians(0.2)
"""Step of great circles that are drawn as straight lines; the error at 60 degrees is up to 30 m."""


def world() -> shapely.Geometry:
    """Return the rectangle of all longitudes and latitudes."""
    return shapely.box(-180.0, -90.0, 180.0, 90.0)


def middle_meridian(polygon: shapely.Geometry) -> float:
    """Return the longitude halfway between the western and eastern ends of a polygon."""
    west, _, east, _ = shapely.bounds(polygon)
    return float(west + east) / 2.0


def project_around(xyz: Float64Array, middle: float) -> tuple[Float64Array, Float64Array]:
    """Return longitudes within 180 degrees of a meridian, and latitudes: (N, 3) -> (N,), (N,)."""
    latlon = latlon_from_vectors(xyz)
    return middle + np.mod(latlon[:, 1] - middle + 180.0, 360.0) - 180.0, latlon[:, 0]


def lines(xyz: Float64Array, line: IndexArray, middle: float) -> GeometryArray:
    """Return lines through points, in longitudes within 180 degrees of a meridian.

    Args:
        xyz: (N, 3) unit vectors; consecutive points of a line are close to each other.
        line: (N,) ascending numbers of the lines.
        middle: degrees. A line that crosses the opposite meridian is continued at the other end of
            the map, and extends one step beyond the map at both ends.

    Returns:
        (L,) linestrings of lon/lat.
    """
    lon, lat = project_around(xyz, middle)
    jump = np.diff(lon)
    over = np.flatnonzero((line[1:] == line[:-1]) & (np.abs(jump) > 180.0))
    turn = -360.0 * np.sign(jump[over])
    # each side of the seam is extended by the unwrapped point from the other side
    where = np.repeat(over + 1, 2)
    beyond = np.stack([lon[over + 1] + turn, lon[over] - turn], axis=1).ravel()
    heights = np.stack([lat[over + 1], lat[over]], axis=1).ravel()
    part = line.astype(np.intp) * 2
    new = (np.diff(part, prepend=-1) != 0).astype(np.intp)
    new[over + 1] = 0
    lon, lat = np.insert(lon, where, beyond), np.insert(lat, where, heights)
    start = np.insert(new, where, np.tile([0, 1], len(over)))
    number = np.cumsum(start) - 1
    drawn: GeometryArray = shapely.linestrings(np.stack([lon, lat], axis=1), indices=number)
    return drawn


def cut(polygon: shapely.Geometry, borders: GeometryArray) -> GeometryArray:
    """Return the faces (F,) into which lines (L,) cut a polygon."""
    faces: list[GeometryArray] = []
    tree = shapely.STRtree(borders)
    for part in shapely.get_parts(polygon):
        shapely.prepare(part)
        crossing = borders[tree.query(part, predicate="intersects")]
        if not len(crossing):
            faces.append(np.array([part]))
            continue
        net = shapely.union_all(np.append(crossing, shapely.boundary(part)))
        found = _in_order(shapely.get_parts(shapely.polygonize(shapely.get_parts(net))))
        inner = shapely.point_on_surface(found)
        faces.append(found[shapely.intersects(part, inner)])  # leaves out holes
    return np.concatenate(faces)


def _in_order(polygons: GeometryArray) -> GeometryArray:
    """Return polygons in normal form and a fixed order; the order of GEOS varies between runs."""
    normal = shapely.normalize(polygons)
    ordered: GeometryArray = normal[np.argsort(shapely.to_wkb(normal))]
    return ordered
