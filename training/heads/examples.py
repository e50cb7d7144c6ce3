"""Training examples of the heads: embeddings of photos or places with coordinates and attributes.

The attribute targets are numbers on regular scales, climate class and month (PIGEON, section 4.2).
"""

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
"""Places whose views are averaged together, to bound the memory."""


@dataclass(frozen=True, eq=False)
class Attributes:
    """Attributes of N photos; an unknown value is NaN or UNKNOWN and excluded from the loss."""

    numbers: Float32Array
    """(N, len(NUMBERS)) on the regressed scales, not standardised."""
    climate: Int64Array
    """(N,) index in KOPPEN_CLASSES. The authors' code uses floats, which cannot be trained."""
    month: Int64Array
    """(N,) 0 to 11."""

    def take(self, rows: npt.ArrayLike) -> Attributes:
        """Return some rows, in the given order."""
        index = np.asarray(rows)
        return Attributes(self.numbers[index], self.climate[index], self.month[index])

    def scales(self) -> tuple[Float32Array, Float32Array]:
        """Return mean and deviation (len(NUMBERS),) of the known values; 0 and 1 without any."""
        known = np.isfinite(self.numbers)
        count = np.maximum(known.sum(axis=0), 1)
        values = np.where(known, self.numbers, 0.0).astype(np.float64)
        mean = values.sum(axis=0) / count
        variance = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count
        deviation = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
        return mean.astype(np.float32), deviation.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Examples:
    """N training photos, or N places with the mean embedding of their views."""

    embeddings: Embeddings
    latlon: Float64Array
    """(N, 2) degrees."""
    weights: Float32Array
    """(N,), mean 1."""
    attributes: Attributes | None = None

    def __len__(self) -> int:
        return len(self.latlon)


def attributes_of(table: pa.Table) -> Attributes:
    """Read the attributes from an enriched photo table; a missing column counts as unknown."""
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
    index = {name: number for number, name in enumerate(KOPPEN_CLASSES)}
    classes = [index.get(name, UNKNOWN) for name in column.dictionary.to_pylist()]
    row = column.indices.fill_null(len(classes)).to_numpy(zero_copy_only=False)
    return np.asarray(np.array([*classes, UNKNOWN], np.int64)[row])


def location_numbers(photos: pa.Table) -> IndexArray:
    """Return the location number (N,) of each view; a photo without location_id is its own."""
    name = photos["photo_id"]
    if "location_id" in photos.column_names:
        given = pc.if_else(pc.equal(photos["location_id"], ""), None, photos["location_id"])
        name = pc.coalesce(given, photos["photo_id"])
    codes: IndexArray = name.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.intp)
    return codes


def mean_views(embeddings: Embeddings, location: IndexArray) -> tuple[Float16Array, IndexArray]:
    """Average the embeddings of the views of each location (PIGEON, section 4.1).

    Args:
        embeddings: (N, D) of the views.
        location: (N,) from `location_numbers`.

    Returns:
        (L, D) arithmetic means, and (L,) row of the first view of each location.
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
