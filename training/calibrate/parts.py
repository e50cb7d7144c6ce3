"""The photos of a cross-validation: known collections, new collections, and the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background, collection_codes
from geoloc.errors import TableError
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, Int32Array, StrArray
from training.calibrate.heldout import IN_COLLECTION_SHARE, HeldOut
from training.data.manifest import Manifest
from training.data.split import (
    balanced,
    balanced_weights,
    blocks,
    components_of_keys,
    drop_minorities,
    group_weights,
    linking_keys,
)

MOST_OF_COLLECTION = 150
"""Photos of one collection that are answered by models without that collection."""

MOST_BACKGROUND = 800
"""Background photos that are answered, at most."""

HELD_OUT_PARTS = 3
"""Parts of the photos that a trained ranker is calibrated on; see `held_out_parts`."""

PLACE_KM = 2.0
"""Photos of one square of this side are photos of one place, whoever took them."""


@dataclass(frozen=True, eq=False)
class Part:
    """Photos that are answered in one way."""

    ranker: IndexArray
    row: IndexArray
    """Rows of the manifest; -1 for background photos."""
    fold: IndexArray
    """Folds of background photos, which have no row."""
    embeddings: Float32Array
    latlon: Float64Array
    weights: Float32Array
    collection: Int32Array
    place: StrArray
    new: BoolArray
    """Whether the ranker knows no photo of the collection."""


def place_names(latlon: Float64Array) -> StrArray:
    """Return the names (N,) of the places that coordinates (N, 2) in degrees lie in."""
    return blocks(latlon, PLACE_KM)


def known_photos(manifest: Manifest, embeddings: Float32Array, fold: IndexArray) -> Part:
    """Return all photos, answered by the rankers of the other folds."""
    rows = np.arange(len(manifest))
    return _part_of(manifest, embeddings, rows, fold, new=False)


def photos_of_new_collections(
    manifest: Manifest, embeddings: Float32Array, fold: IndexArray, first: int
) -> Part:
    """Return at most MOST_OF_COLLECTION photos of each collection, whole squares of them."""
    rng = np.random.default_rng(0)
    square = blocks(manifest.latlon, PLACE_KM).astype(str)
    chosen = []
    for name in np.unique(manifest.collection.astype(str)):
        rows = np.flatnonzero(manifest.collection == name)
        if len(rows) > MOST_OF_COLLECTION:
            names, place = np.unique(square[rows], return_inverse=True)
            rows = rows[np.argsort(rng.permutation(len(names))[place], kind="stable")]
        chosen.append(rows[:MOST_OF_COLLECTION])
    rows = np.sort(np.concatenate(chosen))
    return _part_of(manifest, embeddings, rows, fold[rows] + first, new=True)


def _part_of(
    manifest: Manifest,
    embeddings: Float32Array,
    rows: IndexArray,
    ranker: IndexArray,
    *,
    new: bool,
) -> Part:
    taken = manifest.take(rows)
    return Part(
        ranker, rows, np.full(len(rows), -1, np.intp), embeddings[rows], taken.latlon,
        balanced_weights(taken) if new else group_weights(taken.group),
        collection_codes(taken.collection),
        place_names(taken.latlon),
        np.full(len(rows), new),
    )  # fmt: skip


def foreign_photos(manifest: Manifest, background: Background, folds: int) -> Part | None:
    """Return the background photos of collections that the manifest does not have."""
    others = background.without(manifest.collection)
    if not len(others):
        return None
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(others))[:MOST_BACKGROUND])
    codes, place, count = np.unique(
        others.collection[rows], return_inverse=True, return_counts=True
    )
    fold = rng.permutation(len(codes))[place] % folds
    weights = 1.0 / np.sqrt(count[place])
    latlon = others.latlon[rows].astype(np.float64)
    return Part(
        fold, np.full(len(rows), -1, np.intp), fold, others.embeddings[rows], latlon,
        np.asarray(weights / weights.mean(), np.float32), others.collection[rows],
        place_names(latlon), np.ones(len(rows), bool),
    )  # fmt: skip


def join(
    rankers: list[Ranker],
    parts: list[Part],
    fold: IndexArray,
    by_collection: IndexArray | None,
) -> HeldOut:
    """Join all photos; a ranker is calibrated on those whose folds it is not measured on."""
    row = np.concatenate([part.row for part in parts])
    foreign_fold = np.concatenate([part.fold for part in parts])
    groups = int(fold.max()) + 1
    apart = np.ones((len(rankers), len(row)), bool)
    for number in range(len(rankers)):
        if number < groups:
            own = np.where(row >= 0, fold[row], foreign_fold) == number
        else:
            assert by_collection is not None
            own = (row >= 0) & (by_collection[row] == number - groups)
        apart[number] = ~own
    new = np.concatenate([part.new for part in parts])
    weights = np.concatenate([part.weights for part in parts]).astype(np.float64)
    if new.any():
        weights[~new] *= IN_COLLECTION_SHARE * weights[new].sum() / weights[~new].sum()
    return HeldOut(
        rankers,
        np.concatenate([part.ranker for part in parts]),
        apart,
        np.concatenate([part.embeddings for part in parts]),
        np.concatenate([part.latlon for part in parts]),
        np.asarray(weights / weights.mean(), np.float32),
        np.concatenate([part.collection for part in parts]),
        np.concatenate([part.place for part in parts]),
        new,
    )


def held_out_parts(table: pa.Table, block_km: float = 10.0) -> IndexArray:
    """Assign held-out photos to parts that share no author, group, location or block.

    If travelling authors link most of the photos, places are assigned as a whole, and the photos of
    an author outside the part with most of them are left out.

    Args:
        table: N rows of a photo table; without authors the parts are disjoint by place only.
        block_km: side of the squares of the Earth that are assigned as a whole.

    Returns:
        (N,) 0..HELD_OUT_PARTS-1, -1 for a photo that is left out.

    Raises:
        TableError: all photos are linked, so that nothing can be measured on others.
    """
    keys = linking_keys(table, block_km)
    unit = components_of_keys(len(table), list(keys.values()))
    travelled = 2 * np.bincount(unit).max() > len(table)
    if travelled:
        places = [code for name, code in keys.items() if name != "author"]
        unit = components_of_keys(len(table), places)
    part = balanced(unit, HELD_OUT_PARTS, np.random.default_rng(0))
    if travelled:
        kept = drop_minorities(part.astype(str).astype(object), keys["author"])
        part = np.where(kept == "", -1, part)
    if len(np.unique(part[part >= 0])) < 2:
        raise TableError(
            f"all {len(table)} photos of the split val are of one author or place, so the"
            " calibration cannot use others; add photos to this split"
        )
    return part
