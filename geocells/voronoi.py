"""Polygons divided among sites: every spot goes to the label of the nearest site on the sphere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import Delaunay

from geocells.clustering import IntArray, Sites
from geocells.polygons import GeometryArray, unite
from geocells.sphere import FloatArray, latlon_from_vectors, unit_vectors

_STEP_RAD = np.radians(0.2)
"""Borders are great circles, written as chords this long: off by 30 m at most at 60 degrees."""
_GUARD_RAD = np.radians(150.0)
"""Sites this far around the real ones close the outer regions, 75 degrees away or more."""
_GUARDS = 5


def divide(
    polygon: shapely.Geometry, sites: FloatArray, label: IntArray, photos: Sites
) -> GeometryArray:
    """Divide a polygon among labelled sites.

    A label's land may fall into several pieces. The piece with most photos is kept; the others go
    to the label that they share the longest border with, and stay if they are islands.

    Args:
        polygon: valid, lon/lat degrees; longitudes may run beyond 180, but not around the Earth.
        sites: (S, 3) unit vectors.
        label: (S,) labels 0..L-1 of the sites, L >= 2.
        photos: where photos are, to tell which piece is the main one.

    Returns:
        (L,) valid polygons that tile the polygon; empty for a label without land.
    """
    west, _, east, _ = shapely.bounds(polygon)
    middle = (west + east) / 2.0
    pieces = _cut(polygon, _borders(sites, label, middle))
    inner = shapely.get_coordinates(shapely.point_on_surface(pieces))[:, ::-1]
    owner = label[_nearest(unit_vectors(inner), sites)]
    n_labels = int(label.max()) + 1
    pieces, owner = _united(pieces, owner, n_labels)
    if len(pieces) > len(np.unique(owner)):
        owner = _settle(pieces, owner, _photos_of(pieces, photos, middle))
    return _by_label(pieces, owner, n_labels)


def _borders(sites: FloatArray, label: IntArray, middle: float) -> GeometryArray:
    """Great-circle arcs (A,) between sites of unlike labels, as lines of lon/lat."""
    around = _with_guards(sites)
    triangle, edge = _delaunay(around)
    apart = np.append(label, np.full(_GUARDS, -1))
    real = (edge < len(sites)).all(axis=1) & (apart[edge[:, 0]] != apart[edge[:, 1]])
    edge, triangle = edge[real], triangle[real]
    first, second = around[edge[:, 0]], around[edge[:, 1]]
    # the bisector is the great circle through the middle of both, at right angles to their chord
    axis = (first + second) / np.linalg.norm(first + second, axis=1, keepdims=True)
    normal = (first - second) / np.linalg.norm(first - second, axis=1, keepdims=True)
    along = np.cross(normal, axis)
    angle = np.stack(
        [
            np.arctan2(_dot(corner, along), _dot(corner, axis))
            for corner in (triangle[:, 0], triangle[:, 1])
        ],
        axis=1,
    )
    count = np.ceil(np.abs(angle[:, 1] - angle[:, 0]) / _STEP_RAD).astype(int) + 1
    arc = np.repeat(np.arange(len(edge)), count + 1)
    step = np.arange(len(arc)) - np.repeat(np.cumsum(count + 1) - (count + 1), count + 1)
    theta = angle[arc, 0] + (angle[arc, 1] - angle[arc, 0]) * step / count[arc]
    xyz = np.cos(theta)[:, None] * axis[arc] + np.sin(theta)[:, None] * along[arc]
    return _lines(latlon_from_vectors(xyz), arc, middle)


def _lines(latlon: FloatArray, arc: IntArray, middle: float) -> GeometryArray:
    """One line for each arc, within 180 degrees of the middle meridian and broken beyond."""
    lon = middle + np.mod(latlon[:, 1] - middle + 180.0, 360.0) - 180.0
    new = (np.diff(arc, prepend=-1) != 0) | (np.abs(np.diff(lon, prepend=lon[:1])) > 180.0)
    line = np.cumsum(new) - 1
    long_enough = np.bincount(line)[line] > 1
    line = np.unique(line[long_enough], return_inverse=True)[1]
    xy = np.stack([lon, latlon[:, 0]], axis=1)[long_enough]
    lines: GeometryArray = shapely.linestrings(xy, indices=line)
    return lines


def _with_guards(sites: FloatArray) -> FloatArray:
    """Sites, and behind them a ring of far ones, so that every real region is closed."""
    centre, east, north = _frame(sites)
    turn = 2.0 * np.pi * (np.arange(_GUARDS) + 0.3) / _GUARDS
    sideways = np.cos(turn)[:, None] * east + np.sin(turn)[:, None] * north
    ring = np.cos(_GUARD_RAD) * centre + np.sin(_GUARD_RAD) * sideways
    return np.concatenate([sites, ring])


def _frame(sites: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Middle of the sites, and two directions at right angles to it and to each other."""
    centre = sites.mean(axis=0)
    centre = centre / np.linalg.norm(centre)
    aside = np.eye(3)[np.argmin(np.abs(centre))]
    east = np.cross(aside, centre)
    east /= np.linalg.norm(east)
    return centre, east, np.cross(centre, east)


def _delaunay(xyz: FloatArray) -> tuple[FloatArray, IntArray]:
    """Inner edges of the spherical Delaunay triangulation.

    Stereographic projection maps circles to circles, so that the empty circles of the plane are
    those of the sphere.

    Returns:
        (E, 2, 3) Voronoi corners at the ends of the border of the two sites, and (E, 2) these.
    """
    centre, east, north = _frame(xyz[:-_GUARDS])
    depth = 1.0 + xyz @ centre
    plane = np.stack([xyz @ east / depth, xyz @ north / depth], axis=1)
    mesh = Delaunay(plane)
    a, b, c = (xyz[mesh.simplices[:, i]] for i in range(3))
    # at right angles to the triangle, so as far from a, b and c; outward, as scipy turns left
    corner = np.cross(b - a, c - a)
    corner /= np.linalg.norm(corner, axis=1, keepdims=True).clip(1e-300)
    face, side = np.nonzero(mesh.neighbors >= 0)
    other = mesh.neighbors[face, side]
    once = face < other
    face, side, other = face[once], side[once], other[once]
    ends = np.stack(
        [mesh.simplices[face, (side + 1) % 3], mesh.simplices[face, (side + 2) % 3]], axis=1
    )
    return np.stack([corner[face], corner[other]], axis=1), ends.astype(np.intp)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    product: FloatArray = np.einsum("ij,ij->i", a, b)
    return product


def _nearest(xyz: FloatArray, sites: FloatArray) -> IntArray:
    """Site (N,) nearest to each point; sums in one order, whatever library multiplies matrices."""
    cosine = sum(np.multiply.outer(xyz[:, axis], sites[:, axis]) for axis in range(3))
    nearest: IntArray = np.argmax(cosine, axis=1)
    return nearest


def _cut(polygon: shapely.Geometry, lines: GeometryArray) -> GeometryArray:
    """Faces (F,) into which lines cut a polygon."""
    faces: list[GeometryArray] = []
    tree = shapely.STRtree(lines)
    for part in shapely.get_parts(polygon):
        shapely.prepare(part)
        crossing = lines[tree.query(part, predicate="intersects")]
        if not len(crossing):
            faces.append(np.array([part]))
            continue
        net = shapely.union_all(np.append(crossing, shapely.boundary(part)))
        found = shapely.get_parts(shapely.polygonize(shapely.get_parts(net)))
        inner = shapely.point_on_surface(found)
        faces.append(found[shapely.intersects(part, inner)])  # not the lakes
    return np.concatenate(faces)


def _united(
    pieces: GeometryArray, owner: IntArray, n_labels: int
) -> tuple[GeometryArray, IntArray]:
    """Connected pieces of each label, and their labels."""
    whole = _by_label(pieces, owner, n_labels)
    return shapely.get_parts(whole, return_index=True)


def _by_label(pieces: GeometryArray, owner: IntArray, n_labels: int) -> GeometryArray:
    shapes = np.full(n_labels, shapely.MultiPolygon(), dtype=object)
    for label in np.unique(owner):
        mine = pieces[owner == label]
        shapes[label] = mine[0] if len(mine) == 1 else unite(mine)
    return shapes


def _photos_of(pieces: GeometryArray, photos: Sites, middle: float) -> FloatArray:
    """Number of photos (P,) on each piece."""
    latlon = latlon_from_vectors(photos.xyz)
    lon = middle + np.mod(latlon[:, 1] - middle + 180.0, 360.0) - 180.0
    point, piece = shapely.STRtree(pieces).query(
        shapely.points(lon, latlon[:, 0]), predicate="intersects"
    )
    return np.bincount(piece, photos.weight[point], len(pieces))


def _settle(pieces: GeometryArray, owner: IntArray, count: FloatArray) -> IntArray:
    """Labels (P,) after every lesser piece has joined the label around it, smallest first."""
    first, second = shapely.STRtree(pieces).query(pieces, predicate="intersects")
    apart = owner[first] != owner[second]
    first, second = first[apart], second[apart]
    shared = shapely.length(
        shapely.intersection(shapely.boundary(pieces[first]), shapely.boundary(pieces[second]))
    )
    area = shapely.area(pieces)
    order = np.lexsort((area, count))
    main = dict(zip(owner[order].tolist(), order.tolist(), strict=True))  # the last one stays
    owner = owner.copy()
    for piece in order.tolist():
        if main[int(owner[piece])] == piece:
            continue
        mine = (first == piece) & (owner[second] != owner[piece]) & (shared > 0)
        if mine.any():
            border = np.bincount(owner[second[mine]], shared[mine])
            owner[piece] = int(np.argmax(border))
    return owner
