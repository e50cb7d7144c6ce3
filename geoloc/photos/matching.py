"""Find the rows of one table that name the same photos as the rows of another table or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geocells.columns import numbers, to_numbers
from geoloc.photos.columns import text_column
from geoloc.photos.tabular.encoding import readable, unprinted
from geoloc.types import BoolArray, Int64Array

_ENDING = r"(?i)\.(jpe?g|jpe|jfif|png|webp|hei[cf]|tiff?|gif|bmp|avif)$"


def _scalar(value: int) -> pa.Scalar:
    """An int32 made from a column: `pa.scalar` would import pandas, see `geocells.columns`."""
    return to_numbers(np.array([value], np.int32), pa.int32())[0]


_NONE = _scalar(-1)


@dataclass(frozen=True, eq=False)
class Matches:
    """Which of M names each of N names means."""

    row: Int64Array
    """(N,) 0..M-1, -1 for none."""
    ambiguous: BoolArray
    """(N,) no row, because the name without its folders fits several photos.

    A photo that another name means does not count, unless this name is a part of its path.
    """


def match_names(names: pa.Array | pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> Matches:
    """Match names of photos with other names of the same photos.

    The whole name counts first. Then endings of photo files are disregarded, and spaces around the
    name, and the way accents are composed; then leading folders one after the other, so that
    `paris/0.jpg` is `photos/paris/0.png` rather than `nyc/0.jpg`. A name without some of its
    folders counts only if it is unique on both sides.

    Args:
        names: N names or IDs to look for; null matches nothing.
        among: M names or IDs.
    """
    whole, others = _plain(names), _plain(among)
    row = _index(whole, others)
    if (row >= 0).all():
        return Matches(row, np.zeros(len(row), bool))
    names_of, others_of = _alike(whole), _alike(others)
    for count in range(_depth(names_of), 0, -1):
        tail, other_tail = _tail(names_of, count), _tail(others_of, count)
        unique = _once(other_tail)
        found = _index(tail, pc.if_else(unique, other_tail, pa.NULL))
        alone = _once_among_distinct(whole, tail)
        row = np.where((row < 0) & alone, found, row)
    free = np.setdiff1d(np.arange(len(others)), row)
    candidates = _tail(others_of.take(pa.array(free)), 1)
    fits = _bools(pc.is_in(_tail(names_of, 1), value_set=candidates, skip_nulls=True))
    for count in range(_depth(others_of), 0, -1):
        fits |= _bools(pc.is_in(names_of, value_set=_tail(others_of, count), skip_nulls=True))
    return Matches(row, (row < 0) & fits)


def match_any(
    names: Sequence[pa.Array | pa.ChunkedArray], among: Sequence[pa.Array | pa.ChunkedArray]
) -> Matches:
    """Match photos that both tables may name by an ID, by a file name, or by both.

    One column of each table is matched: the pair of columns with the most matches, the first among
    equals. Columns are not mixed, because an ID of one photo may be the file name of another.

    Args:
        names: columns of N names or IDs, the preferred one first.
        among: columns of M names or IDs, the preferred one first.
    """
    best = match_names(names[0], among[0])
    for ours, theirs in list(product(names, among))[1:]:
        if (best.row >= 0).all():
            break
        found = match_names(ours, theirs)
        if (found.row >= 0).sum() > (best.row >= 0).sum():
            best = found
    return best


def _plain(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Text with slashes between folders, in one chunk.

    Bytes that are not UTF-8, which outputs escape, are those that tables have for Windows-1252.
    """
    text = text_column(names).combine_chunks()
    if (_bools(pc.match_substring(text, "\\udc"))).any():
        texts = [
            readable(unprinted(name)) if name and "\\udc" in name else name
            for name in text.to_pylist()
        ]
        text = pa.array(texts, pa.string())
    text = pc.replace_substring(text, "\\", "/")
    return pc.replace_substring_regex(text, r"^(\./)+", "")


def _alike(names: pa.Array) -> pa.Array:
    """Names without endings and without spaces around them, composed as in tables (NFC)."""
    composed = pc.utf8_normalize(pc.utf8_trim(names, " "), form="NFC")
    return pc.replace_substring_regex(composed, _ENDING, "")


def _depth(names: pa.Array) -> int:
    """The largest number of parts of a name, counting the file itself."""
    most = pc.max(pc.count_substring(names, "/")).as_py()
    return 1 + (most or 0)


def _tail(names: pa.Array, count: int) -> pa.Array:
    """The last parts of each name; null for names of fewer parts."""
    long_enough = pc.greater_equal(pc.count_substring(names, "/"), _scalar(count - 1))
    tail = pc.replace_substring_regex(names, rf"^.*/((?:[^/]*/){{{count - 1}}}[^/]*)$", r"\1")
    return pc.if_else(long_enough, tail, pa.NULL)


def _index(names: pa.Array, among: pa.Array) -> Int64Array:
    """Row of each name in `among`, -1 for none and for null."""
    found = pc.index_in(names, value_set=among, skip_nulls=True)
    return np.asarray(numbers(pa.chunked_array([pc.fill_null(found, _NONE)])), np.int64)


def _once(values: pa.Array) -> pa.Array:
    """Whether each value occurs a single time."""
    return _occurs_once(values, values)


def _once_among_distinct(names: pa.Array, tails: pa.Array) -> BoolArray:
    """Whether no other name has the same tail."""
    distinct = pc.unique(names)
    first = pc.index_in(distinct, value_set=names)
    return _bools(_occurs_once(tails, tails.take(first)))


def _occurs_once(values: pa.Array, counted: pa.Array) -> pa.Array:
    """Whether each value is a single time among the counted ones."""
    table = pc.value_counts(counted)
    once = table.field("values").filter(pc.equal(table.field("counts"), _scalar(1)))
    return pc.is_in(values, value_set=once, skip_nulls=True)


def _bools(values: pa.Array) -> BoolArray:
    """The values, False for null."""
    filled = pc.and_kleene(pc.is_valid(values), values).cast(pa.uint8())
    return np.asarray(numbers(pa.chunked_array([filled])), bool)
