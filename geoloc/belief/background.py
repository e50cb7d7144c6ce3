"""`Background`: embeddings of photos from all over the world, to compare a bundle's own with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from geoloc.belief.heads import StoredTensors
from geoloc.encoders.base import normalise
from geoloc.types import Float32Array, Float64Array, Int32Array, StrArray

_LARGEST = 127


@dataclass(frozen=True, eq=False)
class Background(StoredTensors):
    """M photos from all over the world, embedded by the encoder of the bundle they belong to.

    A photo that resembles these more than the photos of the bundle was probably taken elsewhere.
    """

    quantised: npt.NDArray[np.int8]
    """(M, D) directions of the embeddings, a quarter of the size of float32."""
    latlon: Float32Array
    """(M, 2) degrees."""
    collection: Int32Array
    """(M,) see `collection_codes`."""

    @classmethod
    def of(cls, embeddings: Float32Array, latlon: Float64Array, collection: StrArray) -> Self:
        """Return the background of M photos.

        Args:
            embeddings: (M, D) unit vectors.
            latlon: (M, 2) degrees.
            collection: (M,) names of their collections.
        """
        largest = np.abs(embeddings).max(axis=1, keepdims=True)
        scaled = embeddings * (_LARGEST / np.maximum(largest, 1e-12))
        return cls(
            np.rint(scaled).astype(np.int8), latlon.astype(np.float32), collection_codes(collection)
        )

    def __len__(self) -> int:
        return len(self.quantised)

    @property
    def embeddings(self) -> Float32Array:
        """(M, D) unit vectors; the cosine with the original embeddings is above 0.999."""
        return normalise(self.quantised.astype(np.float32))

    def without(self, collection: StrArray) -> Self:
        """Return the photos of other collections than those named."""
        kept = ~np.isin(self.collection, collection_codes(np.unique(collection.astype(str))))
        return type(self)(self.quantised[kept], self.latlon[kept], self.collection[kept])


def collection_codes(names: StrArray) -> Int32Array:
    """Return numbers (N,) of collection names (N,), the same in every table and process."""
    distinct, place = np.unique(names.astype(str), return_inverse=True)
    digests = [hashlib.sha256(name.encode()).digest()[:4] for name in distinct.tolist()]
    return np.frombuffer(b"".join(digests), np.dtype("<i4")).astype(np.int32)[place]
