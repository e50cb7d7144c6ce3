"""Several views of one place: their mean embedding, with the single views kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from geoloc.types import IndexArray
from training.heads.fit import Embeddings

_PLACES_AT_ONCE = 16_384


def location_numbers(photos: pa.Table) -> IndexArray:
    """Number (N,) of the location of each view; a photo without a location is one by itself."""
    name = photos["photo_id"]
    if "location_id" in photos.column_names:
        known = pc.if_else(pc.equal(photos["location_id"], ""), None, photos["location_id"])
        name = pc.coalesce(known, photos["photo_id"])
    codes: IndexArray = name.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.intp)
    return codes


def mean_views(
    embeddings: Embeddings, location: IndexArray
) -> tuple[npt.NDArray[np.float16], IndexArray]:
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
