"""Losses of the heads: haversine-smoothed cross-entropy (PIGEON, section 2), masked attributes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from geocells.sphere import EARTH_RADIUS_KM
from training.config import Reference

_ELEMENTS_AT_ONCE = 131_072
"""On a CPU, labels are computed in blocks of this size, which fit in its cache."""


def smoothed_labels(
    places: Tensor,
    centroids: Tensor,
    tau_km: float,
    reference: Reference = "nearest",
    cell: Tensor | None = None,
) -> Tensor:
    """Return haversine-smoothed labels exp(-(d_c - d_ref) / tau).

    Args:
        places: (B, 3) float64 unit vectors of the photos.
        centroids: (C, 3) float64 unit vectors of the cells.
        tau_km: scale of the smoothing.
        reference: "nearest": d_ref is the distance to the nearest centroid, as in the authors'
            code. "true": it is the distance to the centroid of the photo's own cell, as in their
            paper; nearer centroids then have labels above 1.
        cell: (B,) cell that contains each photo, for the reference "true".

    Returns:
        (B, C) float32, not normalised.
    """
    labels = torch.empty(len(places), len(centroids), dtype=torch.float32, device=places.device)
    for rows in _blocks(places, len(centroids)):
        # in float64, as the cosine of a near place is too close to 1 for float32
        haversine = torch.mm(places[rows], centroids.T).mul_(-0.5).add_(0.5).clamp_(0.0, 1.0)
        block = labels[rows].copy_(haversine).sqrt_().asin_()
        if reference == "nearest":
            reference_angle = block.amin(dim=1, keepdim=True)
        else:
            assert cell is not None
            reference_angle = block.gather(1, cell[rows, None])
        block.sub_(reference_angle).mul_(-2.0 * EARTH_RADIUS_KM / tau_km).exp_()
    return labels


def _blocks(places: Tensor, n_cells: int) -> Iterator[slice]:
    step = len(places)
    if places.device.type == "cpu":
        step = max(1, _ELEMENTS_AT_ONCE // n_cells)
    for start in range(0, len(places), step):
        yield slice(start, start + step)


def soft_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, normalise: bool = True
) -> Tensor:
    """Return the mean over photos of -sum_c y_c log softmax(z)_c.

    Args:
        logits: (B, C).
        labels: (B, C), non-negative.
        weights: (B,) weights of the photos; 1 by default.
        normalise: scale the labels of each photo to a sum of 1. The published loss does not, so
            photos between many cells weigh up to 25 times as much as others.
    """
    logits, total = logits.to(labels.dtype), labels.sum(dim=1)
    # equal to the definition, without storing the softmax
    value = torch.logsumexp(logits, dim=1) * total - (logits * labels).sum(dim=1)
    if normalise:
        value = value / total
    return value.mean() if weights is None else (value * weights).mean()


def masked_mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error over the entries of (B, A) with a finite target; 0 if none."""
    known = torch.isfinite(target)
    error = torch.where(known, predicted.to(target.dtype) - target.nan_to_num(), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)


def masked_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy over the photos with a known class (B,), not -1; 0 if none."""
    total = F.cross_entropy(logits, target, ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)
