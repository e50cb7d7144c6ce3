"""Names of the array types of this package; docstrings give the shapes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
"""Coordinates, distances and areas."""
Int32Array = npt.NDArray[np.int32]
"""Rows of units, cells and polygons; -1 means none."""
Int64Array = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]
StrArray = npt.NDArray[np.object_]
"""Python strings."""
FixedStrArray = npt.NDArray[np.str_]
"""Strings of numpy's fixed-width type."""
GeometryArray = npt.NDArray[np.object_]
"""Shapely geometries in (lon, lat)."""
