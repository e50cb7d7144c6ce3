"""What the attribute heads learn: numbers on regular scales, climate class, month (section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocells.attributes import KOPPEN_CLASSES
from geoloc.belief.attribute_heads import NUMBERS
from geoloc.types import Float32Array, Float64Array, Int64Array

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Attributes:
    """What is known of N photos; nothing known is NaN or UNKNOWN, and is not learned."""

    numbers: Float32Array
    """(N, len(NUMBERS)) on the regressed scales, not standardised."""
    climate: Int64Array
    """(N,) row in KOPPEN_CLASSES. The authors' code makes these floats, which cannot be trained."""
    month: Int64Array
    """(N,) 0 to 11."""

    def take(self, rows: npt.ArrayLike) -> Attributes:
        """Some rows, in their order."""
        index = np.asarray(rows)
        return Attributes(self.numbers[index], self.climate[index], self.month[index])

    def scales(self) -> tuple[Float32Array, Float32Array]:
        """Mean and deviation (len(NUMBERS),) of what is known; 0 and 1 where nothing is."""
        known = np.isfinite(self.numbers)
        count = np.maximum(known.sum(axis=0), 1)
        values = np.where(known, self.numbers, 0.0).astype(np.float64)
        mean = values.sum(axis=0) / count
        variance = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count
        deviation = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
        return mean.astype(np.float32), deviation.astype(np.float32)


def attributes_of(table: pa.Table) -> Attributes:
    """Read the columns of an enriched photo table; a column that is missing is unknown."""
    return Attributes(
        numbers=np.stack([n.forward(_numbers(table, n.name)) for n in NUMBERS], axis=1),
        climate=_climate(table),
        month=np.nan_to_num(_numbers(table, "month"), nan=UNKNOWN + 1.0).astype(np.int64) - 1,
    )


def _numbers(table: pa.Table, name: str) -> Float64Array:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)


def _climate(table: pa.Table) -> Int64Array:
    if "koppen" not in table.column_names:
        return np.full(len(table), UNKNOWN)
    column = table["koppen"].combine_chunks().dictionary_encode()
    known = {name: number for number, name in enumerate(KOPPEN_CLASSES)}
    number = [known.get(name, UNKNOWN) for name in column.dictionary.to_pylist()]
    row = column.indices.fill_null(len(number)).to_numpy(zero_copy_only=False)
    return np.array([*number, UNKNOWN], np.int64)[row]
