"""`CrossReranker`: order the nearest clusters by all bands at once, for each kind of photo.

Galleries mix street-level pictures with everyday photos. A router says which of them a photo
resembles, and the weights of the re-ranker depend on it, so that a cluster of street views is
judged otherwise by an everyday photo than by a street view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import StoredTensors, softmax
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.retrieval.hubness import corrected
from geoloc.retrieval.reranker import distances_km
from geoloc.types import Float32Array, Int32Array

VOTE_SCALES_KM = (1.0, 5.0, 25.0, 200.0)
"""Scales of the kernels that sum the similarity of the other clusters around one."""

SHARPNESS = 20.0
"""Clusters vote with exp(SHARPNESS * similarity)."""

GATING = 4
"""Numbers of a photo that its weights depend on: a constant, the router's probability of a
street-level photo, the largest similarity and the largest belief."""

_FLOOR = 1e-6
_PHOTOS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Compared:
    """The P nearest clusters of N photos, as the re-ranker sees them."""

    features: Float32Array
    """(N, P, F): similarity in each block, corrected for hubness; logarithms of the belief in the
    cell and of the number of members; share of street views; logarithms of the votes around."""
    gating: Float32Array
    """(N, GATING)"""


@dataclass(frozen=True, eq=False)
class CrossReranker(StoredTensors):
    """Linear scores of clusters, with weights that are linear in the gating numbers of a photo.

    `training.retrieve.rerank` fits them to held-out photos by other authors.
    """

    weights: Float32Array
    """(GATING, F)"""
    router: Float32Array
    """(K + 1,) logistic regression of "is at street level" on the features, constant last."""
    line: Float32Array
    """(2,) slope and intercept of the logarithm of the probabilities over the similarities, so that
    re-ranked similarities have the scale of similarities."""
    hubness: Float32Array
    """(L, B) of each cluster in each block."""
    street: Float32Array
    """(L,) share of street-level pictures among the members."""
    blocks: Int32Array
    """(B,) sizes of the blocks of the features."""
    scale: Float32Array
    """(B,) lengths of the blocks."""

    def compare(
        self,
        gallery: Gallery,
        features: Float32Array,
        belief: Float32Array,
        nearest: NearestClusters,
    ) -> Compared:
        """Describe the nearest clusters (N, P) of photos with features (N, K), belief (N, C)."""
        parts = [
            self._compare(gallery, features[rows], belief[rows], nearest.take(rows))
            for start in range(0, len(features), _PHOTOS_AT_ONCE)
            for rows in [slice(start, start + _PHOTOS_AT_ONCE)]
        ]
        described, gating = zip(*parts, strict=True)
        return Compared(np.concatenate(described), np.concatenate(gating))

    def score(self, compared: Compared, nearest: NearestClusters) -> Float32Array:
        """Return the logarithm (N, P) of the probability that a cluster is the place."""
        weights = compared.gating @ self.weights
        score = np.einsum("npf,nf->np", compared.features, weights)
        score = np.where(nearest.cluster >= 0, score, -np.inf)
        most = score.max(axis=1, keepdims=True, initial=-1e9)
        total = np.exp(score - most).sum(axis=1, keepdims=True)
        return np.asarray(score - most - np.log(np.maximum(total, 1e-30)), np.float32)

    def rerank(self, score: Float32Array, nearest: NearestClusters, k: int) -> NearestClusters:
        """Return the k clusters of the highest scores (N, P), with scores on their scale."""
        slope, intercept = self.line
        order = np.argsort(-score, axis=1, kind="stable")[:, :k]
        cluster = np.take_along_axis(nearest.cluster, order, axis=1)
        ordered = (np.take_along_axis(score, order, axis=1) - intercept) / slope
        return NearestClusters(
            np.where(cluster < 0, np.float32(-1.0), ordered).astype(np.float32), cluster
        )

    def _compare(
        self,
        gallery: Gallery,
        features: Float32Array,
        belief: Float32Array,
        nearest: NearestClusters,
    ) -> tuple[Float32Array, Float32Array]:
        """Return features (N, P, F) and gating numbers (N, GATING) of some photos."""
        valid, row = nearest.cluster >= 0, np.maximum(nearest.cluster, 0)
        vectors = gallery.prototypes_of(row)
        products = features[:, None] * vectors
        starts = np.append(0, np.cumsum(self.blocks)[:-1])
        cosine = np.add.reduceat(products, starts, axis=2) / self.scale**2
        by_block = corrected(cosine.astype(np.float32), self.hubness[row])
        cell = gallery.clusters.cell[row].astype(np.int64)
        share = softmax(np.where(valid, SHARPNESS * nearest.similarity, -1e9))
        distance = distances_km(gallery.clusters.latlon[row])
        votes = [
            np.einsum("npq,nq->np", np.exp(distance / np.float32(-scale)), share)
            for scale in VOTE_SCALES_KM
        ]
        described = np.concatenate(
            [
                10.0 * by_block,
                np.log(np.take_along_axis(belief, cell, axis=1) + _FLOOR)[..., None],
                np.log(gallery.clusters.count[row])[..., None],
                self.street[row][..., None],
                np.stack([np.log(vote + _FLOOR) for vote in votes], axis=-1),
            ],
            axis=2,
        )
        router = 1.0 / (1.0 + np.exp(-(features @ self.router[:-1] + self.router[-1])))
        most = nearest.similarity.max(axis=1, initial=-1.0)
        gating = [np.ones(len(features)), router, 5.0 * most, belief.max(axis=1)]
        return described.astype(np.float32), np.column_stack(gating).astype(np.float32)


class RerankedGallery(Gallery):
    """A gallery whose nearest clusters are searched more widely, and then re-ranked."""

    WIDER = 2
    """Clusters that are compared, relative to those that are asked for."""

    def __init__(self, gallery: Gallery, reranker: CrossReranker) -> None:
        """Combine a gallery with the re-ranker that was fitted to it."""
        super().__init__(gallery.clusters, gallery.members, gallery.prototypes, gallery.photos)
        self.reranker = reranker
        self.prototypes_of(np.zeros(1, np.int64))  # numbers the rows, before threads search

    def search(
        self,
        features: Float32Array,
        belief: Float32Array,
        k: int,
        constraint: ConstraintMask | None = None,
    ) -> NearestClusters:
        """See `Gallery.search`; the similarities are the re-ranked ones."""
        nearest = super().search(features, belief, self.WIDER * k, constraint)
        compared = self.reranker.compare(self, features, belief, nearest)
        return self.reranker.rerank(self.reranker.score(compared, nearest), nearest, k)
