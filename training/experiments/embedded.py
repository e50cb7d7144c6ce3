"""Embeddings in a folder, as the ablation reads them: two tables, or one with collections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geoloc.errors import TableError
from geoloc.types import IndexArray
from training.data.enrich import enrich
from training.data.split import collection_folds
from training.data.table import strings_of
from training.types import Embeddings

Split = tuple[IndexArray, IndexArray]
"""Rows to learn from, and rows to answer."""


def read_embedded(folder: Path) -> tuple[pa.Table, Embeddings, list[Split], list[str]]:
    """Read the embeddings of places or photos.

    Args:
        folder: see `training.experiments.ablation.run_embedded`.

    Returns:
        All places; their embeddings (N, views, D); the splits; and what each answer, of all splits
        in their order, is drawn again with: its place, or its collection.

    Raises:
        TableError: a file or a column is missing, or there are too few collections.
    """
    if (folder / "photos.npy").is_file():
        places, vectors = _part(folder, "photos")
        if "collection" not in places.column_names:
            raise TableError(f"{folder / 'photos.parquet'}: no column collection; add it")
        name = strings_of(places, "collection")
        fold = collection_folds(name)
        if fold is None:
            raise TableError(f"{folder / 'photos.parquet'}: too few collections to hold some out")
        numbers = range(int(fold.max()) + 1)
        splits = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in numbers]
        return places, vectors, splits, [str(name[row]) for _, test in splits for row in test]
    (train, known), (test, asked) = (_part(folder, name) for name in ("train", "test"))
    first = np.arange(len(train))
    splits = [(first, len(train) + np.arange(len(test)))]
    shared = [name for name in train.column_names if name in test.column_names]
    places = pa.concat_tables([train.select(shared), test.select(shared)])
    return places, np.concatenate([known, asked]), splits, [str(n) for n in range(len(test))]


def _part(folder: Path, name: str) -> tuple[pa.Table, Embeddings]:
    """Return places with their attributes, and embeddings (N, views, D)."""
    if not (folder / f"{name}.npy").is_file():
        raise TableError(f"{folder / name}.npy: missing; it must hold the embeddings (N, views, D)")
    vectors = np.load(folder / f"{name}.npy", mmap_mode="r")
    table = pq.read_table(folder / f"{name}.parquet")
    if len(table) != len(vectors):
        raise TableError(
            f"{folder / name}.npy: {len(vectors)} embeddings for {len(table)} places; make both"
            " from the same table"
        )
    return enrich(table), vectors if vectors.ndim == 3 else vectors[:, None]
