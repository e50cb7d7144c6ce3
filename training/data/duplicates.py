"""Near-duplicates: photos of one scene from one viewpoint, found by their embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geocells.sphere import haversine_km
from geoloc.encoders.base import normalise
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray
from training.data.table import strings_of
from training.types import Embeddings

COSINE = 0.93
"""Two photos are near-duplicates above this cosine similarity of their centred embeddings."""

NEIGHBOURS = 8
"""Photos that each photo is compared with, the most similar ones."""

_EXACT = 50_000
"""Up to this number of photos the search is exact; above it an inverted-file index is used."""


def near_duplicates(
    embeddings: Embeddings,
    latlon: Float64Array | None = None,
    within_km: float | None = None,
) -> tuple[IndexArray, IndexArray]:
    """Find pairs of near-duplicates.

    Args:
        embeddings: (N, D).
        latlon: (N, 2) degrees, needed with `within_km`.
        within_km: largest distance between the two photos of a pair. Without it a copy with other
            coordinates is a duplicate too.

    Returns:
        (P,) and (P,) rows of the two photos of each pair; no photo is paired with itself.
    """
    centred = normalise(
        np.asarray(embeddings, np.float32) - np.mean(embeddings, axis=0, dtype=float)
    )
    similarity, other = _index(centred).search(centred, min(NEIGHBOURS, len(centred)))
    row, place = np.nonzero((similarity > COSINE) & (other >= 0))
    found = other[row, place].astype(np.intp)
    different = row != found
    row, found = row[different], found[different]
    if within_km is not None:
        assert latlon is not None
        near = haversine_km(latlon[row], latlon[found]) <= within_km
        row, found = row[near], found[near]
    return row, found


def have_near_duplicates(train: Embeddings, test: Embeddings) -> BoolArray:
    """Return (M,) whether each test photo is a near-duplicate of a training photo.

    Args:
        train: (N, D) embeddings.
        test: (M, D) embeddings.
    """
    mean = np.mean(train, axis=0, dtype=float)
    train, test = (normalise(np.asarray(e, np.float32) - mean) for e in (train, test))
    similarity: Float32Array = _index(train).search(test, 1)[0][:, 0]
    return similarity > COSINE


def link(count: int, pairs: tuple[IndexArray, IndexArray]) -> IndexArray:
    """Return (count,) the number of the connected component of each row; `pairs` are the links."""
    graph = coo_matrix((np.ones(len(pairs[0]), bool), pairs), shape=(count, count))
    component: IndexArray = connected_components(graph, directed=False)[1].astype(np.intp)
    return component


def representatives(table: pa.Table, pairs: tuple[IndexArray, IndexArray]) -> IndexArray:
    """Return the rows of a photo table that remain when near-duplicates are removed.

    Of each set of linked photos the one with the smallest precision_km is kept.
    """
    names = strings_of(table, "photo_id").astype(str)
    precision = np.nan_to_num(
        np.asarray(table["precision_km"].cast(pa.float64()).to_numpy(), np.float64)
    )
    component = link(len(table), pairs)
    order = np.lexsort((names, precision, component))
    first = np.unique(component[order], return_index=True)[1]
    kept: IndexArray = np.sort(order[first])
    return kept


def _index(vectors: Float32Array) -> Any:  # noqa: ANN401
    import faiss

    index: Any = faiss.IndexFlatIP(vectors.shape[1])
    if len(vectors) > _EXACT:
        lists = int(4 * np.sqrt(len(vectors)))
        quantizer: Any = index
        index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.own_fields = True
        quantizer.this.disown()
        index.nprobe = 16
        index.train(vectors[:: max(1, len(vectors) // (64 * lists))])
    index.add(vectors)
    return index
