"""The recipe: coordinates and borders -> semantic geocells."""

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
    """Divide the land into semantic geocells (Haas et al., CVPR 2024, section 3.1).

    Starting from the finest administrative units, those with few photos are united with neighbours
    and those with many are split where photos cluster. No cell crosses a border between countries,
    and countries without photos are one cell each, so that the cells tile all land. The result
    depends neither on the order of the photos nor on the number of workers.

    Args:
        latlon: (N, 2) degrees of photos; may be empty.
        config: how fine.
        boundaries: borders; the embedded ones if left out.
        workers: processes that split units; the caller's own if left out.

    Returns:
        Cells sorted by id; each photo is counted in the cell that `locate` gives for it. Cells have
        `config.min_count` photos or more, except those that touch no other cell of their country.

    Raises:
        ValueError: a coordinate is out of range.
    """
    points = check_latlon(latlon)
    points = points[np.lexsort(points.T)]  # sums do not depend on the order they came in
    wanted = config or CellConfig()
    units = _Units.of(embedded_boundaries() if boundaries is None else boundaries)
    row, ashore = units.borders.finest.index.snap(points)
    unit = row.astype(np.intp)
    group = _group_units(units, unit, points, wanted)
    land = dissolve(units.polygons, group, int(group.max()) + 1)
    cell_group, path, polygon = _split_groups(
        land, group[unit], ashore, wanted, workers or Workers()
    )
    head = _heads(units, group, unit)[cell_group]
    table = _table(units, head, path, polygon, points)
    return _without_small_cells(table, points, wanted)


@dataclass(frozen=True, eq=False)
class _Units:
    """The finest administrative units."""

    borders: Boundaries
    polygons: GeometryArray
    """(U,) unwrapped: the antimeridian parts no country."""
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
    """Group (U,) of each unit after uniting the small ones."""
    count = np.bincount(unit, minlength=len(units))
    home, seat = np.unique(_attach_empty(units, count, unit, points), return_inverse=True)
    bounds = shapely.bounds(units.polygons)
    low = np.full((len(home), 2), np.inf)
    high = np.full((len(home), 2), -np.inf)
    np.minimum.at(low, seat, bounds[:, :2])
    np.maximum.at(high, seat, bounds[:, 2:])
    pairs = touching(units.polygons, units.country, seat, config.touch_deg)
    merged = merge_small(
        count[home],
        units.region[home],
        units.country[home],
        np.concatenate([low, high], axis=1),
        pairs,
        config,
    )
    return merged[seat]


def _attach_empty(
    units: _Units, count: Int64Array, unit: IndexArray, points: Float64Array
) -> IndexArray:
    """Unit (U,) with photos that each unit without any is attached to.

    It is the nearest in its region, else in its country, by inner points and means of photos; in a
    country without photos the first unit.
    """
    inner = shapely.get_coordinates(shapely.point_on_surface(units.borders.finest.polygons))
    used = count > 0
    centre = np.where(used[:, None], group_means(points, unit, len(units)), inner[:, ::-1])
    home = np.where(used, np.arange(len(units)), -1)
    for parent in (units.region, units.country):
        order = np.argsort(parent, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(parent[order])) + 1):
            hosts, guests = members[used[members]], members[home[members] < 0]
            if len(hosts) and len(guests):
                nearest = NearestPoints(centre[hosts]).query(centre[guests])[1][:, 0]
                home[guests] = hosts[nearest]
    lonely = np.flatnonzero(home < 0)
    first = np.unique(units.country, return_index=True)[1]
    home[lonely] = first[units.country[lonely]]
    return home


def _heads(units: _Units, group: IndexArray, unit: IndexArray) -> IndexArray:
    """The unit (G,) that names each group: the one with most photos, the first of equals."""
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
    """Group, path and polygon of every cell."""
    xyz = unit_vectors(points)
    order = np.argsort(owner, kind="stable")
    edges = np.searchsorted(owner[order], np.arange(len(land) + 1))
    count = np.diff(edges)
    dense = np.flatnonzero(count > config.max_count)
    dense = dense[np.argsort(-count[dense], kind="stable")]  # the longest task first
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
    units: _Units, head: IndexArray, path: list[str], polygon: GeometryArray, points: Float64Array
) -> CellTable:
    """Name the cells, and count the photos in them."""
    borders = units.borders
    country = borders.country.codes[units.country[head]].astype(np.str_)
    code = borders.finest.codes[head]
    names = [f"{a}/{b}{c}" for a, b, c in zip(country, code, path, strict=True)]
    order = np.argsort(names)
    region = units.region[head[order]]
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
    return table.counted(points)


def _without_small_cells(table: CellTable, points: Float64Array, config: CellConfig) -> CellTable:
    """Unite cells that photos at sea or on a line have left small.

    Inside `split` a photo at sea belongs to the nearest photos on land; in the table to the nearest
    shore. What falls below the minimum by that joins the touching cell with fewest photos.
    """
    while True:
        group = _small_with_neighbours(table, config)
        if (group == np.arange(len(table))).all():
            return table
        table = table.united(group).counted(points)


def _small_with_neighbours(table: CellTable, config: CellConfig) -> IndexArray:
    """Row (C,) of the cell that each cell joins: its own for nearly all."""
    lacking = table.count < config.min_count
    row = np.flatnonzero(np.isin(table.country, table.country[lacking]))
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
        guest = min(small, key=lambda i: (count[i], i))
        host = min(near[guest], key=lambda i: (count[i], i))
        group[group == guest] = host
        count[host] += count[guest]
        links = near.pop(guest)
        for other in links - {host}:
            near[other] = (near[other] - {guest}) | {host}
        near[host] = (near[host] | links) - {host, guest}
    return group
