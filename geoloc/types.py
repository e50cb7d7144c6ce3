"""Array types of this package; shapes are given where the types are used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocells.types import (
    BoolArray,
    FixedStrArray,
    Float64Array,
    GeometryArray,
    IndexArray,
    Int32Array,
    Int64Array,
    StrArray,
)

Float32Array = npt.NDArray[np.float32]
"""Pixels, embeddings, beliefs and scores."""

UInt8Array = npt.NDArray[np.uint8]
"""Stored pixels."""

__all__ = [
    "BoolArray",
    "FixedStrArray",
    "Float32Array",
    "Float64Array",
    "GeometryArray",
    "IndexArray",
    "Int32Array",
    "Int64Array",
    "StrArray",
    "UInt8Array",
]
