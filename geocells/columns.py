"""Conversion between Arrow columns and numpy arrays without importing pandas.

`pa.array` and `to_numpy` import pandas where it is installed. That import takes longer than all
other work of naming one place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from geocells.types import GeometryArray


def read_parquet(path: Any, columns: list[str] | None = None) -> pa.Table:  # noqa: ANN401
    """Read a Parquet file, or some of its columns, into memory."""
    with pq.ParquetFile(path) as file:
        return file.read(columns)


def numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a numeric column without nulls as a read-only array that may share its memory."""
    chunks = [np.from_dlpack(chunk) for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.empty(0)


def objects(column: pa.ChunkedArray) -> GeometryArray:
    """Return a column of strings or bytes as an array of Python objects."""
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values


def to_numbers(values: npt.NDArray[Any], dtype: pa.DataType) -> pa.Array:
    """Return a numeric array as a column; `dtype` is the Arrow type of the same layout."""
    return pa.Array.from_buffers(dtype, len(values), [None, pa.py_buffer(values.tobytes())])


def to_strings(values: Iterable[str]) -> pa.StringArray:
    """Return strings as a column."""
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(encoded), pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(encoded))
    )
