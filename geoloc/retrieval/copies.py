"""`Copies`: recognise a photo as a copy of one in the gallery.

The members with the most similar features are compared with the photo by their signatures. A copy
may be resized, recompressed, brighter or darker, cropped, or a screenshot with borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import StoredTensors
from geoloc.encoders.signatures import SIDE
from geoloc.retrieval.frames import Frames
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.windows import correlations
from geoloc.types import Float32Array, Int64Array, UInt8Array

CANDIDATES = 20
"""Members with the most similar features, which are compared with a photo."""

LEAST_SIMILARITY = 0.3
"""Similarity of features below which a member is not compared: no copy is that different."""

LEAST_PRECISION_KM = 0.1
"""Uncertainty of a place that is said to be more precise, or of which nothing is said."""


@dataclass(frozen=True, eq=False)
class Copies(StoredTensors):
    """The signatures of M gallery photos, and the correlation from which a photo is a copy."""

    signatures: UInt8Array
    """(M, SIDE, SIDE)"""
    precision_km: Float32Array
    """(M,) uncertainty of the coordinates."""
    threshold: Float32Array
    """(1,) `training.calibrate.recognition.copies` fits it."""

    def find(
        self,
        features: Float32Array,
        signatures: Sequence[UInt8Array | None],
        gallery: Gallery,
        constraint: ConstraintMask | None = None,
    ) -> Int64Array:
        """Return the member (N,) that each photo is a copy of; -1 for none.

        Args:
            features: (N, K) of the photos.
            signatures: (N,) of the photos; None for photos of which only embeddings are kept.
            gallery: M photos.
            constraint: excludes members outside.
        """
        return self.compare(features, signatures, gallery, constraint).copies(self.threshold[0])

    def compare(
        self,
        features: Float32Array,
        signatures: Sequence[UInt8Array | None],
        gallery: Gallery,
        constraint: ConstraintMask | None = None,
        count: int = CANDIDATES,
    ) -> Compared:
        """Compare photos with the members whose features are most similar.

        Args:
            features: as for `find`.
            signatures: as for `find`.
            gallery: as for `find`.
            constraint: as for `find`.
            count: members that each photo is compared with, if there are as many.
        """
        similarity, member = gallery.most_similar(features, min(count, len(self.precision_km)))
        useful = (similarity >= LEAST_SIMILARITY) & np.array([s is not None for s in signatures])[
            :, None
        ]
        if constraint is not None:
            useful &= constraint.clusters[gallery.members.cluster[member]]
        known = [np.zeros((SIDE, SIDE), np.uint8) if s is None else s for s in signatures]
        photo, column = np.nonzero(useful)
        found = np.full(member.shape, -1.0, np.float32)
        found[photo, column] = correlations(
            np.stack(known), self.signatures[member[photo, column]], photo
        )
        return Compared(similarity, found, member)


@dataclass(frozen=True, eq=False)
class Compared:
    """N photos and the P members whose features are most similar, most similar first."""

    similarity: Float32Array
    """(N, P) of features."""
    correlation: Float32Array
    """(N, P) of signatures; -1 for members that were not compared."""
    member: Int64Array
    """(N, P) rows of the member table."""

    def copies(self, threshold: float) -> Int64Array:
        """Return the member (N,) with the highest correlation; -1 where it is too low."""
        best = self.correlation.argmax(axis=1)[:, None]
        found = np.take_along_axis(self.member, best, axis=1)[:, 0]
        enough = np.take_along_axis(self.correlation, best, axis=1)[:, 0] >= threshold
        return np.where(enough, found, -1)

    def frames(self, frames: Frames, gallery: Gallery) -> Int64Array:
        """Return the most similar member (N,) where a photo is a frame of its scene, else -1."""
        latlon = gallery.members.latlon[self.member]
        first = self.correlation[:, 0]
        same = frames.recognise(self.similarity, first, latlon) & (first > -1.0)
        return np.where(same, self.member[:, 0], -1)
