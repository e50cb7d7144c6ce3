"""`Narrowed`: a constraint whose places also satisfy conditions, such as "near the sea"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from geocells.sphere import wrap_lon
from geocells.table import CellTable
from geoloc.belief.areas import MAX_OUTLINE_POINTS, MIN_SHARE, Area, Constraint
from geoloc.belief.conditions import Condition
from geoloc.belief.fusion import ConstraintMask
from geoloc.errors import ConstraintError
from geoloc.types import BoolArray, Float64Array, Int64Array

DIRECTIONS, REACHES = 16, (0.35, 0.65, 0.92)
"""Points in a cell, on lines from its centroid to its outline, at these shares of the way."""


@dataclass(frozen=True, eq=False)
class Narrowed:
    """Places of an area, or of the whole Earth, that satisfy all conditions."""

    area: Constraint | None
    """None for the whole Earth."""
    conditions: tuple[Condition, ...]

    @property
    def name(self) -> str:
        """For display: "Africa, above 2,000 m"."""
        area = [self.area.name] if self.area is not None else []
        return ", ".join([*area, *(each.name for each in self.conditions)])

    @property
    def areas(self) -> tuple[Area, ...]:
        """The areas; none for the whole Earth."""
        return self.area.areas if self.area is not None else ()

    def contains(self, latlon: Float64Array) -> BoolArray:
        """Return whether coordinates (N, 2) in degrees satisfy everything, (N,)."""
        inside = np.ones(len(latlon), bool) if self.area is None else self.area.contains(latlon)
        for each in self.conditions:
            inside &= each.inside(latlon)
        return inside

    def mask(self, table: CellTable, clusters: Float64Array) -> ConstraintMask:
        """Evaluate the constraint on the C cells and L location clusters of a bundle.

        The share of a cell is that of points spread over it; a cell counts too if a cluster in it
        satisfies everything.

        Raises:
            ConstraintError: no cell lies inside.
        """
        held = self.contains(clusters) if len(clusters) else np.zeros(0, bool)
        possible = self._possible(table)
        points, owner = _spread(table, np.flatnonzero(possible))
        good = self.contains(points)
        count = np.bincount(owner, minlength=len(table))
        share = np.bincount(owner[good], minlength=len(table)) / np.maximum(count, 1)
        centroids = table.centroids.copy()
        for place, cell in (
            (clusters[held], table.locate(clusters[held]) if held.any() else held[:0]),
            (points[good], owner[good]),
        ):  # the first point of a cell wins, which is nearest to its centroid
            rows = np.asarray(cell, np.int64)[::-1]
            centroids[rows] = place[::-1]
            share[rows] = np.maximum(share[rows], MIN_SHARE)
        if not share.any():
            raise ConstraintError(f"{self.name}: the model has no place there; ask for less")
        outline = _outline(table, share)
        return ConstraintMask(self.name, share.astype(np.float32), centroids, held, outline)

    def _possible(self, table: CellTable) -> BoolArray:
        """Return the cells (C,) that the area touches and whose country fits all conditions."""
        possible = np.ones(len(table), bool)
        if self.area is not None:
            possible &= self.area.cell_shares(table) > 0.0
        for each in self.conditions:
            if each.countries is not None:
                possible &= np.isin(table.country, each.countries)
        return possible


def _outline(table: CellTable, share: Float64Array) -> Float64Array:
    """Return points (V, 2) in degrees along the outlines of the cells with a share."""
    corners = shapely.get_coordinates(table.polygon[share > 0.0])[:, ::-1]
    return np.asarray(corners[:: -(-len(corners) // MAX_OUTLINE_POINTS)])


def _spread(table: CellTable, cells: Int64Array) -> tuple[Float64Array, Int64Array]:
    """Return points (P, 2) in degrees in cells, nearest to the centroid first, and their cells."""
    centre = table.centroids[cells]
    largest = [max(shapely.get_parts(p), key=shapely.area) for p in table.polygon[cells]]
    outline = shapely.get_exterior_ring(np.array(largest, object))
    ring = shapely.line_interpolate_point(
        outline[:, None], np.arange(DIRECTIONS) / DIRECTIONS, normalized=True
    )
    rim = np.stack([shapely.get_y(ring), shapely.get_x(ring)], axis=-1)
    step = rim - centre[:, None]
    step[..., 1] = wrap_lon(step[..., 1])
    points, owner = [centre], [cells]
    for reach in REACHES:
        around = centre[:, None] + reach * step
        around[..., 1] = wrap_lon(around[..., 1])
        points.append(around.reshape(-1, 2))
        owner.append(np.repeat(cells, DIRECTIONS))
    flat, row = np.concatenate(points), np.concatenate(owner)
    inside = table.locate(flat) == row
    inside[: len(cells)] = True
    return flat[inside], row[inside]
