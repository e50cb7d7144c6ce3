"""`CellSamples`: points spread over each cell, and their time zones and heights."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

import numpy as np
import shapely

from geocells.attributes import elevation_m, time_zone
from geocells.table import CellTable
from geocells.time_zones import utc_offset_min
from geoloc.types import Float64Array, StrArray

POINTS = 8
"""Points along the outline of a cell, half-way to its centroid, besides the centroid itself."""


class CellSamples:
    """Points of the C cells of a bundle; a value of a cell is the mean over its points."""

    def __init__(self, cells: CellTable) -> None:
        """Take the cells; points and their values are computed when they are needed."""
        self.cells = cells

    @cached_property
    def points(self) -> Float64Array:
        """(C, POINTS + 1, 2) degrees, the centroid first."""
        return _points(self.cells)

    @cached_property
    def zones(self) -> StrArray:
        """(C, POINTS + 1) IANA time zones."""
        return time_zone(self.points.reshape(-1, 2)).reshape(self.points.shape[:2])

    @cached_property
    def heights_m(self) -> Float64Array:
        """(C, POINTS + 1) metres above sea level."""
        return elevation_m(self.points.reshape(-1, 2)).reshape(self.points.shape[:2])

    def offsets_min(self, when: datetime) -> Float64Array:
        """Return the offsets (C, POINTS + 1) of local time from UTC in minutes."""
        offsets = utc_offset_min(self.zones.ravel(), when)
        return np.asarray(offsets.reshape(self.zones.shape), np.float64)


def _points(cells: CellTable) -> Float64Array:
    """Return points (C, POINTS + 1, 2) in degrees, the centroid first."""
    centre = cells.centroids
    largest = np.array([max(shapely.get_parts(p), key=shapely.area) for p in cells.polygon])
    outline = shapely.get_exterior_ring(largest)
    steps = np.arange(POINTS) / POINTS
    ring = shapely.line_interpolate_point(outline[:, None], steps, normalized=True)
    lonlat = np.stack([shapely.get_x(ring), shapely.get_y(ring)], axis=-1)
    middle = centre[:, None, ::-1]
    # the centroid and a far piece of a cell at the antimeridian may be on its two sides
    lonlat[..., 0] = middle[..., 0] + (lonlat[..., 0] - middle[..., 0] + 180.0) % 360.0 - 180.0
    half = (lonlat + middle) / 2
    half[..., 0] = (half[..., 0] + 180.0) % 360.0 - 180.0
    return np.concatenate([centre[:, None], half[..., ::-1]], axis=1)
