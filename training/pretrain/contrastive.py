"""The contrastive loss of pretraining, based on open_clip's.

Captions made from attributes repeat: in a batch of a thousand photos dozens consist of "in France"
alone. A plain sigmoid loss would treat them as each other's negatives and push photos of one
country apart, so all pairs with equal captions are positives here. The gradients of the softmax
loss do not change, as equal texts have equal logits; only its value does.
"""

from __future__ import annotations

from typing import Literal

import torch
from open_clip.loss import ClipLoss
from torch import Tensor
from torch.nn import functional as F

from geocells.sphere import EARTH_RADIUS_KM

Kind = Literal["infonce", "sigmoid"]


class CaptionLoss(ClipLoss):
    """InfoNCE (Radford et al. 2021) or sigmoid loss (Zhai et al. 2023) with several positives.

    Each process contrasts its own photos and captions with those of all processes. The mean over
    the processes is the loss of the whole batch; DDP and FSDP average the gradients in the same
    way. If all captions differ and `geo_tau_km` is None, it equals open_clip's `ClipLoss` or
    `SigLipLoss`.
    """

    def __init__(
        self,
        kind: Kind = "infonce",
        geo_tau_km: float | None = None,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Configure the loss.

        Args:
            kind: softmax over the batch, or a binary classification of each pair.
            geo_tau_km: if given, photos d km apart are positives of weight exp(-d / tau).
            rank: of this process.
            world_size: number of processes that share a batch.
        """
        super().__init__(local_loss=True, gather_with_grad=True, rank=rank, world_size=world_size)
        self.kind = kind
        self.geo_tau_km = geo_tau_km

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        scale: Tensor,
        bias: Tensor | None,
        caption: Tensor,
        latlon: Tensor,
    ) -> Tensor:
        """Return the loss of this process's photos and captions, a scalar.

        Args:
            image: (B, D) unit features of photos.
            text: (B, D) unit features of their captions.
            scale: factor of the similarities; exp of the model's logit_scale.
            bias: added to the logits, or None.
            caption: (B,) int64, equal for equal captions only.
            latlon: (B, 2) degrees.
        """
        of_image, of_text = self.get_logits(image, text, scale, bias)
        with torch.no_grad():
            positive = self._positives(caption, latlon).to(of_image.dtype)
        if self.kind == "sigmoid":
            pairs = F.binary_cross_entropy_with_logits(of_image, positive, reduction="sum")
            return pairs / len(image)
        target = positive / positive.sum(dim=1, keepdim=True)
        return (F.cross_entropy(of_image, target) + F.cross_entropy(of_text, target)) / 2

    def _positives(self, caption: Tensor, latlon: Tensor) -> Tensor:
        """Return weights (B, all) in 0..1 of the pairs of own photos and all captions."""
        weight = (caption[:, None] == self._gather(caption)[None]).float()
        if self.geo_tau_km is not None:
            here = _unit_vectors(latlon)
            chord = torch.cdist(here, self._gather(here)).clamp(max=2.0)
            km = 2.0 * EARTH_RADIUS_KM * torch.asin(chord / 2.0)
            weight = torch.maximum(weight, torch.exp(-km / self.geo_tau_km).float())
        return weight

    def _gather(self, mine: Tensor) -> Tensor:
        """Concatenate a tensor over all processes."""
        if self.world_size == 1:
            return mine
        parts = [torch.empty_like(mine) for _ in range(self.world_size)]
        torch.distributed.all_gather(parts, mine.contiguous())
        return torch.cat(parts)


def _unit_vectors(latlon: Tensor) -> Tensor:
    """Convert degrees to (B, 3) float64; float32 would be off by hundreds of metres."""
    lat, lon = torch.deg2rad(latlon.double()).unbind(dim=1)
    return torch.stack(
        [torch.cos(lat) * torch.cos(lon), torch.cos(lat) * torch.sin(lon), torch.sin(lat)], dim=1
    )
