"""The haversine-smoothed loss of the geocell head (PIGEON, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from geocells.sphere import EARTH_RADIUS_KM

Reference = Literal["nearest", "true"]

_ELEMENTS_AT_ONCE = 131_072
"""On a CPU labels are computed in blocks that stay in its cache."""


def smoothed_labels(
    places: Tensor,
    centroids: Tensor,
    tau_km: float,
    reference: Reference = "nearest",
    cell: Tensor | None = None,
) -> Tensor:
    """Haversine-smoothed labels exp(-(d_c - d_ref) / tau).

    Args:
        places: (B, 3) float64 unit vectors of the photos.
        centroids: (C, 3) float64 unit vectors of the cells.
        tau_km: scale.
        reference: d_ref is the distance of the nearest centroid, as in the authors' code, or that
            of the cell that holds the photo, as in their paper, by which a nearer centroid weighs
            more than 1.
        cell: (B,) the cell that holds each photo, for the reference "true".

    Returns:
        (B, C) float32, not normalised.
    """
    labels = torch.empty(len(places), len(centroids), dtype=torch.float32, device=places.device)
    for rows in _blocks(places, len(centroids)):
        # float64 up to here: the cosine of a near place is too close to 1 for float32
        haversine = torch.mm(places[rows], centroids.T).mul_(-0.5).add_(0.5).clamp_(0.0, 1.0)
        block = labels[rows].copy_(haversine).sqrt_().asin_()
        if reference == "nearest":
            from_here = block.amin(dim=1, keepdim=True)
        else:
            assert cell is not None
            from_here = block.gather(1, cell[rows, None])
        block.sub_(from_here).mul_(-2.0 * EARTH_RADIUS_KM / tau_km).exp_()
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
    """Mean over photos of -sum_c y_c log softmax(z)_c.

    Args:
        logits: (B, C).
        labels: (B, C), not negative.
        weights: (B,) of the photos; 1 if left out.
        normalise: make the labels of a photo sum to 1 first. As published they do not, so that
            photos between many cells count up to 25 times as much as others.
    """
    logits, total = logits.to(labels.dtype), labels.sum(dim=1)
    # one pass over the logits forward, one back: their softmax is never kept
    value = torch.logsumexp(logits, dim=1) * total - (logits * labels).sum(dim=1)
    if normalise:
        value = value / total
    return value.mean() if weights is None else (value * weights).mean()


def masked_mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the entries of (B, A) whose target is a number; 0 without any."""
    known = torch.isfinite(target)
    error = torch.where(known, predicted.to(target.dtype) - target.nan_to_num(), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)


def masked_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy over the photos whose class (B,) is known, not -1; 0 without any."""
    total = F.cross_entropy(logits, target, ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)
