"""Areas that photos are known to lie in, and their masks over the cells of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from geocells.sphere import check_latlon
from geocells.table import CellTable
from geoloc.belief.fusion import ConstraintMask
from geoloc.errors import ConstraintError
from geoloc.types import (
    BoolArray,
    Float32Array,
    Float64Array,
    GeometryArray,
    IndexArray,
    Int64Array,
)

MIN_SHARE = 1e-4
"""Smallest share of a touched cell, so that none is lost to rounding."""

MAX_OUTLINE_POINTS = 4096
"""Points that describe the outline of a constraint."""

_SLIVER = 1e-6
"""Overlaps below this share of both polygons are rounding along a common outline."""


@dataclass(frozen=True, eq=False)
class Area:
    """One of the areas whose union is a `Constraint`."""

    name: str
    inside: Callable[[Float64Array], BoolArray]
    """Whether coordinates (N, 2) in degrees lie inside, (N,)."""
    polygons: GeometryArray
    """In lon/lat, without overlaps, split at the antimeridian; empty for countries."""
    countries: tuple[str, ...] = ()
    """ISO codes of the countries, whose cells lie inside as a whole; empty for any other area."""
    is_region: bool = False
    """Whether it is a region of a country, as answers name it."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """An area of the Earth that photos are known to be taken in."""

    name: str
    """For display: "Portugal", "within 50 km of 48.8600, 2.3500"."""
    areas: tuple[Area, ...]

    def mask(self, table: CellTable, clusters: Float64Array) -> ConstraintMask:
        """Evaluate the constraint on the C cells and L location clusters of a bundle.

        Args:
            table: the cells.
            clusters: (L, 2) degrees.

        Raises:
            ConstraintError: no cell lies inside.
        """
        share = self.cell_shares(table)
        touched = np.flatnonzero(share > 0.0)
        if not len(touched):
            raise ConstraintError(f"{self.name}: the model has no place there; give a larger area")
        centroids = table.centroids.copy()
        centroids[touched] = self.points_in(table, touched.astype(np.int64))
        outline = self._outline_points(table)
        return ConstraintMask(self.name, share, centroids, self.contains(clusters), outline)

    def contains(self, latlon: npt.ArrayLike) -> BoolArray:
        """Return whether coordinates (N, 2) in degrees lie inside, (N,).

        Raises:
            ValueError: a coordinate is out of range.
        """
        points = check_latlon(latlon)
        inside: BoolArray = np.any([area.inside(points) for area in self.areas], axis=0)
        return inside

    def cell_shares(self, table: CellTable) -> Float32Array:
        """Return the share (C,) of each cell, in square degrees, that lies inside.

        0 for a cell that is not touched, else MIN_SHARE..1.
        """
        row, piece = self._overlaps(table.polygon)
        inside = np.bincount(row, shapely.area(piece), minlength=len(table))
        touched = np.flatnonzero(inside)
        share = np.zeros(len(table), np.float32)
        total = shapely.area(table.polygon[touched])
        share[touched] = np.clip(inside[touched] / total, MIN_SHARE, 1.0)
        share[self._in_country(table)] = 1.0
        return share

    def points_in(self, table: CellTable, cell: Int64Array) -> Float64Array:
        """Return a point inside, (R, 2) degrees, for each of the touched cells (R,).

        The point is the cell's centroid if that lies inside, else a point of the largest piece of
        the cell inside.

        Raises:
            ValueError: a cell is not touched.
        """
        points: Float64Array = table.centroids[cell]
        outside = np.flatnonzero(~self.contains(points))
        largest = table.polygon[cell[outside]]
        complete = self._in_country(table)[cell[outside]]
        row, piece = self._overlaps(largest)
        if not np.isin(np.flatnonzero(~complete), row).all():
            raise ValueError(f"{self.name}: a cell lies outside and has no point inside")
        row, piece = row[~complete[row]], piece[~complete[row]]
        order = np.argsort(shapely.area(piece), kind="stable")
        largest[row[order]] = piece[order]  # the last one, the largest, stays
        points[outside] = shapely.get_coordinates(shapely.point_on_surface(largest))[:, ::-1]
        return points

    def _outline_points(self, table: CellTable) -> Float64Array:
        """Return points (V, 2) in degrees along the outlines, at most MAX_OUTLINE_POINTS."""
        countries = table.polygon[self._in_country(table)]
        corners = shapely.get_coordinates(np.concatenate([self._outline, countries]))[:, ::-1]
        thinned: Float64Array = corners[:: -(-len(corners) // MAX_OUTLINE_POINTS)]
        return thinned

    def _in_country(self, table: CellTable) -> BoolArray:
        """Return whether each cell belongs to a country that the constraint names, (C,)."""
        return np.isin(table.country, [code for area in self.areas for code in area.countries])

    @cached_property
    def _outline(self) -> GeometryArray:
        given = np.concatenate([area.polygons for area in self.areas])
        united = given if len(self.areas) == 1 else shapely.union_all(given)
        parts: GeometryArray = shapely.get_parts(united)
        shapely.prepare(parts)
        return parts

    def _overlaps(self, polygons: GeometryArray) -> tuple[IndexArray, GeometryArray]:
        """Return the row (P,) and the shape (P,) of each piece of polygons inside; rows repeat."""
        parts, owner = shapely.get_parts(polygons, return_index=True)
        mine, theirs = shapely.STRtree(parts).query(self._outline, predicate="intersects")
        outline, piece = self._outline[mine], parts[theirs]
        cut = np.flatnonzero(~shapely.covers(outline, piece))
        piece[cut] = shapely.intersection(outline[cut], piece[cut])
        kept = shapely.area(piece) > _SLIVER * shapely.area([outline, parts[theirs]]).min(axis=0)
        return owner[theirs[kept]], piece[kept]
