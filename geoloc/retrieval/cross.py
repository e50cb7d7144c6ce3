"""`CrossReranker`: order the nearest clusters by all bands at once, for each kind of photo.

Galleries mix street-level pictures with everyday photos. A router says which of them a photo
resembles, and the weights of the re-ranker depend on it, so that a cluster of street views is
judged otherwise by an everyday photo than by a street view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocells.sphere import EARTH_RADIUS_KM, group_means, pairwise_km, unit_vectors
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import StoredTensors, softmax
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.retrieval.hubness import corrected
from geoloc.types import Float32Array, Float64Array, Int32Array

VOTE_SCALES_KM = (1.0, 5.0, 25.0, 200.0)
"""Scales of the kernels that sum the similarity of the other clusters around one."""

DENSITY_SCALES_KM = (25.0, 200.0, 1000.0)
"""Scales of the kernels that sum the places of the gallery around a cell. A photo often resembles
two places equally; photos are taken where many others were."""

PARTNERS = 48
"""Most similar clusters that are tried as the second place that a photo resembles."""

APART_KM = 50.0
"""Least distance between the two places that a photo resembles."""

ALIKE = 0.98
"""Largest similarity of two clusters that explain a photo together."""

AFTER_BLOCKS = 5 + len(VOTE_SCALES_KM) + len(DENSITY_SCALES_KM)
"""Number of features of a cluster that follow the similarities in the blocks."""

SHARPNESS = 20.0
"""Clusters vote with exp(SHARPNESS * similarity)."""

GATING = 4
"""Numbers of a photo that its weights depend on: a constant, the router's probability of a
street-level photo, the largest similarity and the largest belief."""

_FLOOR = 1e-6
_PHOTOS_AT_ONCE = 32
_CELLS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Compared:
    """The P nearest clusters of N photos, as the re-ranker sees them."""

    features: Float32Array
    """(N, P, F): similarity in each block, corrected for hubness; logarithms of the belief in the
    cell and of the number of members; share of street views; how well the cluster and a second
    place explain the photo together, and its share in that; logarithms of the votes around; and of
    the density of places around."""
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
    density: Float32Array
    """(C, len(DENSITY_SCALES_KM)) of each cell, from `place_density`."""
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
        starts = np.cumsum(self.blocks)[:-1]
        cosine = [
            np.matmul(of_clusters, of_photo[:, :, None])[..., 0]
            for of_clusters, of_photo in zip(
                np.split(vectors, starts, axis=2), np.split(features, starts, axis=1), strict=True
            )
        ]
        similarity = np.stack(cosine, axis=2).astype(np.float32) / self.scale**2
        by_block = corrected(similarity, self.hubness[row])
        cell = gallery.clusters.cell[row].astype(np.int64)
        share = softmax(np.where(valid, SHARPNESS * nearest.similarity, -1e9))
        places = unit_vectors(gallery.clusters.latlon[row])
        described = np.concatenate(
            [
                10.0 * by_block,
                np.log(np.take_along_axis(belief, cell, axis=1) + _FLOOR)[..., None],
                np.log(gallery.clusters.count[row])[..., None],
                self.street[row][..., None],
                explained_by_two(vectors, nearest.similarity, places),
                np.log(votes_around(places, share) + _FLOOR),
                self.density[cell],
            ],
            axis=2,
        )
        router = 1.0 / (1.0 + np.exp(-(features @ self.router[:-1] + self.router[-1])))
        most = nearest.similarity.max(axis=1, initial=-1.0)
        gating = [np.ones(len(features)), router, 5.0 * most, belief.max(axis=1)]
        return described.astype(np.float32), np.column_stack(gating).astype(np.float32)


def votes_around(places: Float64Array, share: Float32Array) -> Float32Array:
    """Return the votes (N, P, len(VOTE_SCALES_KM)) around places (N, P, 3), unit vectors.

    Each place has a share (N, P), which counts 1 / (1 + (distance / scale)^2) at a distance.
    """
    squares = _squares_km(places, places)
    around = [
        np.matmul(1.0 / (1.0 + squares / np.float32(scale**2)), share[..., None])
        for scale in VOTE_SCALES_KM
    ]
    return np.concatenate(around, axis=2)


def explained_by_two(
    vectors: Float32Array, similarity: Float32Array, places: Float64Array
) -> Float32Array:
    """Return how well each cluster and a second, distant one explain a photo together.

    The photo is fitted by a sum of two prototypes with positive weights. A cluster that is only in
    between gains nothing by a second one; one that shows half of the photo does.

    Args:
        vectors: (N, P, K) prototypes, by descending similarity.
        similarity: (N, P) of photo and prototype.
        places: (N, P, 3) unit vectors.

    Returns:
        (N, P, 2): ten times the multiple correlation with the best partner, and the cluster's share
        of the two weights.
    """
    partners = min(PARTNERS, vectors.shape[1])
    alike = np.minimum(np.matmul(vectors, vectors[:, :partners].swapaxes(1, 2)), ALIKE)
    own, other = similarity[:, :, None], similarity[:, None, :partners]
    scale = 1.0 / (1.0 - alike**2)
    weight, second = (own - alike * other) * scale, (other - alike * own) * scale
    apart = _squares_km(places, places[:, :partners]) > APART_KM**2
    usable = (weight > 0.0) & (second > 0.0) & apart
    explained = np.where(usable, weight * own + second * other, 0.0)
    best = explained.argmax(axis=2)[..., None]
    pair = [np.take_along_axis(each, best, axis=2)[..., 0] for each in (explained, weight, second)]
    together, found = np.sqrt(np.maximum(pair[0], np.maximum(similarity, 0.0) ** 2)), pair[0] > 0.0
    share = np.where(found, pair[1] / np.where(found, pair[1] + pair[2], 1.0), 1.0)
    return np.stack([10.0 * together, share], axis=2).astype(np.float32)


def place_density(gallery: Gallery, n_cells: int) -> Float32Array:
    """Return the logarithm (n_cells, len(DENSITY_SCALES_KM)) of the clusters around each cell."""
    cell, latlon = gallery.clusters.cell, gallery.clusters.latlon
    used, number, count = np.unique(cell, return_inverse=True, return_counts=True)
    middle = group_means(latlon, number, len(used))
    density = np.zeros((n_cells, len(DENSITY_SCALES_KM)), np.float32)
    for start in range(0, len(used), _CELLS_AT_ONCE):
        rows = slice(start, start + _CELLS_AT_ONCE)
        squares = pairwise_km(middle[rows], middle, np.float32) ** 2
        for column, scale in enumerate(DENSITY_SCALES_KM):
            kernel = 1.0 / (1.0 + squares / np.float32(scale**2))
            density[used[rows], column] = np.log(kernel @ count.astype(np.float32))
    return density


def _squares_km(places: Float64Array, others: Float64Array) -> Float32Array:
    """Return squared distances (N, P, Q) in km between unit vectors (N, P, 3) and (N, Q, 3)."""
    cosine = np.matmul(places, others.swapaxes(1, 2))  # double precision keeps 10 m apart
    return np.asarray(np.maximum(2.0 - 2.0 * cosine, 0.0) * EARTH_RADIUS_KM**2, np.float32)


class RerankedGallery(Gallery):
    """A gallery whose nearest clusters are searched more widely, and then re-ranked."""

    COMPARED = 192
    """Clusters that are compared."""
    SEARCHED = 1024
    """Nearest clusters that those are chosen from."""
    PER_CELL = 6
    """Clusters of a cell that are compared, at most. A photo may resemble two places equally, and
    the surroundings of the first would otherwise fill the list."""

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
        nearest = self.spread(super().search(features, belief, self.SEARCHED, constraint))
        compared = self.reranker.compare(self, features, belief, nearest)
        return self.reranker.rerank(self.reranker.score(compared, nearest), nearest, k)

    def spread(self, nearest: NearestClusters) -> NearestClusters:
        """Return the nearest clusters that are compared, at most PER_CELL of a cell."""
        cell = self.clusters.cell[np.maximum(nearest.cluster, 0)]
        order = np.argsort(cell, axis=1, kind="stable")
        by_cell = np.take_along_axis(cell, order, axis=1)
        position = np.broadcast_to(np.arange(cell.shape[1]), cell.shape)
        begins = np.ones(cell.shape, bool)
        begins[:, 1:] = by_cell[:, 1:] != by_cell[:, :-1]
        first = np.maximum.accumulate(np.where(begins, position, 0), axis=1)
        crowded = np.empty(cell.shape, bool)
        np.put_along_axis(crowded, order, position - first >= self.PER_CELL, axis=1)
        kept = np.argsort(crowded, axis=1, kind="stable")[:, : self.COMPARED]
        kept.sort(axis=1)
        return NearestClusters(
            np.take_along_axis(nearest.similarity, kept, axis=1),
            np.take_along_axis(nearest.cluster, kept, axis=1),
        )
