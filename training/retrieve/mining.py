"""Examples of the band heads: photos nearby by other authors, and hard negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import haversine_km
from geoloc.encoders.base import normalise
from geoloc.retrieval import index as indexes
from geoloc.types import Float64Array, IndexArray, Int64Array
from training.data.split import blocks
from training.types import FloatArray

LOOK_ALIKES = 8
"""Most similar photos elsewhere that are kept for each photo."""

ELSEWHERE_KM = 1000.0
"""Distance from which a similar photo is a look-alike for every band."""

_SEARCHED = 64
"""Similar photos among which look-alikes elsewhere are found."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Photos in groups, of which companions are drawn."""

    order: IndexArray
    """(N,) rows, group after group."""
    start: IndexArray
    """(N,) position of the first photo of each photo's group in `order`."""
    size: IndexArray
    """(N,) number of photos in each photo's group."""

    @classmethod
    def of(cls, names: Int64Array) -> Groups:
        """Group photos by equal numbers (N,)."""
        _, code, count = np.unique(names, return_inverse=True, return_counts=True)
        order = np.argsort(code, kind="stable")
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        return cls(order, first[code], count[code])

    def draw(self, rows: IndexArray, rng: np.random.Generator) -> IndexArray:
        """Return a photo of the same group for each of some rows (B,), perhaps itself."""
        step = rng.integers(0, self.size[rows])
        return np.asarray(self.order[self.start[rows] + step])


def squares(latlon: Float64Array, diameter_km: float) -> Groups:
    """Group photos (N, 2) by squares in which no two are farther apart than about a diameter."""
    names = np.unique(blocks(latlon, diameter_km / np.sqrt(2.0)).astype(str), return_inverse=True)
    return Groups.of(names[1])


def look_alikes(
    features: FloatArray,
    latlon: Float64Array,
    rows: IndexArray,
    pool: int,
    rng: np.random.Generator,
) -> IndexArray:
    """Return for each of some rows (B,) similar photos elsewhere, (B, LOOK_ALIKES) rows.

    Args:
        features: (N, K), in any scale.
        latlon: (N, 2) degrees.
        rows: (B,) photos to find look-alikes of.
        pool: number of photos among which they are searched.
        rng: draws the pool, and fills up where there are too few look-alikes.
    """
    among = np.sort(rng.choice(len(features), min(pool, len(features)), replace=False))
    index = indexes.faiss().IndexFlatIP(features.shape[1])
    index.add(normalise(features[among].astype(np.float32)))
    found = np.empty((len(rows), LOOK_ALIKES), np.intp)
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096]
        queries = normalise(features[part].astype(np.float32))
        near = among[index.search(queries, min(_SEARCHED, len(among)))[1]]
        away = haversine_km(latlon[part, None], latlon[near]) >= ELSEWHERE_KM
        first = np.argsort(~away, axis=1, kind="stable")[:, :LOOK_ALIKES]
        picked = np.take_along_axis(near, first, axis=1)
        missing = ~np.take_along_axis(away, first, axis=1)
        if picked.shape[1] < LOOK_ALIKES:  # a pool of a few photos
            picked = np.resize(picked, (len(part), LOOK_ALIKES))
            missing = np.ones_like(picked, bool)
        picked[missing] = rng.choice(among, int(missing.sum()))
        found[start : start + 4096] = picked
    return found
