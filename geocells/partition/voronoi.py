"""Voronoi division on the sphere: every point goes to the label of the nearest site."""

from __future__ import annotations

import numpy as np
import shapely
from scipy.spatial import ConvexHull, Delaunay, KDTree, QhullError

from geocells.partition.clustering import Sites
from geocells.partition.cutting import STEP_RAD, cut, lines, middle_meridian, project_around, world
from geocells.polygons import unite
from geocells.sphere import dot, unit_vectors
from geocells.types import Float64Array, GeometryArray, IndexArray

_GUARD_RAD = np.radians(150.0)
"""Angle between the real sites and the guard sites, which bound the outer regions."""
_GUARDS = 5
_FAR_DIRECTIONS = (
    np.array([[2, 1, 2], [-2, 2, 1], [-1, -2, 2], [-2, -1, -2], [2, -2, -1], [1, 2, -2]]) / 3.0
)


def divide(
    polygon: shapely.Geometry, sites: Float64Array, label: IndexArray, photos: Sites | None
) -> GeometryArray:
    """Divide a polygon among labelled sites.

    The area of a label may consist of several pieces. The piece with most photos keeps the label;
    any other piece gets the label with which it shares the longest border. Islands are unchanged.

    Args:
        polygon: valid, lon/lat degrees; longitudes may exceed 180, but span less than 360.
        sites: (S, 3) unit vectors.
        label: (S,) labels 0..L-1 of the sites, L >= 2.
        photos: photos that determine the main piece of each label; without them, every piece keeps
            the label of the nearest site.

    Returns:
        (L,) valid polygons that together cover the polygon; empty for a label without area.
    """
    middle = middle_meridian(polygon)
    pieces = cut(polygon, _borders(sites, label, middle))
    inner = shapely.get_coordinates(shapely.point_on_surface(pieces))[:, ::-1]
    owner = label[_nearest(unit_vectors(inner), sites)]
    n_labels = int(label.max()) + 1
    pieces, owner = _connected_pieces(pieces, owner, n_labels)
    if photos and len(pieces) > len(np.unique(owner)):
        owner = _reassign_minor_pieces(pieces, owner, _photos_of(pieces, photos, middle))
    return _by_label(pieces, owner, n_labels)


def tessellate(sites: Float64Array) -> GeometryArray:
    """Return Voronoi polygons (S,) of sites (S, 3) for the whole Earth, split at the antimeridian.

    Raises:
        ValueError: all sites lie in one plane, for example fewer than four sites.
    """
    # extra sites in directions without sites bound all regions; their faces go to real sites
    far = _FAR_DIRECTIONS[(_FAR_DIRECTIONS @ sites.T).max(axis=1) < 0.5]
    everywhere = np.concatenate([sites, far])
    try:
        hull = ConvexHull(everywhere)
    except QhullError as error:
        raise ValueError(
            f"{len(sites)} sites lie in one plane, so that no tessellation exists; add photos"
        ) from error
    corner = hull.equations[:, :3]
    edge, pair = _inner_edges(hull.simplices, hull.neighbors)
    faces = cut(world(), _arcs(everywhere[edge], corner[pair], 0.0))
    inner = shapely.get_coordinates(shapely.point_on_surface(faces))[:, ::-1]
    return _by_label(faces, _nearest(unit_vectors(inner), sites), len(sites))


def _borders(sites: Float64Array, label: IndexArray, middle: float) -> GeometryArray:
    """Return great-circle arcs (A,) between sites of different labels, as lines of lon/lat."""
    everywhere = _with_guards(sites)
    edge, ends = _delaunay(everywhere)
    apart = np.append(label, np.full(_GUARDS, -1))
    real = (edge < len(sites)).all(axis=1) & (apart[edge[:, 0]] != apart[edge[:, 1]])
    return _arcs(everywhere[edge[real]], ends[real], middle)


def _arcs(pair: Float64Array, ends: Float64Array, middle: float) -> GeometryArray:
    """Return bisectors (E,) of pairs of sites (E, 2, 3) between Voronoi corners (E, 2, 3)."""
    first, second = pair[:, 0], pair[:, 1]
    # the bisector is the great circle through the midpoint, perpendicular to the chord
    axis = (first + second) / np.linalg.norm(first + second, axis=1, keepdims=True)
    normal = (first - second) / np.linalg.norm(first - second, axis=1, keepdims=True)
    along = np.cross(normal, axis)
    angle = np.stack(
        [np.arctan2(dot(ends[:, i], along), dot(ends[:, i], axis)) for i in (0, 1)], axis=1
    )
    count = np.ceil(np.abs(angle[:, 1] - angle[:, 0]) / STEP_RAD).astype(int) + 1
    arc = np.repeat(np.arange(len(pair)), count + 1)
    step = np.arange(len(arc)) - np.repeat(np.cumsum(count + 1) - (count + 1), count + 1)
    theta = angle[arc, 0] + (angle[arc, 1] - angle[arc, 0]) * step / count[arc]
    xyz = np.cos(theta)[:, None] * axis[arc] + np.sin(theta)[:, None] * along[arc]
    # arcs that meet must end in exactly the same point, or no face would close
    xyz[step == 0], xyz[step == count[arc]] = ends[:, 0], ends[:, 1]
    return lines(xyz, arc, middle)


def _with_guards(sites: Float64Array) -> Float64Array:
    """Return the sites followed by a ring of far guard sites, which bound every real region."""
    centre, east, north = _frame(sites)
    turn = 2.0 * np.pi * (np.arange(_GUARDS) + 0.3) / _GUARDS
    sideways = np.cos(turn)[:, None] * east + np.sin(turn)[:, None] * north
    ring = np.cos(_GUARD_RAD) * centre + np.sin(_GUARD_RAD) * sideways
    return np.concatenate([sites, ring])


def _frame(sites: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return the mean direction of the sites and two directions perpendicular to it."""
    centre = sites.mean(axis=0)
    centre = centre / np.linalg.norm(centre)
    aside = np.eye(3)[np.argmin(np.abs(centre))]
    east = np.cross(aside, centre)
    east /= np.linalg.norm(east)
    return centre, east, np.cross(centre, east)


def _delaunay(xyz: Float64Array) -> tuple[IndexArray, Float64Array]:
    """Return the inner edges of the spherical Delaunay triangulation of sites and guards.

    Stereographic projection maps circles to circles, so that a planar Delaunay triangulation is
    also one on the sphere. For sites that are close together it is numerically more robust than a
    convex hull, for which they lie in one plane.

    Returns:
        (E, 2) sites, and (E, 2, 3) Voronoi corners at the ends of their common border.
    """
    centre, east, north = _frame(xyz[:-_GUARDS])
    depth = 1.0 + dot(xyz, centre)
    plane = np.stack([dot(xyz, east) / depth, dot(xyz, north) / depth], axis=1)
    mesh = Delaunay(plane)
    a, b, c = (xyz[mesh.simplices[:, i]] for i in range(3))
    # the circumcentre is normal to the triangle; it points outward, as scipy orders sites leftward
    corner = np.cross(b - a, c - a)
    corner /= np.linalg.norm(corner, axis=1, keepdims=True).clip(1e-300)
    edge, pair = _inner_edges(mesh.simplices, mesh.neighbors)
    return edge, corner[pair]


def _inner_edges(triangles: IndexArray, neighbours: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the sites (E, 2) at the ends of each edge and the triangles (E, 2) on its sides."""
    face, side = np.nonzero(neighbours >= 0)
    other = neighbours[face, side]
    once = face < other
    face, side, other = face[once], side[once], other[once]
    ends = np.stack([triangles[face, (side + 1) % 3], triangles[face, (side + 2) % 3]], axis=1)
    return ends.astype(np.intp), np.stack([face, other], axis=1)


def _nearest(xyz: Float64Array, sites: Float64Array) -> IndexArray:
    """Return the site (N,) nearest to each point."""
    nearest: IndexArray = KDTree(sites).query(xyz)[1]
    return nearest


def _connected_pieces(
    pieces: GeometryArray, owner: IndexArray, n_labels: int
) -> tuple[GeometryArray, IndexArray]:
    """Return the connected pieces of each label, and their labels."""
    connected, label = shapely.get_parts(_by_label(pieces, owner, n_labels), return_index=True)
    return connected, label


def _by_label(pieces: GeometryArray, owner: IndexArray, n_labels: int) -> GeometryArray:
    """Return the union of the pieces of each label; empty for a label without pieces."""
    shapes = np.full(n_labels, shapely.MultiPolygon(), dtype=object)
    for label in np.unique(owner):
        mine = pieces[owner == label]
        shapes[label] = mine[0] if len(mine) == 1 else unite(mine)
    return shapes


def _photos_of(pieces: GeometryArray, photos: Sites, middle: float) -> Float64Array:
    """Return the number of photos (P,) on each piece."""
    lon, lat = project_around(photos.xyz, middle)
    point, piece = shapely.STRtree(pieces).query(shapely.points(lon, lat), predicate="intersects")
    count: Float64Array = np.bincount(piece, photos.weight[point], len(pieces)).astype(float)
    return count


def _reassign_minor_pieces(
    pieces: GeometryArray, owner: IndexArray, count: Float64Array
) -> IndexArray:
    """Return labels (P,) after each minor piece got the label around it, smallest pieces first."""
    first, second = shapely.STRtree(pieces).query(pieces, predicate="intersects")
    apart = owner[first] != owner[second]
    first, second = first[apart], second[apart]
    shared = shapely.length(
        shapely.intersection(shapely.boundary(pieces[first]), shapely.boundary(pieces[second]))
    )
    area = shapely.area(pieces)
    order = np.lexsort((area, count))
    main = dict(
        zip(owner[order].tolist(), order.tolist(), strict=True)
    )  # the last one of a label has most photos
    owner = owner.copy()
    for piece in order.tolist():
        if main[int(owner[piece])] == piece:
            continue
        mine = (first == piece) & (owner[second] != owner[piece]) & (shared > 0)
        if mine.any():
            border = np.bincount(owner[second[mine]], shared[mine])
            owner[piece] = int(np.argmax(border))
    return owner
