"""An image tower whose last block is trained together with its heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocells.table import CellTable
from geoloc.encoders.torch import mean_of_tokens
from training.config import HeadConfig
from training.data.table import latlon_of
from training.engine.checkpoint import CheckpointError
from training.heads.examples import attributes_of
from training.heads.fit import TrainedHeads, index_of
from training.heads.modules import Targets
from training.heads.smoothing import SmoothedLabels
from training.pretrain.panoramas import Panoramas, views_of_one_place


class TowerAndHeads(nn.Module):
    """An image tower whose last block is trainable, with heads on the mean of its tokens."""

    def __init__(
        self,
        tower: nn.Module,
        panoramas: Panoramas,
        cells: CellTable,
        trained: TrainedHeads,
        config: HeadConfig,
    ) -> None:
        """Freeze all but the last block, and store the targets of the photos as buffers.

        Args:
            tower: of open_clip or timm.
            panoramas: the photos.
            cells: geocells.
            trained: heads of the frozen tower's features, which training goes on with.
            config: settings of labels and attributes.
        """
        super().__init__()
        self.tower = tower
        self.heads = trained.model
        self._config = config
        self._views = panoramas.rows.shape[1]
        tower.requires_grad_(False)
        blocks_of(tower)[-1].requires_grad_(True)
        latlon = latlon_of(panoramas.table)
        cell = index_of(cells.locate(latlon), trained.active)
        attributes = attributes_of(panoramas.table)
        buffers = {
            "mean": trained.mean,
            "projection": trained.projection,
            "place": panoramas.place,
            "cell": cell,
            "numbers": (attributes.numbers - trained.number_mean) / trained.number_deviation,
            "climate": attributes.climate,
            "month": attributes.month,
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(values)), persistent=False)
        centroids = cells.centroids[trained.active]
        own = np.maximum(cell, 0)  # photos of val may be in a cell without training photos
        self._labels = SmoothedLabels(latlon, own, centroids, config.tau_km, config.reference)

    def forward(self, pixels: Tensor, row: Tensor) -> Tensor:
        """Return the loss of P places in training, and the number of right cells in evaluation.

        Args:
            pixels: (P V, 3, size, size) of all views, place after place.
            row: (P V,) their rows in the table.
        """
        weights, view = views_of_one_place(self.place[row].view(-1, self._views))
        features = self._features(mean_of_tokens(self.tower, pixels), weights)
        row = row.view_as(weights).gather(1, view[:, None]).squeeze(1)
        if not self.training:
            return (self.heads.cells(features).argmax(dim=1) == self.cell[row]).sum()
        labels = self._labels(row.cpu()).to(row.device)
        attributes = (self.numbers[row], self.climate[row], self.month[row])
        targets = Targets(
            labels, labels.new_ones(len(row)), *(attributes if self._config.attributes else ())
        )
        loss: Tensor = self.heads.loss(features, targets, normalise=self._config.normalise)
        return loss

    def _features(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Return what `geoloc.belief.heads.Heads.features` does of the mean view, scaled."""
        views = F.normalize(tokens.float(), dim=1).unflatten(0, weights.shape)
        mean = (views * weights[:, :, None]).sum(dim=1)
        return F.normalize((mean - self.mean) @ self.projection, dim=1) * self._config.logit_scale


def blocks_of(tower: nn.Module) -> Sequence[nn.Module]:
    """Return the transformer blocks of an open_clip or timm tower.

    Raises:
        CheckpointError: it has none.
    """
    lists = [part for part in tower.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    largest = max(lists, key=lambda part: sum(p.numel() for p in part.parameters()), default=None)
    if largest is None or len(largest) < 2:
        raise CheckpointError(
            "the image tower has no list of blocks, so its last blocks cannot be tuned; use a"
            " transformer tower"
        )
    return list(largest)
