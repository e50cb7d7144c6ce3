"""FAISS indexes over vectors that lie in given lists: exact where there are few, coded where many.

The lists are not found by k-means: they are geocells or location clusters, so that what is searched
is always a part of the Earth, and a list may hold one vector or none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geoloc.errors import BundleError, MissingExtraError
from geoloc.types import BoolArray, Float32Array, Int64Array

CODED_FROM = 100_000
"""Fewer vectors are kept in half precision; from here on they are coded."""

MAPPED_FROM_BYTES = 64 * 2**20
"""Larger files are mapped from disk instead of read: a search touches a few lists of many."""

PQ_BYTES = 32
"""Of a product-quantised member."""


def faiss() -> Any:  # noqa: ANN401
    """The FAISS library, CPU or GPU build.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import faiss as library
    except ImportError as error:
        raise MissingExtraError("faiss", "cpu") from error
    return library


def build_scalar(
    vectors: Float32Array, lists: npt.NDArray[np.integer], centres: Float32Array
) -> Any:  # noqa: ANN401
    """Index for the vectors that decide: half precision, or a byte a dimension where many.

    Args:
        vectors: (M, K).
        lists: (M,) list of each vector.
        centres: (L, K) what stands for each list.
    """
    library = faiss()
    kind, quantizer, dim = _kind(len(vectors)), _flat(centres), vectors.shape[1]
    index = library.IndexIVFScalarQuantizer(
        quantizer, dim, len(centres), kind, library.METRIC_INNER_PRODUCT
    )
    index.by_residual = False
    return _fill(index, quantizer, vectors, lists)


def build_compact(vectors: Float32Array, lists: npt.NDArray[np.integer], n_lists: int) -> Any:  # noqa: ANN401
    """Index for the many vectors that refine: product quantised where they are many.

    Its lists are always given, never searched for, and have no centres.

    Args:
        vectors: (M, K).
        lists: (M,) list of each vector, 0..n_lists-1.
        n_lists: number of lists, some of which may be empty.
    """
    library, dim = faiss(), vectors.shape[1]
    quantizer = library.IndexLSH(dim, min(8, dim), False, False)  # a byte that nobody reads
    quantizer.add(np.zeros((n_lists, dim), np.float32))
    metric = library.METRIC_INNER_PRODUCT
    if len(vectors) < CODED_FROM or dim % PQ_BYTES:
        kind = _kind(len(vectors))
        index = library.IndexIVFScalarQuantizer(quantizer, dim, n_lists, kind, metric)
    else:
        index = library.IndexIVFPQ(quantizer, dim, n_lists, PQ_BYTES, 8, metric)
    index.by_residual = False
    return _fill(index, quantizer, vectors, lists)


def _kind(count: int) -> int:
    """FAISS's name for half precision, or for a byte a dimension where there are many vectors."""
    codes = faiss().ScalarQuantizer
    return int(codes.QT_fp16 if count < CODED_FROM else codes.QT_8bit)


def search(
    index: Any,  # noqa: ANN401
    queries: Float32Array,
    lists: Int64Array,
    k: int,
    inside: BoolArray | None = None,
) -> tuple[Float32Array, Int64Array]:
    """The k most similar vectors of some lists.

    Args:
        index: from here.
        queries: (N, K).
        lists: (N, P) lists to look into, each once; -1 for none.
        k: how many.
        inside: (M,) vectors that may be found; all if left out.

    Returns:
        (N, k) inner products, descending, and (N, k) rows; -1 and -1 where the lists hold fewer.
    """
    # FAISS reads no more places of a row than there are lists; those of no list (-1) go last
    lists = -np.sort(-lists, axis=1)[:, : index.nlist]
    library = faiss()
    options = library.SearchParametersIVF(nprobe=lists.shape[1])
    if inside is not None:
        allowed = np.packbits(inside, bitorder="little")
        options.sel = library.IDSelectorBitmap(allowed)
    vectors, chosen = np.ascontiguousarray(queries, np.float32), np.ascontiguousarray(lists)
    similarity = np.empty((len(vectors), k), np.float32)
    row = np.empty((len(vectors), k), np.int64)
    # distances to the centres are only used by codes of what is left of a vector beside them
    beside = np.zeros(lists.shape, np.float32)
    given = (vectors, k, chosen, beside, similarity, row)
    pointers = [library.swig_ptr(part) if isinstance(part, np.ndarray) else part for part in given]
    index.search_preassigned_c(len(vectors), *pointers, False, options)
    return np.where(row < 0, np.float32(-1.0), similarity), row


def flat(index: Any) -> Any:  # noqa: ANN401
    """All vectors of an index in one array: as exact as all its lists, and one matrix product.

    On a FAISS build with GPUs it lies on all of them.
    """
    library = faiss()
    whole = _flat(index.reconstruct_n(0, index.ntotal))
    if getattr(library, "get_num_gpus", lambda: 0)():
        return library.index_cpu_to_all_gpus(whole)
    return whole


def centres(index: Any) -> Float32Array:  # noqa: ANN401
    """(L, K) what stands for each list."""
    quantizer = faiss().downcast_index(index.quantizer)
    return np.asarray(quantizer.reconstruct_n(0, index.nlist), np.float32)


def write(index: Any, path: Path) -> None:  # noqa: ANN401
    """Write an index."""
    path.write_bytes(faiss().serialize_index(index).tobytes())


def read(path: Path, vectors: int, lists: int) -> Any:  # noqa: ANN401
    """Read an index of so many vectors and lists; large ones are mapped.

    Raises:
        BundleError: it is damaged, or of other sizes.
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


def _fill(index: Any, quantizer: Any, vectors: Float32Array, lists: npt.NDArray[np.integer]) -> Any:  # noqa: ANN401
    index.own_fields = True
    quantizer.this.disown()
    contiguous = np.ascontiguousarray(vectors, np.float32)
    if len(contiguous) < CODED_FROM:
        index.is_trained = True
    else:  # only the code: the quantizer has its centres already
        chosen = np.random.default_rng(0).choice(len(contiguous), CODED_FROM // 2, replace=False)
        index.train(contiguous[np.sort(chosen)])
    numbers = lists.astype(np.int64)
    swig = faiss().swig_ptr
    index.add_core(len(contiguous), swig(contiguous), None, swig(numbers))
    return index
