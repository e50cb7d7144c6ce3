"""Fit of the cross-source re-ranker and of its router."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from geocells.sphere import haversine_km
from geoloc.retrieval.bands import BandHeads
from geoloc.retrieval.cross import (
    AFTER_BLOCKS,
    GATING,
    SHARPNESS,
    Compared,
    CrossReranker,
    RerankedGallery,
    place_density,
)
from geoloc.retrieval.gallery import Gallery, NearestClusters
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.retrieve.places import Spaces
from training.types import Embeddings

STREET = re.compile(r"mapillary|kartaview|panoramax|osv-?5m|street", re.IGNORECASE)
"""Sources of street-level pictures."""

NEAR_KM = (1.0, 25.0, 200.0, 1500.0)
"""Scales of exp(-distance / scale), how near to the truth a place is. The fit maximises the mean
logarithm of the expected nearness over the scales."""

MOST_ROUTED = 20_000
"""Photos that the router is fitted on, at most."""

_RIDGE, _MISS = 1e-3, 1e-3


def street_level(source: StrArray) -> Float32Array:
    """Return 1 (N,) for sources of street-level pictures, and 0 for others."""
    names, code = np.unique(source.astype(str), return_inverse=True)
    return np.array([bool(STREET.search(name)) for name in names], np.float32)[code]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Held-out photos with their nearest clusters, on which re-rankers are fitted."""

    gallery: Gallery
    unfitted: CrossReranker
    compared: Compared
    nearest: NearestClusters
    distance_km: Float64Array
    """(N, P) from each photo to its clusters."""

    @classmethod
    def of(
        cls,
        spaces: Spaces,
        gallery: Gallery,
        hubness: Float32Array,
        router: Float32Array,
        embeddings: Float32Array,
        latlon: Float64Array,
    ) -> CrossFit:
        """Search for held-out photos by authors that the gallery does not have.

        Args:
            spaces: with B blocks.
            gallery: L clusters.
            hubness: (L, B) from `hubness_of`.
            router: (K + 1,) from `fit_router`.
            embeddings: (N, D) of the held-out photos.
            latlon: (N, 2) degrees.
        """
        heads = spaces.heads
        unfitted = CrossReranker(
            np.zeros((GATING, len(spaces.names) + AFTER_BLOCKS), np.float32), router,
            np.array([SHARPNESS, 0.0], np.float32), hubness, street_share(gallery),
            place_density(gallery, len(heads.prior)), heads.blocks, heads.scale,
        )  # fmt: skip
        features = heads.features(embeddings)
        belief = heads.classify(features)
        widest = RerankedGallery(gallery, unfitted)
        nearest = widest.spread(gallery.search(features, belief, widest.SEARCHED))
        compared = unfitted.compare(gallery, features, belief, nearest)
        place = gallery.clusters.latlon[np.maximum(nearest.cluster, 0)]
        distance = haversine_km(latlon[:, None], place)
        return cls(gallery, unfitted, compared, nearest, distance)

    def fit(self, rows: BoolArray | None = None) -> RerankedGallery:
        """Return the gallery with a re-ranker fitted on all photos, or on some (N,)."""
        chosen = np.arange(len(self.distance_km)) if rows is None else np.flatnonzero(rows)
        compared = Compared(self.compared.features[chosen], self.compared.gating[chosen])
        nearest = self.nearest.take(chosen)
        weights = fit_weights(compared, nearest, self.distance_km[chosen])
        fitted = replace(self.unfitted, weights=weights)
        line = _line(fitted.score(compared, nearest), nearest)
        return RerankedGallery(self.gallery, replace(fitted, line=line))


def fit_weights(
    compared: Compared, nearest: NearestClusters, distance_km: Float64Array
) -> Float32Array:
    """Return the weights (GATING, F) that maximise the expected nearness, see NEAR_KM.

    Args:
        compared: N held-out photos.
        nearest: their clusters (N, P).
        distance_km: (N, P) from photo to cluster.
    """
    invalid = nearest.cluster < 0
    near = np.stack([np.exp(-distance_km / scale) for scale in NEAR_KM]).astype(np.float32)
    near[:, invalid] = 0.0
    features, gating = compared.features, compared.gating
    shape = gating.shape[1], features.shape[2]
    start = np.zeros(shape)
    start[0, : shape[1] - AFTER_BLOCKS] = 0.5  # similarities
    start[0, -AFTER_BLOCKS] = 0.5  # belief

    def loss(flat: Float64Array) -> tuple[float, Float64Array]:
        matrix = flat.reshape(shape).astype(np.float32)
        score = np.einsum("npf,nf->np", features, gating @ matrix)
        score = np.where(invalid, -1e9, score)
        probability = np.exp(score - logsumexp(score, axis=1, keepdims=True))
        expected = (near * probability).sum(axis=2) + _MISS
        # d log(sum p e) / d score = p e / sum - p sum / sum, with the constant for misses
        slope = (near / expected[..., None]).mean(axis=0)
        share = ((expected - _MISS) / expected).mean(axis=0)
        gradient = probability * (slope - share[:, None]) / len(features)
        flat_gradient = gating.T @ np.einsum("np,npf->nf", gradient, features)
        drift = flat - start.ravel()
        value = -float(np.log(expected).mean()) + _RIDGE * float((drift**2).sum())
        return value, -flat_gradient.ravel().astype(np.float64) + 2.0 * _RIDGE * drift

    fitted = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return np.asarray(fitted.x.reshape(shape), np.float32)


def fit_router(
    heads: BandHeads, embeddings: Embeddings, street: Float32Array, seed: int = 0
) -> Float32Array:
    """Return the logistic regression (K + 1,) of `street_level` (N,) on the features of photos.

    With photos of a single kind the router says so of every photo.

    Args:
        heads: with K features.
        embeddings: (N, D) of training photos.
        street: (N,) from `street_level`.
        seed: of the sample.
    """
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(street), min(MOST_ROUTED, len(street)), replace=False))
    share = float(street[rows].mean())
    if share in (0.0, 1.0):
        constant = np.zeros(heads.projection.shape[1] + 1, np.float32)
        constant[-1] = 10.0 if share else -10.0
        return constant
    features = heads.features(np.asarray(embeddings[rows], np.float32))
    fitted = LogisticRegression(max_iter=200).fit(features, street[rows])
    return np.append(fitted.coef_[0], fitted.intercept_).astype(np.float32)


def street_share(gallery: Gallery) -> Float32Array:
    """Return the share (L,) of street-level pictures among the members of each cluster."""
    street = street_level(np.asarray(gallery.members.source))
    total = np.bincount(gallery.members.cluster, street, minlength=len(gallery.clusters))
    return np.asarray(total / gallery.clusters.count, np.float32)


def _line(score: Float32Array, nearest: NearestClusters) -> Float32Array:
    """Return slope and intercept of scores over similarities, over all valid clusters."""
    rows: IndexArray = np.flatnonzero(nearest.cluster.ravel() >= 0)
    x, y = nearest.similarity.ravel()[rows], score.ravel()[rows]
    slope = float(np.cov(x, y)[0, 1] / max(float(x.var()), 1e-9))
    slope = max(slope, 1.0)
    return np.array([slope, float(y.mean() - slope * x.mean())], np.float32)
