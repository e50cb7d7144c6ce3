"""Construction of semantic geocells from coordinates and borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocells.borders.hierarchy import Boundaries, embedded_boundaries
from geocells.neighbours import NearestPoints
from geocells.partition.config import CellConfig
from geocells.partition.merging import merge_small, touching
from geocells.partition.splitting import Piece, split
from geocells.partition.workers import Workers
from geocells.polygons import dissolve, split_antimeridian, unwrap
from geocells.sphere import check_latlon, group_means, unit_vectors
from geocells.table import CellTable
from geocells.types import Float64Array, GeometryArray, IndexArray, Int64Array


def build_cells(
    latlon: npt.ArrayLike,
    config: CellConfig | None = None,
    boundaries: Boundaries | None = None,
    workers: Workers | None = None,
) -> CellTable:
    """Divide all land into semantic geocells (PIGEON: Haas et al., CVPR 2024, section 3.1).

    The finest administrative units are the starting point. Units with few photos are merged with
    neighbours; units with many photos are split by density clustering. No cell crosses a border
    between countries, and a country without photos is one cell, so that the cells cover all land.
    The result depends neither on the order of the photos nor on the number of workers.

    Args:
        latlon: (N, 2) degrees of photos; may be empty.
        config: settings; PIGEON's by default.
        boundaries: borders; the embedded ones by default.
        workers: processes that split units; the calling process by default.

    Returns:
        Cells sorted by id; each photo is counted in the cell that `locate` returns for it. Cells
        have at least `config.min_count` photos, except those that touch no other cell of their
        country.

    Raises:
        ValueError: a coordinate is out of range.
    """
    points = check_latlon(latlon)
    points = points[np.lexsort(points.T)]  # sums must not depend on the order of the photos
    settings = config or CellConfig()
    units = _Units.of(embedded_boundaries() if boundaries is None else boundaries)
    row, ashore = units.borders.finest.index.snap(points)
    unit = row.astype(np.intp)
    group = _group_units(units, unit, points, settings)
    land = dissolve(units.polygons, group, int(group.max()) + 1)
    cell_group, path, polygon = _split_groups(
        land, group[unit], ashore, settings, workers or Workers()
    )
    name_unit = _naming_units(units, group, unit)[cell_group]
    table = _table(units, name_unit, path, polygon, points)
    return _without_small_cells(table, points, settings)


@dataclass(frozen=True, eq=False)
class _Units:
    """The finest administrative units."""

    borders: Boundaries
    polygons: GeometryArray
    """(U,) polygons after `unwrap`, which makes countries across the antimeridian contiguous."""
    country: IndexArray
    """(U,) row of the country."""
    region: IndexArray
    """(U,) row of the first-level region."""

    @classmethod
    def of(cls, borders: Boundaries) -> _Units:
        rows = borders.ancestors(np.arange(len(borders.finest), dtype=np.int32)).astype(np.intp)
        country, region = rows[:, 0], rows[:, min(1, rows.shape[1] - 1)]
        return cls(borders, unwrap(borders.finest.polygons, country), country, region)

    def __len__(self) -> int:
        return len(self.country)


def _group_units(
    units: _Units, unit: IndexArray, points: Float64Array, config: CellConfig
) -> IndexArray:
    """Return the group (U,) of each unit after merging small units."""
    count = np.bincount(unit, minlength=len(units))
    host, host_row = np.unique(_attach_empty(units, count, unit, points), return_inverse=True)
    bounds = shapely.bounds(units.polygons)
    low = np.full((len(host), 2), np.inf)
    high = np.full((len(host), 2), -np.inf)
    np.minimum.at(low, host_row, bounds[:, :2])
    np.maximum.at(high, host_row, bounds[:, 2:])
    pairs = touching(units.polygons, units.country, host_row, config.touch_deg)
    merged = merge_small(
        count[host],
        units.region[host],
        units.country[host],
        np.concatenate([low, high], axis=1),
        pairs,
        config,
    )
    return merged[host_row]


def _attach_empty(
    units: _Units, count: Int64Array, unit: IndexArray, points: Float64Array
) -> IndexArray:
    """Return the host (U,) of each unit: itself, or the nearest unit with photos if it has none.

    Hosts are searched in the same region, then in the same country. The distance is that between a
    point inside the unit and the mean of the host's photos. In a country without photos, the first
    unit is the host of all.
    """
    inner = shapely.get_coordinates(shapely.point_on_surface(units.borders.finest.polygons))
    used = count > 0
    centre = np.where(used[:, None], group_means(points, unit, len(units)), inner[:, ::-1])
    host = np.where(used, np.arange(len(units)), -1)
    for parent in (units.region, units.country):
        order = np.argsort(parent, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(parent[order])) + 1):
            hosts, empty = members[used[members]], members[host[members] < 0]
            if len(hosts) and len(empty):
                nearest = NearestPoints(centre[hosts]).query(centre[empty])[1][:, 0]
                host[empty] = hosts[nearest]
    remaining = np.flatnonzero(host < 0)
    first = np.unique(units.country, return_index=True)[1]
    host[remaining] = first[units.country[remaining]]
    return host


def _naming_units(units: _Units, group: IndexArray, unit: IndexArray) -> IndexArray:
    """Return the unit (G,) with most photos of each group, which names it; ties go to the first."""
    count = np.bincount(unit, minlength=len(units))
    order = np.lexsort((np.arange(len(units)), -count, group))
    return order[np.unique(group[order], return_index=True)[1]]


def _split_groups(
    land: GeometryArray,
    owner: IndexArray,
    points: Float64Array,
    config: CellConfig,
    workers: Workers,
) -> tuple[IndexArray, list[str], GeometryArray]:
    """Split groups with too many photos; return group, path and polygon of every cell."""
    xyz = unit_vectors(points)
    order = np.argsort(owner, kind="stable")
    edges = np.searchsorted(owner[order], np.arange(len(land) + 1))
    count = np.diff(edges)
    dense = np.flatnonzero(count > config.max_count)
    dense = dense[
        np.argsort(-count[dense], kind="stable")
    ]  # longest tasks first, so that workers finish together
    tasks = [
        (Piece("", land[i], xyz[order[edges[i] : edges[i + 1]]]), config) for i in dense.tolist()
    ]
    whole = np.flatnonzero(count <= config.max_count)
    groups, paths, polygons = whole.tolist(), [""] * len(whole), land[whole].tolist()
    for group, parts in zip(dense.tolist(), workers.map(_split_unit, tasks), strict=True):
        groups += [group] * len(parts)
        paths += [path for path, _ in parts]
        polygons += [polygon for _, polygon in parts]
    cells = np.empty(len(polygons), dtype=object)
    cells[:] = polygons
    return np.array(groups, np.intp), paths, cells


_Task = tuple[Piece, CellConfig]
_Parts = list[tuple[str, shapely.Geometry]]


def _split_unit(task: _Task) -> _Parts:
    return [(piece.path, piece.polygon) for piece in split(*task)]


def _table(
    units: _Units, unit: IndexArray, path: list[str], polygon: GeometryArray, points: Float64Array
) -> CellTable:
    """Return the table of named cells with the counts of their photos."""
    borders = units.borders
    country = borders.country.codes[units.country[unit]].astype(np.str_)
    code = borders.finest.codes[unit]
    names = [f"{a}/{b}{c}" for a, b, c in zip(country, code, path, strict=True)]
    order = np.argsort(names)
    region = units.region[unit[order]]
    owner = country[order]
    wrapped = split_antimeridian(polygon[order])
    codes = borders.region.codes[region].astype(np.str_)
    table = CellTable(
        cell_id=np.array(names)[order],
        country=owner,
        region=borders.region.names[region].astype(np.str_),
        region_id=np.array([f"{a}/{b}" for a, b in zip(owner, codes, strict=True)]),
        centroids=np.zeros((len(order), 2)),
        polygon=wrapped,
        count=np.zeros(len(order), np.int64),
    )
    return table.recount(points)


def _without_small_cells(table: CellTable, points: Float64Array, config: CellConfig) -> CellTable:
    """Merge cells that have fewer photos in the table than `split` counted.

    `split` assigns a photo at sea to the nearest photos on land, the table to the nearest coast. A
    cell that falls below the minimum is merged with the touching cell that has fewest photos.
    """
    while True:
        group = _small_with_neighbours(table, config)
        if (group == np.arange(len(table))).all():
            return table
        table = table.merge(group).recount(points)


def _small_with_neighbours(table: CellTable, config: CellConfig) -> IndexArray:
    """Return the row (C,) of the cell that each cell is merged into: its own for nearly all."""
    too_small = table.count < config.min_count
    row = np.flatnonzero(np.isin(table.country, table.country[too_small]))
    country = np.unique(table.country[row], return_inverse=True)[1]
    pairs = touching(unwrap(table.polygon[row], country), country, row, config.touch_deg)
    near: dict[int, set[int]] = {}
    for a, b in pairs.tolist():
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    group = np.arange(len(table))
    count = table.count.copy()
    while True:
        small = [i for i in near if group[i] == i and count[i] < config.min_count and near[i]]
        if not small:
            break
        smallest = min(small, key=lambda i: (count[i], i))
        host = min(near[smallest], key=lambda i: (count[i], i))
        group[group == smallest] = host
        count[host] += count[smallest]
        links = near.pop(smallest)
        for other in links - {host}:
            near[other] = (near[other] - {smallest}) | {host}
        near[host] = (near[host] | links) - {host, smallest}
    return group
