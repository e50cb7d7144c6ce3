"""FAISS inverted-file indexes with given lists, and exhaustive search.

Vectors are in half precision if they are few, else quantised.

The lists are geocells or location clusters instead of k-means clusters. A search is therefore
always limited to a part of the Earth, and a list may hold one vector or none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.neighbours import at_most_kth
from geoloc.errors import BundleError, MissingExtraError
from geoloc.types import BoolArray, Float32Array, Int64Array

Vectors = npt.NDArray[np.floating]
"""(M, K), single or half precision, in memory or mapped."""

QUANTISED_FROM = 100_000
"""Number of vectors from which they are quantised; fewer are kept in half precision."""

MAPPED_FROM_BYTES = 64 * 2**20
"""Size from which files are memory-mapped: a search reads only a few of the lists."""

_ROWS_AT_ONCE = 65_536
"""Vectors that are added together, to bound the memory."""

_WRITTEN_AT_ONCE = 2**20

PQ_BYTES = 32
"""Size of a product-quantised vector."""

_QUERIES_AT_ONCE = 128
"""Queries whose similarities are in memory together."""


def faiss() -> Any:  # noqa: ANN401
    """Import the FAISS library, CPU or GPU build.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import faiss as library
    except ImportError as error:
        raise MissingExtraError("faiss", "cpu") from error
    return library


def build_scalar(vectors: Vectors, lists: npt.NDArray[np.integer], centres: Float32Array) -> Any:  # noqa: ANN401
    """Build the more precise index: half precision, or six bits per dimension if large.

    Args:
        vectors: (M, K).
        lists: (M,) list of each vector.
        centres: (L, K) representative vector of each list.
    """
    library = faiss()
    kind, quantizer, dim = _kind(len(vectors)), _flat(centres), vectors.shape[1]
    index = library.IndexIVFScalarQuantizer(
        quantizer, dim, len(centres), kind, library.METRIC_INNER_PRODUCT
    )
    index.by_residual = False
    return _fill(index, quantizer, vectors, lists)


def build_compact(vectors: Vectors, lists: npt.NDArray[np.integer], n_lists: int) -> Any:  # noqa: ANN401
    """Build the more compact index: half precision, or product-quantised if large.

    Its searches name their lists, which therefore need no centres.

    Args:
        vectors: (M, K).
        lists: (M,) list of each vector, 0..n_lists-1.
        n_lists: number of lists, some of which may be empty.
    """
    library, dim = faiss(), vectors.shape[1]
    quantizer = library.IndexLSH(dim, min(8, dim), False, False)  # unused, as small as possible
    quantizer.add(np.zeros((n_lists, dim), np.float32))
    metric = library.METRIC_INNER_PRODUCT
    if len(vectors) < QUANTISED_FROM or dim % PQ_BYTES:
        kind = _kind(len(vectors))
        index = library.IndexIVFScalarQuantizer(quantizer, dim, n_lists, kind, metric)
    else:
        index = library.IndexIVFPQ(quantizer, dim, n_lists, PQ_BYTES, 8, metric)
    index.by_residual = False
    return _fill(index, quantizer, vectors, lists)


def _kind(count: int) -> int:
    """Return FAISS's constant for half precision, or six bits per dimension for many vectors."""
    codes = faiss().ScalarQuantizer
    return int(codes.QT_fp16 if count < QUANTISED_FROM else codes.QT_6bit)


def search(
    index: Any,  # noqa: ANN401
    queries: Float32Array,
    lists: Int64Array,
    k: int,
    inside: BoolArray | None = None,
) -> tuple[Float32Array, Int64Array]:
    """Return the k most similar vectors in given lists.

    Args:
        index: from `build_scalar` or `build_compact`.
        queries: (N, K).
        lists: (N, P) lists to search for each query, without repetition; -1 for none.
        k: number of results for each query.
        inside: (M,) which vectors may be returned; None for all.

    Returns:
        (N, k) inner products, descending, and (N, k) rows; -1 and -1 beyond the last.
    """
    # FAISS reads at most nlist entries of a row: entries of -1 are moved to its end
    lists = -np.sort(-lists, axis=1)[:, : index.nlist]
    library = faiss()
    options = library.SearchParametersIVF(nprobe=lists.shape[1])
    if inside is not None:
        allowed = np.packbits(inside, bitorder="little")
        options.sel = library.IDSelectorBitmap(allowed)
    vectors, chosen = np.ascontiguousarray(queries, np.float32), np.ascontiguousarray(lists)
    similarity = np.empty((len(vectors), k), np.float32)
    row = np.empty((len(vectors), k), np.int64)
    # distances to the centres are only used by codes of residuals, which these indexes do not have
    centre_distance = np.zeros(lists.shape, np.float32)
    given = (vectors, k, chosen, centre_distance, similarity, row)
    pointers = [library.swig_ptr(part) if isinstance(part, np.ndarray) else part for part in given]
    index.search_preassigned_c(len(vectors), *pointers, False, options)
    return np.where(row < 0, np.float32(-1.0), similarity), row


def flat(index: Any) -> Any:  # noqa: ANN401
    """Return an exhaustive index of the same vectors, which is searched by one matrix product.

    FAISS builds for GPUs put it on all GPUs.
    """
    library = faiss()
    vectors = index.reconstruct_n(0, index.ntotal)
    if getattr(library, "get_num_gpus", lambda: 0)():
        return library.index_cpu_to_all_gpus(_flat(vectors))
    return Exhaustive(vectors)


class Exhaustive:
    """Vectors that are all compared with every query, by one matrix product and a partial sort.

    Ranking 32 photos takes 6 % less time than with FAISS, whose threads also wait for each other
    on cores that run the network.
    """

    def __init__(self, vectors: Float32Array) -> None:
        """Take vectors (M, K)."""
        self._vectors = np.ascontiguousarray(vectors, np.float32)

    def search(self, queries: Float32Array, k: int) -> tuple[Float32Array, Int64Array]:
        """Return the k <= M most similar vectors.

        Args:
            queries: (N, K).
            k: number of results for each query.

        Returns:
            (N, k) inner products, descending, and (N, k) rows; of equal ones the first rows.
        """
        similarity = np.empty((len(queries), k), np.float32)
        row = np.empty((len(queries), k), np.int64)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            products = queries[start : start + _QUERIES_AT_ONCE] @ self._vectors.T
            least = at_most_kth(products, k)
            for at, (each, limit) in enumerate(zip(products, least, strict=True), start):
                near = np.flatnonzero(each >= limit)
                row[at] = near[np.argsort(-each[near], kind="stable")[:k]]
                similarity[at] = each[row[at]]
        return similarity, row


def vectors_of(index: Any, rows: Int64Array) -> Float32Array:  # noqa: ANN401
    """Return the vectors (..., K) of rows (...) of an index with lists."""
    if index.direct_map.no():
        index.make_direct_map()
    found = index.reconstruct_batch(np.ascontiguousarray(rows.ravel(), np.int64))
    return np.asarray(found, np.float32).reshape(*rows.shape, -1)


def centres(index: Any) -> Float32Array:  # noqa: ANN401
    """Return the representative vectors (L, K) of the lists."""
    quantizer = faiss().downcast_index(index.quantizer)
    return np.asarray(quantizer.reconstruct_n(0, index.nlist), np.float32)


def write(index: Any, path: Path) -> None:  # noqa: ANN401
    """Write an index to a file, a part at a time; raises OSError."""
    library = faiss()
    failed: list[OSError] = []
    with path.open("wb") as file:

        def part(data: bytes) -> None:
            try:
                if not failed:
                    file.write(data)
            except OSError as error:  # which FAISS would turn into an end of the process
                failed.append(error)

        writer = library.PyCallbackIOWriter(part, _WRITTEN_AT_ONCE)
        library.write_index(index, library.BufferedIOWriter(writer, _WRITTEN_AT_ONCE))
    if failed:
        raise failed[0]


def read(path: Path, vectors: int, lists: int) -> Any:  # noqa: ANN401
    """Read an index; large files are memory-mapped.

    Raises:
        BundleError: the file is damaged, or the index has other numbers of vectors or lists.
    """
    library = faiss()
    flags = library.IO_FLAG_MMAP if path.stat().st_size >= MAPPED_FROM_BYTES else 0
    try:
        index = library.read_index(str(path), flags)
    except RuntimeError as error:
        raise BundleError(f"{path}: unreadable; fetch or make the bundle again") from error
    if index.ntotal != vectors or index.nlist != lists:
        raise BundleError(f"{path}: does not fit the tables; fetch or make the bundle again")
    return index


def _flat(vectors: Float32Array) -> Any:  # noqa: ANN401
    index = faiss().IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))
    return index


def _fill(index: Any, quantizer: Any, vectors: Vectors, lists: npt.NDArray[np.integer]) -> Any:  # noqa: ANN401
    """Add vectors (M, K), which may be mapped, to their lists, a block at a time."""
    index.own_fields = True
    quantizer.this.disown()
    if len(vectors) < QUANTISED_FROM:
        index.is_trained = True
    else:  # trains the code only: the quantizer has its centres already
        chosen = np.random.default_rng(0).choice(len(vectors), QUANTISED_FROM // 2, replace=False)
        index.train(_single(vectors[np.sort(chosen)]))
    numbers = lists.astype(np.int64)
    swig = faiss().swig_ptr
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        block = _single(vectors[start : start + _ROWS_AT_ONCE])
        index.add_core(len(block), swig(block), None, swig(numbers[start:]))
    return index


def _single(vectors: Vectors) -> Float32Array:
    return np.ascontiguousarray(vectors, np.float32)
