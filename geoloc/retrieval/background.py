"""`BackgroundFeatures`: similarity of a photo to photos from all over the world.

A photo that resembles the photos of a bundle no more than it resembles the rest of the world was
probably taken somewhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.derived import Source, derived
from geoloc.belief.background import Background
from geoloc.belief.heads import Heads
from geoloc.types import BoolArray, Float32Array, Int32Array

NEAREST = 10
"""Background photos whose mean similarity is a signal."""


@dataclass(frozen=True, eq=False)
class BackgroundFeatures:
    """M background photos in the feature space of one bundle."""

    features: Float32Array
    """(M, K) unit vectors; M may be 0."""
    collection: Int32Array
    """(M,) see `geoloc.belief.background.collection_codes`."""

    @classmethod
    def of(cls, background: Background | None, heads: Heads) -> BackgroundFeatures:
        """Return the features of background photos; of none if there are none."""
        if background is None:
            return cls(np.zeros((0, heads.projection.shape[1]), np.float32), np.zeros(0, np.int32))
        sources: list[Source] = [background.quantised, heads.mean, heads.projection]
        (features,) = derived(
            "background 1", sources, lambda: (heads.features(background.embeddings),)
        )
        return cls(features, background.collection)

    def of_collections(self, collection: Int32Array) -> BoolArray:
        """Return (N, M) which background photos are of each of N collections."""
        found: BoolArray = collection[:, None] == self.collection
        return found

    def similarity(self, features: Float32Array, left_out: BoolArray | None = None) -> Float32Array:
        """Return the similarity to the nearest photo, and the mean over the NEAREST ones, (N, 2).

        Args:
            features: (N, K) unit vectors.
            left_out: (N, M) photos that are not compared, such as those of the collections of
                held-out photos.

        Returns:
            Zeros if there are no more than NEAREST background photos.
        """
        if len(self.features) <= NEAREST:
            return np.zeros((len(features), 2), np.float32)
        similarity = features @ self.features.T
        if left_out is not None:
            similarity[left_out] = -1.0
        nearest = -np.partition(-similarity, NEAREST - 1, axis=1)[:, :NEAREST]
        return np.column_stack([nearest.max(axis=1), nearest.mean(axis=1)]).astype(np.float32)
