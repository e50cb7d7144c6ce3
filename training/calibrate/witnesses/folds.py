"""Photos of collections that their rankers never saw, with the cells of a bundle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geoloc.bundle.directory import Bundle
from geoloc.errors import TableError
from geoloc.types import Float32Array, IndexArray
from training.calibrate.crossval import make_ranker
from training.calibrate.heldout import HeldOut
from training.calibrate.parts import photos_of_new_collections
from training.data.manifest import Manifest
from training.data.split import collection_folds


def held_out_collections(
    bundle: Bundle,
    manifest: Manifest,
    embeddings: Float32Array,
    most: int,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> tuple[HeldOut, IndexArray]:
    """Return photos with rankers that were trained on all other collections.

    Args:
        bundle: whose cells, prior, background and calibration the rankers have.
        manifest: M photos to train on and to ask about.
        embeddings: (M, D) by the bundle's encoder.
        most: upper limit on the photos that are returned, drawn with balanced collections.
        seed: of the draw.
        progress: called with the name of each stage.

    Returns:
        The photos; and (M,) the fold of each of the manifest's photos, by ranker.

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
    part = photos_of_new_collections(manifest, embeddings, fold, 0)
    share = part.weights / part.weights.sum(dtype=np.float64)
    count = min(most, len(part.row))
    rows = np.random.default_rng(seed).choice(len(part.row), count, replace=False, p=share)
    apart = part.ranker[np.sort(rows)] != np.arange(len(rankers))[:, None]
    columns = ("embeddings", "latlon", "collection", "place", "new")
    embedded, latlon, collection, place, new = (
        getattr(part, name)[np.sort(rows)] for name in columns
    )
    held_out = HeldOut(
        rankers, part.ranker[np.sort(rows)], apart, embedded, latlon,
        np.ones(count, np.float32), collection, place, new,
    )  # fmt: skip
    return held_out, fold
