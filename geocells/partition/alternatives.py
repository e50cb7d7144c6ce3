"""Partitions that ignore borders, as baselines for semantic geocells.

Each divides the whole map, land and sea, by the photos alone. Country and region of a cell are
those of its centroid. Rectangles, H3 and S2 cells are divided until no cell has more than
`config.max_count` photos; they do not use `config.min_count`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocells.borders.hierarchy import embedded_boundaries
from geocells.partition.config import CellConfig
from geocells.partition.cutting import STEP_RAD, cut, lines, world
from geocells.partition.voronoi import tessellate
from geocells.polygons import dissolve
from geocells.sphere import check_latlon, unit_vectors
from geocells.table import CellTable
from geocells.types import FixedStrArray, Float64Array, GeometryArray, IndexArray

_IdArray = npt.NDArray[np.uint64]

_KMEANS_STEP_DEG = 0.01


def rectangles(latlon: npt.ArrayLike, config: CellConfig) -> CellTable:
    """Return PIGEON's naive cells: rectangles, halved repeatedly across their longer side."""
    points = check_latlon(latlon)
    names: list[str] = []
    boxes: list[tuple[float, ...]] = []
    waiting = [("", (-180.0, -90.0, 180.0, 90.0), points)]
    while waiting:
        path, (west, south, east, north), inside = waiting.pop()
        if len(inside) <= config.max_count or len(path) > 60:
            names.append("box/" + path)
            boxes.append((west, south, east, north))
            continue
        if east - west >= north - south:
            middle = (west + east) / 2.0
            low, high = (west, south, middle, north), (middle, south, east, north)
            above = inside[:, 1] >= middle
        else:
            middle = (south + north) / 2.0
            low, high = (west, south, east, middle), (west, middle, east, north)
            above = inside[:, 0] >= middle
        waiting += [(path + "1", high, inside[above]), (path + "0", low, inside[~above])]
    return _table(np.array(names), shapely.box(*np.array(boxes).T), points)


def hexagons(latlon: npt.ArrayLike, config: CellConfig) -> CellTable:
    """Return H3 cells, each as coarse as `config.max_count` allows."""
    import h3.api.numpy_int as h3

    def cells_of(points: Float64Array) -> _IdArray:
        cells = [h3.latlng_to_cell(lat, lon, _H3.finest) for lat, lon in points.tolist()]
        return np.array(cells, np.uint64)

    def ring(cell: int) -> Float64Array:
        return unit_vectors(np.array(h3.cell_to_boundary(cell)))

    return _adaptive_grid(latlon, config, _H3, cells_of, ring)


def quads(latlon: npt.ArrayLike, config: CellConfig) -> CellTable:
    """Return S2 cells, each as coarse as `config.max_count` allows."""
    import s2geometry as s2

    def cells_of(points: Float64Array) -> _IdArray:
        spots = [s2.S2LatLng.FromDegrees(lat, lon) for lat, lon in points.tolist()]
        return np.array([s2.S2CellId(spot).id() for spot in spots], np.uint64)

    def ring(cell: int) -> Float64Array:
        quad = s2.S2Cell(s2.S2CellId(cell))
        points = [quad.GetVertex(i) for i in range(4)]
        return np.array([(point.x(), point.y(), point.z()) for point in points])

    return _adaptive_grid(latlon, config, _S2, cells_of, ring)


def kmeans(latlon: npt.ArrayLike, config: CellConfig) -> CellTable:
    """Return Voronoi cells of k-means on the sphere.

    Their number gives a mean count halfway between `config.min_count` and `config.max_count`.
    """
    from sklearn.cluster import KMeans

    points = check_latlon(latlon)
    square = np.floor(points / _KMEANS_STEP_DEG)
    _, first, weight = np.unique(square, axis=0, return_index=True, return_counts=True)
    n_clusters = round(2 * len(points) / (config.min_count + config.max_count))
    model = KMeans(min(max(4, n_clusters), len(first)), n_init=1, max_iter=50, random_state=0)
    model.fit(unit_vectors(points[first]), sample_weight=weight)
    centres = model.cluster_centers_ / np.linalg.norm(model.cluster_centers_, axis=1)[:, None]
    centres = centres[np.lexsort(centres.T)]
    names = np.array([f"kmeans/{rank:05}" for rank in range(len(centres))])
    return _table(names, tessellate(centres), points)


@dataclass(frozen=True)
class _Grid:
    """A hierarchical grid in which an id determines the ids of all ancestors."""

    name: str
    finest: int
    """Level of cells of about 100 m, which are not divided."""
    ancestor: Callable[[_IdArray, int], _IdArray]
    """(N,) ids of the finest level and a level -> (N,) ids of that level."""


def _h3_ancestor(cell: _IdArray, level: int) -> _IdArray:
    # bits 52-55 hold the level; of the 15 digits of 3 bits those below it are all ones
    digits = np.uint64((1 << (3 * (15 - level))) - 1)
    return (cell & ~np.uint64(0xF << 52)) | np.uint64(level << 52) | digits


def _s2_ancestor(cell: _IdArray, level: int) -> _IdArray:
    last = 1 << (2 * (30 - level))  # the lowest set bit encodes the level
    return (cell & ~np.uint64(2 * last - 1)) | np.uint64(last)


_H3 = _Grid("h3", 10, _h3_ancestor)
_S2 = _Grid("s2", 17, _s2_ancestor)


def _adaptive_grid(
    latlon: npt.ArrayLike,
    config: CellConfig,
    grid: _Grid,
    cells_of: Callable[[Float64Array], _IdArray],
    ring: Callable[[int], Float64Array],
) -> CellTable:
    """Return the cells of a grid, divided while they have too many photos.

    The outlines of all cells cut the map into faces, and each face belongs to the cell of a point
    inside it. Grids whose children extend beyond their parents therefore cover the map too.

    Args:
        latlon: (N, 2) degrees.
        config: see the module docstring.
        grid: the grid.
        cells_of: (N, 2) degrees -> (N,) ids of the finest level.
        ring: id -> (K, 3) unit vectors of the corners.
    """
    points = check_latlon(latlon)
    fine = cells_of(points)
    leaves: list[_IdArray] = []
    for level in range(grid.finest + 1):
        cell, inverse, count = np.unique(
            grid.ancestor(fine, level), return_inverse=True, return_counts=True
        )
        over = (count > config.max_count) & (level < grid.finest)
        leaves.append(cell[~over])
        fine = fine[over[inverse]]
    leaf = np.sort(np.concatenate(leaves))
    rings = [_densify(ring(int(cell))) for cell in leaf]
    line = np.repeat(np.arange(len(rings)), [len(edge) for edge in rings])
    faces = cut(world(), lines(np.concatenate(rings), line, 0.0))
    inner = shapely.get_coordinates(shapely.point_on_surface(faces))[:, ::-1]
    owner = _leaf_of(cells_of(inner), leaf, grid)
    present, owner = np.unique(owner, return_inverse=True)
    names = [f"{grid.name}/{leaf[i]:x}" if i >= 0 else f"{grid.name}/rest" for i in present]
    return _table(np.array(names), dissolve(faces, owner, len(present)), points)


def _leaf_of(fine: _IdArray, leaf: _IdArray, grid: _Grid) -> IndexArray:
    """Return the leaf (N,) that contains each cell of the finest level; -1 if none does."""
    owner = np.full(len(fine), -1)
    for level in range(grid.finest + 1):
        above = grid.ancestor(fine, level)
        row = np.searchsorted(leaf, above).clip(max=len(leaf) - 1)
        owner = np.where(leaf[row] == above, row, owner)
    return owner


def _densify(ring: Float64Array) -> Float64Array:
    """Return a closed ring of corners with short steps along great circles."""
    after = np.roll(ring, -1, axis=0)
    count = np.ceil(np.linalg.norm(after - ring, axis=1) / STEP_RAD).astype(int)
    edge = np.repeat(np.arange(len(ring)), count)
    step = (np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)) / count[edge]
    xyz = ring[edge] + step[:, None] * (after - ring)[edge]
    return np.concatenate([xyz, ring[:1]])


def _table(names: FixedStrArray, polygons: GeometryArray, points: Float64Array) -> CellTable:
    """Return the table of cells with the counts of their photos, sorted by name."""
    blank = np.full(len(names), "")
    count = np.zeros(len(names), np.int64)
    centroids = np.zeros((len(names), 2))
    table = CellTable(names, blank, blank, blank, centroids, polygons, count).recount(points)
    borders = embedded_boundaries()
    rows: IndexArray = borders.locate(table.centroids).astype(np.intp)
    region = rows[:, min(1, rows.shape[1] - 1)]
    country = borders.country.codes[rows[:, 0]].astype(np.str_)
    code = borders.region.codes[region].astype(np.str_)
    return CellTable(
        names,
        country,
        borders.region.names[region].astype(np.str_),
        np.array([f"{a}/{b}" for a, b in zip(country, code, strict=True)]),
        table.centroids,
        polygons,
        table.count,
    ).take(np.argsort(names))


METHODS: dict[str, Callable[[npt.ArrayLike, CellConfig], CellTable]] = {
    "rectangles": rectangles,
    "h3": hexagons,
    "s2": quads,
    "kmeans": kmeans,
}
