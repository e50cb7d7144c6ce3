"""Retrieval features of the training photos: principal components, and a file of features.

All passes read the embeddings in blocks and the features in windows of shuffled blocks, so that
memory does not grow with the number of photos. A million features of 1,024 numbers take 2 GB of
the disk.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from geoloc.encoders.base import normalise
from geoloc.errors import TableError
from geoloc.types import Float32Array
from training.data.sampler import WINDOW, epoch_order
from training.heads.examples import Examples
from training.types import Embeddings

BLOCK = 1024
"""Features that are next to each other in the file and read together."""

_ROWS_AT_ONCE = 8192
"""Embeddings that are read and projected together."""

_WINDOW = WINDOW * BLOCK
"""Features that are in memory together: the blocks of a window of `epoch_order`."""


class Features:
    """Features (N, K) in half precision in a temporary file, which is deleted with this object."""

    def __init__(self, examples: Examples, mean: Float32Array, projection: Float32Array) -> None:
        """Compute the features as `geoloc.belief.heads.Heads.features` does, and store them.

        Raises:
            TableError: the disk for temporary files is full.
        """
        self._shape = len(examples), projection.shape[1]
        self._file = tempfile.TemporaryFile()
        try:
            for block in blocks(examples.embeddings):
                features = normalise((block.astype(np.float32) - mean) @ projection)
                self._file.write(features.astype(np.float16).tobytes())
            self._file.flush()
        except OSError as error:
            needed = 2.0 * self._shape[0] * self._shape[1] / 1e9
            raise TableError(
                f"{tempfile.gettempdir()}: {error.strerror} while storing {needed:.1f} GB of"
                " features there; let the variable TMPDIR name a folder on a larger disk"
            ) from error

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def width(self) -> int:
        """Length of a feature, K."""
        return int(self._shape[1])

    def steps(self, size: int) -> int:
        """Return the number of batches of an epoch."""
        windows = range(0, len(self), _WINDOW)
        return sum(-(-min(_WINDOW, len(self) - start) // size) for start in windows)

    def batches(self, size: int, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all rows in random order, `size` at a time, with their features (B, K).

        The order is that of `epoch_order`: blocks are shuffled, and rows within windows of blocks.
        """
        order = epoch_order(np.arange(len(self)) // BLOCK, seed, epoch)
        for start in range(0, len(order), _WINDOW):
            rows = order[start : start + _WINDOW]
            features = self._read(rows)
            yield from zip(torch.from_numpy(rows).split(size), features.split(size), strict=True)

    def in_order(self) -> Iterator[Tensor]:
        """Yield all features in the order of the photos, block by block."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            yield self._read(np.arange(start, min(start + _ROWS_AT_ONCE, len(self))))

    def _read(self, rows: np.ndarray) -> Tensor:
        # mapped anew each time, so that pages already read do not count as memory of this process
        mapped = np.memmap(self._file, np.float16, "r", shape=self._shape)
        return torch.from_numpy(mapped[rows])


def blocks(embeddings: Embeddings) -> Iterator[Embeddings]:
    """Yield blocks of embeddings; the pages of a mapped file are given back after each."""
    mapped = embeddings.base if isinstance(embeddings.base, mmap.mmap) else None
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        yield embeddings[start : start + _ROWS_AT_ONCE]
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def principal_components(
    examples: Examples, most: int, whitening: float
) -> tuple[Float32Array, Float32Array]:
    """Return the weighted mean (D,) and partly whitened principal components (D, K).

    Args:
        examples: training photos.
        most: components to keep, at most.
        whitening: exponent of the variance that each component is divided by.
    """
    dim = examples.embeddings.shape[1]
    total, moment, start = np.zeros(dim), np.zeros((dim, dim)), 0
    share = examples.weights / examples.weights.sum(dtype=np.float64)
    for stored in blocks(examples.embeddings):
        block = stored.astype(np.float64)
        weighted = block * share[start : start + len(block), None]
        total += weighted.sum(axis=0)
        moment += block.T @ weighted
        start += len(block)
    variance, vectors = np.linalg.eigh(moment - np.outer(total, total))
    variance, vectors = variance[::-1], vectors[:, ::-1]  # largest first
    keep = np.flatnonzero(variance > variance[0] * 1e-6)[:most]
    projection = vectors[:, keep] / variance[keep] ** whitening
    return total.astype(np.float32), projection.astype(np.float32)
