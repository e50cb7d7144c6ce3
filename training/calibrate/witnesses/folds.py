"""Photos of collections that their rankers never saw, with the cells of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.belief.background import collection_codes
from geoloc.bundle.directory import Bundle
from geoloc.errors import TableError
from geoloc.types import Float32Array, IndexArray
from training.calibrate.crossval import make_ranker
from training.calibrate.heldout import HeldOut
from training.calibrate.parts import photos_of_new_collections, place_names
from training.data.manifest import Manifest
from training.data.split import collection_folds


def rankers_without_collections(
    bundle: Bundle,
    manifest: Manifest,
    embeddings: Float32Array,
    progress: Callable[[str], None] = lambda stage: None,
) -> tuple[list[Ranker], IndexArray]:
    """Train rankers on all but some collections each.

    Args:
        bundle: whose cells, prior, background and calibration the rankers have.
        manifest: M photos to train on.
        embeddings: (M, D) by the bundle's encoder.
        progress: called with the name of each stage.

    Returns:
        The rankers; and (M,) which of them does not know the collection of each photo.

    Raises:
        TableError: there are too few collections.
    """
    fold = collection_folds(manifest.collection)
    if fold is None:
        raise TableError("too few collections to leave some out; give photos of five or more")
    ranker, rankers = bundle.ranker, []
    for number in range(int(fold.max()) + 1):
        progress(f"without the collections of fold {number + 1}")
        rows = np.flatnonzero(fold != number)
        rankers.append(
            make_ranker(
                manifest.take(rows), embeddings[rows], bundle.cells, ranker.heads.prior,
                ranker.calibration, prior_of_use=ranker.heads.prior,
                background=bundle.background,
            )
        )  # fmt: skip
    return rankers, fold


def photos_of(
    rankers: Sequence[Ranker],
    manifest: Manifest,
    embeddings: Float32Array,
    fold: IndexArray,
    rows: IndexArray,
) -> HeldOut:
    """Return some photos of a manifest, each answered by the ranker without its collection.

    Args:
        rankers: from `rankers_without_collections`.
        manifest: M photos.
        embeddings: (M, D)
        fold: (M,) from `rankers_without_collections`.
        rows: of the manifest.
    """
    taken = manifest.take(rows)
    return HeldOut(
        rankers, fold[rows], fold[rows] != np.arange(len(rankers))[:, None], embeddings[rows],
        taken.latlon, np.ones(len(rows), np.float32), collection_codes(taken.collection),
        place_names(taken.latlon), np.ones(len(rows), bool),
    )  # fmt: skip


def drawn_rows(
    manifest: Manifest, embeddings: Float32Array, fold: IndexArray, most: int, seed: int = 0
) -> IndexArray:
    """Return at most so many rows of a manifest, drawn with balanced collections."""
    part = photos_of_new_collections(manifest, embeddings, fold, 0)
    share = part.weights / part.weights.sum(dtype=np.float64)
    count = min(most, len(part.row))
    rows = np.random.default_rng(seed).choice(len(part.row), count, replace=False, p=share)
    return np.asarray(part.row[np.sort(rows)])
