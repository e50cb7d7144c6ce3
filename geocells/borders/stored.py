"""Polygons in a form that is mapped from a file, of which only those that are needed are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely

from geocells.derived import Arrays
from geocells.polygon_index import PolygonIndex
from geocells.types import (
    BoolArray,
    Float64Array,
    GeometryArray,
    IndexArray,
    Int32Array,
    Int64Array,
)


class _Parts:
    """Polygons that are decoded when they are asked for, once."""

    def __init__(self, content: npt.NDArray[np.uint8], ends: Int64Array) -> None:
        """Take P polygons as WKB, one after the other, and the ends (P + 1,) of each."""
        self._content, self._ends = content, ends
        self._decoded = np.full(len(ends) - 1, None, object)

    def __len__(self) -> int:
        return len(self._decoded)

    def __getitem__(self, rows: IndexArray | slice) -> GeometryArray:
        wanted = np.arange(len(self))[rows]
        missing = [row for row in set(wanted.tolist()) if self._decoded[row] is None]
        words = [self._content[self._ends[row] : self._ends[row + 1]].tobytes() for row in missing]
        self._decoded[missing] = shapely.from_wkb(words)
        found: GeometryArray = self._decoded[wanted]
        return found


@dataclass(frozen=True, eq=False)
class StoredPolygons:
    """U polygons as the WKB of their P parts."""

    content: npt.NDArray[np.uint8]
    """WKB of all parts."""
    ends: Int64Array
    """(P + 1,) where the parts begin and end."""
    owner: Int32Array
    """(P,) ascending, the polygon that each is a part of."""
    bounds: Float64Array
    """(P, 4) west, south, east and north of each part."""
    single: BoolArray
    """(U,) whether a geometry is a Polygon, not a MultiPolygon."""

    @classmethod
    def of(cls, polygons: GeometryArray) -> Self:
        """Return the stored form of Polygon and MultiPolygon geometries (U,)."""
        parts, owner = shapely.get_parts(polygons, return_index=True)
        words = shapely.to_wkb(parts)
        ends = np.cumsum([0, *map(len, words)]).astype(np.int64)
        content = np.frombuffer(b"".join(words), np.uint8)
        single = shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON
        return cls(content, ends, owner.astype(np.int32), shapely.bounds(parts), single)

    @property
    def arrays(self) -> Arrays:
        """The fields, in their order."""
        return self.content, self.ends, self.owner, self.bounds, self.single

    @cached_property
    def index(self) -> PolygonIndex:
        """Spatial index over the polygons."""
        return PolygonIndex.of_parts(self._parts, self.owner, self.bounds)

    @cached_property
    def polygons(self) -> GeometryArray:
        """(U,) the geometries."""
        parts, found = self._parts[:], np.empty(len(self.single), object)
        edges = np.searchsorted(self.owner, np.arange(len(found) + 1))
        for row, single in enumerate(self.single.tolist()):
            own = parts[edges[row] : edges[row + 1]]
            found[row] = own[0] if single and len(own) else shapely.MultiPolygon(list(own))
        return found

    @cached_property
    def _parts(self) -> _Parts:
        return _Parts(self.content, self.ends)
