"""Splits and folds that do not leak: what belongs together is held out together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geoloc.errors import TableError
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.data.duplicates import link, near_duplicates
from training.data.manifest import Manifest
from training.data.table import latlon_of, strings_of

FOLDS = 5

SMALL = 0.01
"""Linked photos are held out as a whole if they are at most this share of all."""


@dataclass(frozen=True, eq=False)
class Splits:
    """A split for each of N photos."""

    split: StrArray
    """(N,) train, val, test; "" for a photo that would connect two of them."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of photos of each split."""
        names, count = np.unique(self.split.astype(str), return_counts=True)
        return dict(zip(names.tolist(), count.tolist(), strict=True))


def assign_splits(
    table: pa.Table,
    *,
    val: float = 0.05,
    test: float = 0.05,
    block_km: float = 10.0,
    seed: int = 0,
    duplicates: tuple[IndexArray, IndexArray] | None = None,
) -> Splits:
    """Share photos out so that two splits have no author, sequence, place or block in common.

    Photos that share any of these, or are near-duplicates, are linked. Linked photos go to one
    split together. Where everything is linked with everything, because people travel, that is
    impossible: there authors and blocks are dealt out separately, a photo stays whose author and
    block agree, and the others are left out. The result depends on names and places, not on the
    order of rows.

    Args:
        table: N rows of a photo table.
        val: share of authors and blocks for the split val.
        test: likewise.
        block_km: side of the squares of the Earth that are dealt out.
        seed: of the dealing.
        duplicates: pairs of rows from `near_duplicates`.

    Raises:
        TableError: the shares leave nothing to train on.
    """
    if not (0.0 <= val and 0.0 <= test and val + test < 1.0):
        raise TableError(f"val {val} and test {test}: expected shares with a sum below 1")
    names = strings_of(table, "photo_id").astype(str)
    twins = np.arange(len(table)) if duplicates is None else link(len(table), duplicates)
    keys = {
        "author": _codes(strings_of(table, "author")),
        "block": _codes(blocks(latlon_of(table), block_km)),
        "group": _codes(strings_of(table, "group")),
        "location": _codes(strings_of(table, "location_id")),
        "twins": twins,
    }
    component = _linked(len(table), list(keys.values()))
    size = np.bincount(component)[component]
    # the first name of a component, so that a photo more elsewhere changes nothing here
    first = np.full(component.max(initial=-1) + 1, "\U0010ffff", dtype=object)
    np.minimum.at(first, component, names.astype(object))
    split = _deal(first, val, test, f"{seed} together")[component]
    large = size > max(1.0, SMALL * len(table))
    if large.any():
        split[large] = _apart(table, keys, large, block_km, (val, test), seed)
    return Splits(split)


def blocks(latlon: Float64Array, side_km: float) -> StrArray:
    """Names (N,) of squares of the Earth with about this side."""
    step = side_km / 111.2
    row = np.floor(latlon[:, 0] / step)
    width = step / np.maximum(np.cos(np.radians((row + 0.5) * step)), 0.01)
    column = np.floor(latlon[:, 1] / width)
    named = np.char.add(
        np.char.add(row.astype(int).astype(str), ","), column.astype(int).astype(str)
    )
    return named.astype(object)


def _apart(
    table: pa.Table,
    keys: dict[str, IndexArray],
    large: BoolArray,
    block_km: float,
    shares: tuple[float, float],
    seed: int,
) -> StrArray:
    """Splits of the photos of large components, "" for those whose author and block disagree."""
    rows = np.flatnonzero(large)
    by_block = _deal(blocks(latlon_of(table)[rows], block_km), *shares, f"{seed} block")
    author = strings_of(table, "author")[rows]
    by_author = np.where(author == "", by_block, _deal(author, *shares, f"{seed} author"))
    split = np.where(by_block == by_author, by_block, "").astype(object)
    for name in ("group", "location", "twins"):
        split = _one_split_each(split, keys[name][rows])
    return split


def _one_split_each(split: StrArray, code: IndexArray) -> StrArray:
    """Leave out what shares a code (-1: none) with more photos of another split."""
    options = np.array(["train", "val", "test"], dtype=object)
    known = (code >= 0) & (split != "")
    place = np.searchsorted(np.unique(code[known]), code[known])
    counts = np.zeros((place.max(initial=-1) + 1, len(options)), int)
    number = np.array([np.flatnonzero(options == name)[0] for name in split[known]], int)
    np.add.at(counts, (place, number), 1)
    kept = split.copy()
    kept[known] = np.where(counts.argmax(axis=1)[place] == number, split[known], "")
    return kept


def _deal(names: StrArray, val: float, test: float, salt: str) -> StrArray:
    """Splits (N,) of names, the same for the same name."""
    distinct, place = np.unique(names.astype(str), return_inverse=True)
    draws = np.array([_uniform(f"{salt} {name}") for name in distinct.tolist()])
    split = np.where(draws < test, "test", np.where(draws < test + val, "val", "train"))
    return split.astype(object)[place]


def _uniform(text: str) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _codes(values: StrArray) -> IndexArray:
    """Numbers (N,) that are equal for equal strings; -1 for ""."""
    distinct, code = np.unique(values.astype(str), return_inverse=True)
    return np.where(distinct[code] == "", -1, code).astype(np.intp)


def _linked(count: int, keys: list[IndexArray]) -> IndexArray:
    """Component (count,) of each photo when equal codes are links."""
    rows, nodes, total = [], [], count
    for code in keys:
        known = np.flatnonzero(code >= 0)
        rows.append(known)
        nodes.append(code[known] + total)
        total += int(code.max(initial=-1)) + 1
    pairs = np.concatenate(rows), np.concatenate(nodes)
    graph = coo_matrix((np.ones(len(pairs[0]), bool), pairs), shape=(total, total))
    found = connected_components(graph, directed=False)[1][:count]
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


def assign_folds(manifest: Manifest, embeddings: Float32Array, seed: int = 0) -> IndexArray:
    """Fold of each photo.

    Groups are never split, and groups that share near-duplicates of a photo stay together. The
    largest go first, each to the fold that has least of its collection.

    Args:
        manifest: N photos.
        embeddings: (N, D) of them.
        seed: breaks ties among groups of the same size.

    Returns:
        (N,) 0..FOLDS-1, fewer folds if there are fewer groups.

    Raises:
        TableError: all photos belong together, so that nothing can be held out.
    """
    unit = _components(manifest, embeddings)
    names, first, size = np.unique(unit, return_index=True, return_counts=True)
    if len(names) < 2:
        raise TableError(
            f"all {len(manifest)} photos belong to one place or group, so nothing can be held out"
            " to measure on; add photos of another place"
        )
    folds = min(FOLDS, len(names))
    order = np.lexsort((np.random.default_rng(seed).random(len(names)), -size))
    load = {name: np.zeros(folds) for name in np.unique(manifest.collection)}
    fold_of = np.empty(len(names), np.intp)
    for unit_row in order:
        mine = load[manifest.collection[first[unit_row]]]
        fold_of[unit_row] = np.argmin(mine)
        mine[fold_of[unit_row]] += size[unit_row]
    return fold_of[np.searchsorted(names, unit)]


def _components(manifest: Manifest, embeddings: Float32Array) -> IndexArray:
    """Number (N,) of the set of linked groups that each photo is in."""
    group = np.unique(manifest.group.astype(str), return_inverse=True)[1]
    row, other = near_duplicates(embeddings)
    return link(int(group.max()) + 1, (group[row], group[other]))[group]


def group_weights(group: StrArray) -> Float32Array:
    """Weight of each photo, (N,) of mean 1: a group of n photos counts as sqrt(n) photos."""
    member, size = np.unique(group.astype(str), return_inverse=True, return_counts=True)[1:]
    weight = 1.0 / np.sqrt(size[member])
    return np.asarray(weight / weight.mean(), np.float32)
