"""What the attribute heads learn: numbers on regular scales, climate class, month (section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from geocells.attributes import KOPPEN_CLASSES
from geoloc.belief.attribute_heads import NUMBERS
from geoloc.types import Float32Array, Float64Array, IndexArray, Int64Array
from training.types import Embeddings, Float16Array

UNKNOWN = -1

_PLACES_AT_ONCE = 16_384


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


@dataclass(frozen=True, eq=False)
class Examples:
    """N photos, or means of the views of a place, to learn from."""

    embeddings: Embeddings
    latlon: Float64Array
    """(N, 2) degrees."""
    weights: Float32Array
    """(N,), mean 1."""
    attributes: Attributes | None = None

    def __len__(self) -> int:
        return len(self.latlon)


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


def location_numbers(photos: pa.Table) -> IndexArray:
    """Number (N,) of the location of each view; a photo without a location is one by itself."""
    name = photos["photo_id"]
    if "location_id" in photos.column_names:
        known = pc.if_else(pc.equal(photos["location_id"], ""), None, photos["location_id"])
        name = pc.coalesce(known, photos["photo_id"])
    codes: IndexArray = name.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.intp)
    return codes


def mean_views(embeddings: Embeddings, location: IndexArray) -> tuple[Float16Array, IndexArray]:
    """Arithmetic mean of the views of each location (PIGEON, section 4.1).

    Args:
        embeddings: (N, D) of the views.
        location: (N,) from `location_numbers`.

    Returns:
        (L, D) means, and (L,) the first view of each location.
    """
    order = np.argsort(location, kind="stable")
    first = np.unique(location[order], return_index=True)[1]
    ends = np.append(first, len(order))
    means = np.empty((len(first), embeddings.shape[1]), np.float16)
    for start in range(0, len(first), _PLACES_AT_ONCE):
        inside = ends[start : start + _PLACES_AT_ONCE + 1]
        rows = order[inside[0] : inside[-1]]
        sums = np.add.reduceat(embeddings[rows].astype(np.float32), inside[:-1] - inside[0])
        means[start : start + _PLACES_AT_ONCE] = sums / np.diff(inside)[:, None]
    return means, order[first]
