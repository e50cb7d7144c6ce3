"""Splits and folds without leakage: linked photos are held out together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geocells.borders.hierarchy import embedded_boundaries
from geoloc.errors import TableError
from geoloc.types import (
    BoolArray,
    Float32Array,
    Float64Array,
    IndexArray,
    Int64Array,
    StrArray,
)
from training.data.duplicates import link, near_duplicates
from training.data.manifest import Manifest
from training.data.table import latlon_of, strings_of

FOLDS = 5

MIN_COLLECTIONS = 5
"""Fewer collections cannot measure how a model does on collections that it never saw."""

MAX_COMPONENT_SHARE = 0.01
"""A component of linked photos goes to one split if it holds at most this share of all photos."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The split of each of N photos."""

    split: StrArray
    """(N,) train, val or test; "" for a photo that is left out because it would link two splits."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of photos in each split."""
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
    """Assign photos to splits so that no two splits share an author, group, location or block.

    Photos that share any of these, or are near-duplicates, are linked, and each connected component
    goes to one split. Components that are too large for that, because authors travel, are split by
    author and by block separately: photos whose author and block are in the same split stay, and
    the others are left out. The result depends on names and coordinates, not on the order of rows.

    Args:
        table: N rows of a photo table.
        val: share of authors and blocks in the split val.
        test: share of authors and blocks in the split test.
        block_km: side of the squares of the Earth that are assigned as a whole.
        seed: of the assignment.
        duplicates: pairs of rows from `near_duplicates`.

    Raises:
        TableError: the shares leave nothing to train on.
    """
    if not (0.0 <= val and 0.0 <= test and val + test < 1.0):
        raise TableError(f"val {val} and test {test}: expected shares with a sum below 1")
    names = strings_of(table, "photo_id").astype(str)
    twins = np.arange(len(table)) if duplicates is None else link(len(table), duplicates)
    keys = {**linking_keys(table, block_km), "twins": twins}
    component = components_of_keys(len(table), list(keys.values()))
    size = np.bincount(component)[component]
    # components are named by their first photo, so that photos elsewhere do not change the result
    first = np.full(component.max(initial=-1) + 1, "\U0010ffff", dtype=object)
    np.minimum.at(first, component, names.astype(object))
    split = _assign(first, val, test, f"{seed} together")[component]
    large = size > max(1.0, MAX_COMPONENT_SHARE * len(table))
    if large.any():
        split[large] = _split_large(table, keys, large, block_km, (val, test), seed)
    return Splits(split)


def describe_authors(table: pa.Table, block_km: float) -> list[str]:
    """Return a line if photos have no author, and are kept together by place only."""
    unknown = int((strings_of(table, "author") == "").sum())
    if not unknown:
        return []
    count = f"{unknown:,} of {len(table):,} photos have" if unknown < len(table) else "photos have"
    together = f"squares of {block_km:g} km, sequences and locations"
    return [f"{count} no author: they are split by place only ({together})"]


def linking_keys(table: pa.Table, block_km: float) -> dict[str, IndexArray]:
    """Return the numbers (N,) of author, square, group and location of each photo; -1 for none."""
    columns = {"author": "author", "group": "group", "location": "location_id"}
    keys = {name: _codes(strings_of(table, column)) for name, column in columns.items()}
    return {**keys, "block": _codes(blocks(latlon_of(table), block_km))}


def balanced(unit: IndexArray, parts: int, rng: np.random.Generator) -> IndexArray:
    """Assign whole units (N,), the largest first, each to the part with the fewest photos."""
    size = np.bincount(unit)
    load, part = np.zeros(parts), np.zeros(len(size), np.intp)
    for number in np.lexsort((rng.random(len(size)), -size)):
        part[number] = np.argmin(load)
        load[part[number]] += size[number]
    return part[unit]


def blocks(latlon: Float64Array, side_km: float) -> StrArray:
    """Return names (N,) of the squares of about this side that coordinates (N, 2) lie in."""
    row, column = _rows_and_columns(latlon, side_km)
    named = np.char.add(np.char.add(row.astype(str), ","), column.astype(str))
    return named.astype(object)


def block_numbers(latlon: Float64Array, side_km: float) -> IndexArray:
    """Return numbers (N,), 0 and up, of the squares of `blocks`."""
    row, column = _rows_and_columns(latlon, side_km)
    span = int(column.max(initial=0)) - int(column.min(initial=0)) + 1
    numbers: IndexArray = np.unique(row * span + column, return_inverse=True)[1]
    return numbers


def _rows_and_columns(latlon: Float64Array, side_km: float) -> tuple[Int64Array, Int64Array]:
    """Return rows (N,) and columns (N,) of squares of the Earth of about this side."""
    step = side_km / 111.2
    row = np.floor(latlon[:, 0] / step)
    width = step / np.maximum(np.cos(np.radians((row + 0.5) * step)), 0.01)
    column = np.floor(latlon[:, 1] / width)
    return row.astype(np.int64), column.astype(np.int64)


def _split_large(
    table: pa.Table,
    keys: dict[str, IndexArray],
    large: BoolArray,
    block_km: float,
    shares: tuple[float, float],
    seed: int,
) -> StrArray:
    """Return splits of photos of large components, "" where those of author and block differ."""
    rows = np.flatnonzero(large)
    by_block = _assign(blocks(latlon_of(table)[rows], block_km), *shares, f"{seed} block")
    author = strings_of(table, "author")[rows]
    by_author = np.where(author == "", by_block, _assign(author, *shares, f"{seed} author"))
    split = np.where(by_block == by_author, by_block, "").astype(object)
    for name in ("group", "location", "twins"):
        split = drop_minorities(split, keys[name][rows])
    return split


def drop_minorities(split: StrArray, code: IndexArray) -> StrArray:
    """Replace by "" the splits of photos that share a code with more photos of another split.

    Code -1 means no code.
    """
    known = (code >= 0) & (split != "")
    if not known.any():
        return split
    options = np.unique(split[known].astype(str)).astype(object)
    place = np.searchsorted(np.unique(code[known]), code[known])
    counts = np.zeros((place.max(initial=-1) + 1, len(options)), int)
    number = np.array([np.flatnonzero(options == name)[0] for name in split[known]], int)
    np.add.at(counts, (place, number), 1)
    kept = split.copy()
    kept[known] = np.where(counts.argmax(axis=1)[place] == number, split[known], "")
    return kept


def _assign(names: StrArray, val: float, test: float, salt: str) -> StrArray:
    """Return splits (N,) of names; equal names have equal splits."""
    distinct, place = np.unique(names.astype(str), return_inverse=True)
    draws = np.array([_uniform(f"{salt} {name}") for name in distinct.tolist()])
    split = np.where(draws < test, "test", np.where(draws < test + val, "val", "train"))
    return split.astype(object)[place]


def _uniform(text: str) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _codes(values: StrArray) -> IndexArray:
    """Return numbers (N,) that are equal for equal strings; -1 for ""."""
    distinct, code = np.unique(values.astype(str), return_inverse=True)
    return np.where(distinct[code] == "", -1, code).astype(np.intp)


def components_of_keys(count: int, keys: list[IndexArray]) -> IndexArray:
    """Return (count,) the connected component of each photo; equal codes, except -1, are links."""
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
    """Assign photos to folds for cross-validation.

    Groups stay whole, and groups with near-duplicates of each other stay together. The largest are
    assigned first, each to the fold with the fewest photos of its folder.

    Args:
        manifest: N photos.
        embeddings: (N, D).
        seed: breaks ties among groups of the same size.

    Returns:
        (N,) 0..FOLDS-1; with fewer groups there are fewer folds.

    Raises:
        TableError: all photos are of one group, so that nothing can be held out.
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
    load = {name: np.zeros(folds) for name in np.unique(manifest.folder)}
    fold_of = np.empty(len(names), np.intp)
    for unit_row in order:
        photos_of_fold = load[manifest.folder[first[unit_row]]]
        fold_of[unit_row] = np.argmin(photos_of_fold)
        photos_of_fold[fold_of[unit_row]] += size[unit_row]
    return fold_of[np.searchsorted(names, unit)]


def collection_folds(collection: StrArray, seed: int = 0) -> IndexArray | None:
    """Assign photos to folds so that no collection is in two of them.

    The largest collections are assigned first, each to the fold with the fewest photos.

    Args:
        collection: (N,) names; photos without one are a collection of their own.
        seed: breaks ties among collections of the same size.

    Returns:
        (N,) 0..FOLDS-1; None with fewer than MIN_COLLECTIONS collections.
    """
    names, place = np.unique(collection.astype(str), return_inverse=True)
    if len(names) < MIN_COLLECTIONS:
        return None
    return balanced(place, FOLDS, np.random.default_rng(seed))


def balanced_weights(manifest: Manifest) -> Float32Array:
    """Return weights (N,) of mean 1 with which a collection of n photos counts as sqrt(n) photos.

    Countries are balanced in the same way.
    """
    weight = np.ones(len(manifest))
    country = embedded_boundaries().country.locate(manifest.latlon, 5.0)
    for names in (manifest.collection.astype(str), country):
        place, size = np.unique(names, return_inverse=True, return_counts=True)[1:]
        weight /= np.sqrt(size[place])
    return np.asarray(weight / weight.mean(), np.float32)


def _components(manifest: Manifest, embeddings: Float32Array) -> IndexArray:
    """Return (N,) the number of the set of linked groups of each photo."""
    group = np.unique(manifest.group.astype(str), return_inverse=True)[1]
    row, other = near_duplicates(embeddings)
    return link(int(group.max()) + 1, (group[row], group[other]))[group]


def group_weights(group: StrArray) -> Float32Array:
    """Return weights (N,) of mean 1 with which a group of n photos counts as sqrt(n) photos."""
    member, size = np.unique(group.astype(str), return_inverse=True, return_counts=True)[1:]
    weight = 1.0 / np.sqrt(size[member])
    return np.asarray(weight / weight.mean(), np.float32)
