"""`Texts`: a column of texts that stays in Arrow's memory, which may be a mapped file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from geoloc.types import StrArray

CODED_UP_TO = 0.5
"""Share of different texts in the first rows up to which every text is stored once."""

_SAMPLED = 100_000


class Texts:
    """M texts, read where they are asked for.

    A number gives a text, and rows, a slice or a mask give `Texts`, as in an array of NumPy.
    """

    def __init__(self, column: pa.Array) -> None:
        """Take a column of large strings without nulls, or of codes that stand for such."""
        self.column = column

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array) -> Texts:
        """Return the texts of a column of strings; null becomes "".

        A text that many rows have, such as a licence, is stored once.
        """
        import pyarrow.compute as pc  # takes longer than reading a small bundle

        plain = pc.fill_null(column.cast(pa.large_string()), "")
        head = plain.slice(0, _SAMPLED)
        if len(head) and len(head.unique()) <= CODED_UP_TO * len(head):
            plain = plain.dictionary_encode()
        if isinstance(plain, pa.ChunkedArray):
            plain = plain.unify_dictionaries().combine_chunks()
        return cls(plain)

    @classmethod
    def same(cls, text: str, count: int) -> Texts:
        """Return one text for each of some rows."""
        codes = pa.array(np.zeros(count, np.int32))
        return cls(pa.DictionaryArray.from_arrays(codes, pa.array([text], pa.large_string())))

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        """Return several columns, one after the other."""
        columns = [part.column for part in parts]
        if len({column.type for column in columns}) > 1:
            columns = [column.cast(pa.large_string()) for column in columns]
        whole = pa.chunked_array(columns)
        if pa.types.is_dictionary(whole.type):
            whole = whole.unify_dictionaries()
        return cls(whole.combine_chunks())

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, rows: Any) -> Any:  # noqa: ANN401  (what NumPy takes, and returns)
        if isinstance(rows, int | np.integer):
            return self.column[int(rows)].as_py()
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        rows = np.asarray(rows)
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Texts(self.column.take(pa.array(index)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.column.to_pylist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> StrArray:  # noqa: ANN401
        values = np.empty(len(self), dtype=object)
        values[:] = self.column.to_pylist()
        return values if dtype is None else values.astype(dtype)

    def __eq__(self, other: object) -> Any:  # noqa: ANN401  (elementwise, as in NumPy)
        return np.asarray(self) == np.asarray(other)

    __hash__ = None  # type: ignore[assignment]

    def counts(self) -> dict[str, int]:
        """Return how many rows have each text."""
        import pyarrow.compute as pc

        counted = pc.value_counts(self.column)
        return {each["values"].as_py(): each["counts"].as_py() for each in counted}


AnyTexts = StrArray | Texts
"""(M,) texts: Python objects, or in Arrow's memory."""


def texts_of(values: AnyTexts) -> Texts:
    """Return texts as a column of Arrow."""
    return values if isinstance(values, Texts) else Texts.of(pa.array(list(values), pa.string()))
