"""Polygons cut along lines that were drawn on the sphere.

Whoever draws a line across a polygon gets its faces, and decides whose each face is: no region has
to be built that holds a pole or runs around the Earth.
"""

from __future__ import annotations

import numpy as np
import shapely

from geocells.sphere import latlon_from_vectors
from geocells.types import Float64Array, GeometryArray, IndexArray

STEP_RAD = np.radians(0.2)
"""Great circles are written as chords this long, which are off by 30 m at most at 60 degrees."""


def world() -> shapely.Geometry:
    """The whole map."""
    return shapely.box(-180.0, -90.0, 180.0, 90.0)


def middle_meridian(polygon: shapely.Geometry) -> float:
    """Longitude halfway between the ends of a polygon."""
    west, _, east, _ = shapely.bounds(polygon)
    return float(west + east) / 2.0


def around(xyz: Float64Array, middle: float) -> tuple[Float64Array, Float64Array]:
    """Longitudes within 180 degrees of a meridian, and latitudes; (N, 3) -> (N,) and (N,)."""
    latlon = latlon_from_vectors(xyz)
    return middle + np.mod(latlon[:, 1] - middle + 180.0, 360.0) - 180.0, latlon[:, 0]


def lines(xyz: Float64Array, line: IndexArray, middle: float) -> GeometryArray:
    """Lines through points, within 180 degrees of a meridian and a step beyond.

    Args:
        xyz: (N, 3) unit vectors, no two neighbours far apart.
        line: (N,) ascending numbers of the lines.
        middle: degrees; a line that runs over the opposite meridian goes on at the other end of the
            map, and overlaps it by a step at both ends.

    Returns:
        (L,) linestrings of lon/lat.
    """
    lon, lat = around(xyz, middle)
    jump = np.diff(lon)
    over = np.flatnonzero((line[1:] == line[:-1]) & (np.abs(jump) > 180.0))
    turn = -360.0 * np.sign(jump[over])
    # after the last point before the seam comes the next one, unwrapped; before the next, the last
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
    """Faces (F,) into which lines (L,) cut a polygon."""
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
        faces.append(found[shapely.intersects(part, inner)])  # not the lakes
    return np.concatenate(faces)


def _in_order(polygons: GeometryArray) -> GeometryArray:
    """The same polygons, written the same way in every run: GEOS goes by addresses in memory."""
    normal = shapely.normalize(polygons)
    ordered: GeometryArray = normal[np.argsort(shapely.to_wkb(normal))]
    return ordered
