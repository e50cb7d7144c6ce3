"""The heads on frozen embeddings: projection for retrieval, geocell classifier, prior."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geocells.sphere import pairwise_km
from geocells.table import CellTable
from geoloc.encoder import FloatArray, normalise
from geoloc.heads import Heads

FEATURES = 512
"""Length of the retrieval features."""

WHITENING = 0.25
"""Components are divided by their variance to this power: half way to unit variance."""

SMOOTHING_KM = 25.0
"""Tau of the haversine-smoothed labels. PIGEON's 75 km suits a world of street views; libraries
of walks and landmarks are told apart at the scale of a city."""

LOGIT_SCALE = 16.0
EPOCHS = 30
BATCH = 512
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 0.3


def fit_heads(
    embeddings: FloatArray,
    latlon: npt.NDArray[np.float64],
    weights: FloatArray,
    cells: CellTable,
    prior: FloatArray,
) -> Heads:
    """Fit all heads.

    Args:
        embeddings: (N, D) of training photos.
        latlon: (N, 2) degrees.
        weights: (N,) of the photos, mean 1.
        cells: C geocells.
        prior: (C,) belief before a photo is seen.
    """
    mean, projection = _principal_components(embeddings, weights)
    features = normalise((embeddings - mean) @ projection)
    active = np.unique(cells.locate(latlon))
    targets = smoothed_labels(latlon, cells.centroids[active], SMOOTHING_KM)
    targets /= targets.sum(axis=1, keepdims=True)
    weight, bias = _fit_classifier(features, targets, weights)
    return Heads(mean, projection, weight, bias, active.astype(np.int32), prior)


def smoothed_labels(
    latlon: npt.NDArray[np.float64], centroids: npt.NDArray[np.float64], tau_km: float
) -> FloatArray:
    """Haversine-smoothed labels (PIGEON, section 2): exp(-(d_c - d_min) / tau).

    The nearest centroid gets 1, as in the authors' code; the paper subtracts the distance of the
    containing cell, by which a nearer centroid abroad would weigh more than 1.

    Args:
        latlon: (N, 2) degrees.
        centroids: (C, 2) degrees.
        tau_km: scale.

    Returns:
        (N, C) float32 in 0..1, not normalised.
    """
    distance = pairwise_km(latlon, centroids)
    return np.asarray(np.exp((distance.min(axis=1, keepdims=True) - distance) / tau_km), np.float32)


def density_prior(count: npt.NDArray[np.int64]) -> FloatArray:
    """Belief (C,) from the number of photos known in each cell, none of them impossible."""
    share = (count + 0.1) / (count + 0.1).sum()
    return np.asarray(share, np.float32)


def _principal_components(
    embeddings: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weighted mean (D,) and partly whitened components (D, K)."""
    share = (weights / weights.sum())[:, None].astype(np.float64)
    mean = (embeddings * share).sum(axis=0)
    triangle = np.linalg.qr((embeddings - mean) * np.sqrt(share), mode="r")
    deviation, vectors = np.linalg.svd(triangle, full_matrices=False)[1:]
    variance = deviation**2
    keep = np.flatnonzero(variance > variance[0] * 1e-6)[:FEATURES]
    projection = vectors[keep].T / variance[keep] ** WHITENING
    return mean.astype(np.float32), projection.astype(np.float32)


def _fit_classifier(
    features: FloatArray, targets: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Softmax regression by AdamW on one-cycle rates; (K, A) weight and (A,) bias."""
    import torch

    generator = torch.Generator().manual_seed(0)
    inputs, goal, importance = map(torch.from_numpy, (features * LOGIT_SCALE, targets, weights))
    layer = torch.nn.Linear(features.shape[1], targets.shape[1])
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    steps = EPOCHS * -(-len(features) // BATCH)
    optimiser = torch.optim.AdamW(layer.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(features), generator=generator).split(BATCH):
            log_belief = torch.log_softmax(layer(inputs[rows]), dim=1)
            loss = -((goal[rows] * log_belief).sum(dim=1) * importance[rows]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    weight = layer.weight.detach().numpy().T * LOGIT_SCALE
    return np.ascontiguousarray(weight, np.float32), layer.bias.detach().numpy().copy()
