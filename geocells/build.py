"""The recipe: coordinates and borders -> geocells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocells.boundaries import Boundaries, load_boundaries
from geocells.partition import WHOLE_MAP, merge_small, split_dense
from geocells.polygons import GeometryArray, dissolve, repair
from geocells.sphere import FloatArray, check_latlon, group_means
from geocells.table import CellTable

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class CellConfig:
    """How fine the cells are."""

    min_count: int = 30
    """Units with fewer photos are united with a neighbour of their region, then country."""
    max_count: int = 1000
    """Units with more photos are cut."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_count <= self.max_count:
            raise ValueError(
                f"min_count {self.min_count} and max_count {self.max_count}:"
                " expected 1 <= min_count <= max_count"
            )


def build_cells(
    latlon: npt.ArrayLike, config: CellConfig | None = None, boundaries: Boundaries | None = None
) -> CellTable:
    """Divide the land into geocells that respect borders and hold similar numbers of photos.

    Starting from the finest administrative units, units with few photos are united within their
    region, then within their country, and dense ones are cut. Countries without photos are one cell
    each, so that the cells cover all land.

    Args:
        latlon: (N, 2) degrees of photos; may be empty.
        config: how fine.
        boundaries: borders; the embedded ones if left out.

    Returns:
        Cells sorted by id; each photo is counted in the cell that `locate` gives for it.

    Raises:
        ValueError: a coordinate is out of range.
    """
    points = check_latlon(latlon)
    wanted = config or CellConfig()
    borders = load_boundaries() if boundaries is None else boundaries
    unit = borders.finest.locate(points).astype(np.intp)
    group = _merged_units(borders, unit, points, wanted)
    owner = group[unit]
    polygon = dissolve(borders.finest.polygons, group, int(group.max()) + 1)
    cell_id, cell_group, cell_polygon = _cut_units(
        _names(borders, unit, group), polygon, points, owner, wanted.max_count
    )
    order = np.argsort(cell_id)
    first_unit = np.unique(group, return_index=True)[1][cell_group]
    country = borders.country.codes[borders.ancestors(first_unit.astype(np.int32))[:, 0]]
    return _table(
        cell_id[order], country[order].astype(np.str_), cell_polygon[order], points, borders
    )


def _merged_units(
    borders: Boundaries, unit: IntArray, points: FloatArray, wanted: CellConfig
) -> IntArray:
    """Group (U,) of each finest unit after uniting the small ones."""
    units = len(borders.finest)
    count = np.bincount(unit, minlength=units)
    inside = shapely.get_coordinates(shapely.point_on_surface(borders.finest.polygons))[:, ::-1]
    mean = group_means(points, unit, units)
    centre = np.where(count[:, None] > 0, mean, inside)
    group = np.arange(units)
    ancestors = borders.ancestors(np.arange(units, dtype=np.int32)).astype(np.intp)
    for level in range(ancestors.shape[1] - 2, -1, -1):  # within regions first, countries last
        first = np.unique(group, return_index=True)[1]
        totals = np.bincount(group, count).astype(np.int64)
        centres = group_means(centre, group, len(first), count + 1e-3)
        parent = ancestors[first, level]
        merged = merge_small(totals, centres, parent, wanted.min_count, wanted.max_count)
        group = merged[group]
    return group


def _names(borders: Boundaries, unit: IntArray, group: IntArray) -> npt.NDArray[np.object_]:
    """Name of each group: that of its unit with most photos, the first one if there are none."""
    count = np.bincount(unit, minlength=len(group))
    order = np.lexsort((np.arange(len(group)), -count, group))
    head = order[np.unique(group[order], return_index=True)[1]]
    rows = borders.ancestors(head.astype(np.int32))
    country = borders.country.codes[rows[:, 0]]
    code = borders.finest.codes[head]
    return np.array([f"{a}/{b}" for a, b in zip(country, code, strict=True)], dtype=object)


def _cut_units(
    names: npt.NDArray[np.object_],
    polygon: GeometryArray,
    points: FloatArray,
    owner: IntArray,
    max_count: int,
) -> tuple[npt.NDArray[np.str_], IntArray, GeometryArray]:
    """Ids, groups and polygons of the cells that units are cut into."""
    ids: list[str] = []
    groups: list[int] = []
    shapes: list[GeometryArray] = []
    order = np.argsort(owner, kind="stable")
    edges = np.searchsorted(owner[order], np.arange(len(names) + 1))
    for group, name in enumerate(names):
        parts = split_dense(points[order[edges[group] : edges[group + 1]]], max_count)
        if parts == [("", WHOLE_MAP)]:
            cut = polygon[group : group + 1]
        else:
            boxes = shapely.box(*np.array([box for _, box in parts]).T)
            cut = repair(shapely.intersection(polygon[group], boxes))
        kept = [i for i in range(len(parts)) if not cut[i].is_empty]  # photos at sea have no land
        ids += [name + (f"#{parts[i][0]}" if parts[i][0] else "") for i in kept]
        groups += [group] * len(kept)
        shapes.append(cut[kept])
    return np.array(ids), np.array(groups, np.intp), np.concatenate(shapes)


def _table(
    cell_id: npt.NDArray[np.str_],
    country: npt.NDArray[np.str_],
    polygon: GeometryArray,
    points: FloatArray,
    borders: Boundaries,
) -> CellTable:
    """Count photos in the finished cells, and place and name each cell by them."""
    inside = shapely.get_coordinates(shapely.point_on_surface(polygon))[:, ::-1]
    empty = np.zeros(len(cell_id), np.int64)
    blank = np.full(len(cell_id), "")
    cell = CellTable(cell_id, country, blank, inside, polygon, empty).locate(points)
    count = np.bincount(cell, minlength=len(cell_id))
    mean = group_means(points, cell, len(cell_id))
    centroids = np.where(count[:, None] > 0, mean, inside)
    region = borders.locate(centroids)[:, min(1, len(borders.levels) - 1)]
    names = borders.region.names[region].astype(np.str_)
    return CellTable(cell_id, country, names, centroids, polygon, count.astype(np.int64))
