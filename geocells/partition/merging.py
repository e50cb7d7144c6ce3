"""Merging of units that have too few photos."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
import shapely

from geocells.partition.config import CellConfig
from geocells.types import Float64Array, GeometryArray, IndexArray, Int64Array


def touching(
    polygons: GeometryArray, country: IndexArray, group: IndexArray, touch_deg: float
) -> IndexArray:
    """Return pairs of neighbouring groups within each country.

    Args:
        polygons: (U,) lon/lat degrees after `unwrap`; no country is cut at the antimeridian.
        country: (U,) integers.
        group: (U,) integers; all units of a group are in one country.
        touch_deg: largest gap between the borders of neighbours.

    Returns:
        (P, 2) groups, each pair once, sorted.
    """
    reach = touch_deg * np.array([-1, -1, 1, 1])
    first, second = shapely.STRtree(polygons).query(
        shapely.box(*(shapely.bounds(polygons) + reach).T)
    )
    apart = (group[first] < group[second]) & (country[first] == country[second])
    first, second = first[apart], second[apart]
    near = shapely.dwithin(polygons[first], polygons[second], touch_deg)
    pairs = np.stack([group[first[near]], group[second[near]]], axis=1)
    return np.unique(pairs, axis=0)


@dataclass
class _Cell:
    """Merged units."""

    units: list[int]
    count: int
    region: int
    box: Float64Array
    neighbours: set[int] = field(default_factory=set)


def merge_small(
    count: Int64Array,
    region: IndexArray,
    country: IndexArray,
    bounds: Float64Array,
    pairs: IndexArray,
    config: CellConfig,
) -> IndexArray:
    """Merge small units until all have enough photos or no neighbour is left in their country.

    The smallest cell is merged first. Its partner is chosen from the first of these sets that is
    not empty: small neighbours in its region, all neighbours in its region, small neighbours in its
    country, all neighbours in its country. A cell without neighbours uses the cells that its
    enlarged bounding box touches. Of the set, the cell with most photos is chosen; the merged cell
    keeps the region of the smallest (PIGEON's rule).

    Args:
        count: (U,) photos.
        region: (U,) integers.
        country: (U,) integers.
        bounds: (U, 4) west, south, east, north; see `touching`.
        pairs: (P, 2) neighbours; see `touching`.
        config: `min_count` and `reach`.

    Returns:
        (U,) group numbers 0..G-1, ordered by the first unit of each group.
    """
    cells = {
        unit: _Cell([unit], int(count[unit]), int(region[unit]), bounds[unit])
        for unit in range(len(count))
    }
    for a, b in pairs.tolist():
        cells[a].neighbours.add(b)
        cells[b].neighbours.add(a)
    order = np.argsort(country, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(country[order])) + 1):
        _merge_country({int(unit): cells[int(unit)] for unit in members}, config)
    group = np.empty(len(count), np.intp)
    # absorbed cells have no units left
    for cell in cells.values():
        group[cell.units] = min(cell.units, default=0)
    return np.unique(group, return_inverse=True)[1]


def _merge_country(cells: dict[int, _Cell], config: CellConfig) -> None:
    """Merge the cells of one country in place."""
    waiting = [(c.count, key) for key, c in cells.items() if c.count < config.min_count]
    heapq.heapify(waiting)
    alive = dict(cells)
    while waiting:
        count, key = heapq.heappop(waiting)
        centre = alive.get(key)
        if centre is None or centre.count != count:
            continue  # it was absorbed or has grown since it was queued
        chosen = _neighbour(centre, alive, config)
        if chosen is None:
            continue
        other = alive.pop(chosen)
        _absorb(centre, key, other, chosen, alive)
        if centre.count < config.min_count:
            heapq.heappush(waiting, (centre.count, key))


def _neighbour(centre: _Cell, alive: dict[int, _Cell], config: CellConfig) -> int | None:
    """Return the cell that a small cell is merged with."""
    near = centre.neighbours or _in_reach(centre, alive, config.reach)

    def rank(key: int) -> tuple[bool, bool, int, int]:
        cell = alive[key]
        same = cell.region == centre.region
        return same, cell.count < config.min_count, cell.count, -key

    return max(near, key=rank, default=None)


def _in_reach(centre: _Cell, alive: dict[int, _Cell], reach: float) -> list[int]:
    """Return the cells whose bounding boxes touch that of a cell, scaled by `reach`."""
    keys = np.array([key for key, cell in alive.items() if cell is not centre], np.intp)
    boxes = np.array([alive[int(key)].box for key in keys]).reshape(-1, 4)
    half = (centre.box[2:] - centre.box[:2]) * (reach - 1.0) / 2.0
    low, high = centre.box[:2] - half, centre.box[2:] + half
    inside = (boxes[:, :2] <= high).all(axis=1) & (boxes[:, 2:] >= low).all(axis=1)
    return [int(key) for key in keys[inside]]


def _absorb(centre: _Cell, key: int, other: _Cell, chosen: int, alive: dict[int, _Cell]) -> None:
    """Add the units of `other` to `centre`, and update the neighbours of both."""
    centre.units += other.units
    centre.count += other.count
    centre.box = np.concatenate(
        [np.minimum(centre.box[:2], other.box[:2]), np.maximum(centre.box[2:], other.box[2:])]
    )
    other.units = []
    centre.neighbours |= other.neighbours
    centre.neighbours -= {key, chosen}
    for neighbour in other.neighbours - {key}:
        alive[neighbour].neighbours.discard(chosen)
        alive[neighbour].neighbours.add(key)
