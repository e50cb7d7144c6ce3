"""Embeddings drawn around photos of the starter's gallery, for tests of its calibrated answers."""

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.encoders.base import normalise


def gallery_features(ranker: Ranker, rows) -> np.ndarray:
    """Return the features (N, K) of some photos of the gallery."""
    return ranker.gallery.photos.reconstruct_n(0, len(ranker.gallery.members))[rows]


def embeddings_of(ranker: Ranker, features: np.ndarray) -> np.ndarray:
    """Return unit embeddings (N, D) with these features (N, K)."""
    offset = normalise(features) @ np.linalg.pinv(ranker.heads.projection)
    # |mean + s * offset| = 1
    mean = ranker.heads.mean.astype(np.float64)
    a, b, c = (offset**2).sum(axis=1), offset @ mean, (mean @ mean) - 1.0
    scale = (-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / a
    return np.asarray(normalise(mean + scale[:, None] * offset), np.float32)


def draw(ranker: Ranker, count: int, seed: int, noise: float = 0.7) -> np.ndarray:
    """Return embeddings (count, D) of photos that resemble photos of the gallery."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(ranker.gallery.members), size=count)
    return around(ranker, rows, rng, noise)


def around(ranker: Ranker, rows, rng: np.random.Generator, noise: float = 0.7) -> np.ndarray:
    """Return an embedding for each gallery photo, at a cosine of about 1 / (1 + noise²)^½."""
    features = normalise(gallery_features(ranker, rows))
    step = rng.normal(0.0, noise / np.sqrt(features.shape[1]), features.shape)
    return embeddings_of(ranker, features + step)
