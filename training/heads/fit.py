"""Fit the heads on frozen embeddings: retrieval projection, geocell classifier, attributes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocells.table import CellTable
from geoloc.belief.attribute_heads import NUMBERS, AttributeHeads
from geoloc.belief.heads import Heads
from geoloc.types import Float32Array, Float64Array, IndexArray, Int32Array, Int64Array
from training.config import HeadConfig
from training.heads.examples import Examples
from training.heads.features import Features, principal_components
from training.heads.linear import label_shift
from training.heads.modules import GeoHeads, Targets
from training.heads.smoothing import SmoothedLabels


def fit_heads(
    examples: Examples,
    cells: CellTable,
    prior: Float32Array,
    config: HeadConfig | None = None,
    held_out: Examples | None = None,
    prior_of_use: Float32Array | None = None,
) -> tuple[Heads, AttributeHeads | None]:
    """Fit all heads.

    Args:
        examples: training photos.
        cells: C geocells.
        prior: (C,) the world's photo density over the cells.
        config: settings.
        held_out: other photos, whose top-1 accuracy decides when to stop; see `patience`.
        prior_of_use: (C,) where the bundle will be used; `prior` if it is not given.

    Returns:
        The heads, and the attribute heads if `config.attributes` is set.
    """
    config = config or HeadConfig()
    trained = train_heads(examples, cells, config, held_out)
    weight, bias = (tensor.detach().cpu().numpy() for tensor in trained.model.cells.folded())
    weight = np.ascontiguousarray(weight.T * config.logit_scale, np.float32)
    photos = np.zeros(len(cells))
    photos[trained.active] = trained.photos
    shift = label_shift(photos, prior if prior_of_use is None else prior_of_use)
    active = trained.active.astype(np.int32)
    heads = Heads(trained.mean, trained.projection, weight, bias.copy(), active, prior, shift)
    return heads, trained.attribute_heads(config.logit_scale)


@dataclass(frozen=True, eq=False)
class TrainedHeads:
    """Heads as torch modules, and the features that they take; A cells have training photos."""

    model: GeoHeads
    mean: Float32Array
    """(D,) mean of the training embeddings."""
    projection: Float32Array
    """(D, K) principal components."""
    active: Int32Array
    """(A,) cells of the model."""
    photos: Float64Array
    """(A,) weight of the training photos in each of them."""
    number_mean: Float32Array
    """(len(NUMBERS),) mean of the numeric attributes of the training photos."""
    number_deviation: Float32Array
    """(len(NUMBERS),) their deviation."""

    def attribute_heads(self, logit_scale: float) -> AttributeHeads | None:
        """Return the attribute heads for the runtime; None if they were not trained."""
        if not self.model.attributes:
            return None
        parts: dict[str, Float32Array] = {}
        for name, key in (("numbers", "number"), ("climate", "climate"), ("month", "month")):
            head = self.model.attributes[name]
            weight, bias = head.weight.detach().cpu().numpy(), head.bias.detach().cpu().numpy()
            parts[f"{key}_weight"] = np.ascontiguousarray(weight.T * logit_scale)
            parts[f"{key}_bias"] = bias.copy()
        return AttributeHeads(self.number_mean, self.number_deviation, **parts)


def train_heads(
    examples: Examples, cells: CellTable, config: HeadConfig, held_out: Examples | None = None
) -> TrainedHeads:
    """Train all heads; see `fit_heads`."""
    mean, projection = principal_components(examples, config.features, config.whitening)
    active, cell = np.unique(cells.locate(examples.latlon), return_inverse=True)
    features = Features(examples, mean, projection)
    fit = _Fit(examples, features, cell, cells.take(active), config)
    if held_out is None:
        fit.run()
    else:
        index = index_of(cells.locate(held_out.latlon), active)
        fit.run(Features(held_out, mean, projection), torch.from_numpy(index))
    photos = np.asarray(np.bincount(cell, examples.weights), np.float64)
    return TrainedHeads(fit.model, mean, projection, active, photos, *fit.scales)


def index_of(cell: npt.NDArray[np.integer], active: npt.NDArray[np.integer]) -> Int64Array:
    """Return the positions (N,) of cells in the sorted `active`; -1 for those that it lacks."""
    known = np.isin(cell, active)
    return np.where(known, np.searchsorted(active, cell), -1)


class _Fit:
    """One training run."""

    def __init__(
        self,
        examples: Examples,
        features: Features,
        cell: IndexArray,
        cells: CellTable,
        config: HeadConfig,
    ) -> None:
        """Prepare to train on features (N, K) of photos in cells (N,), which index `cells`."""
        self._config = config
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._features = features
        self._labels = SmoothedLabels(
            examples.latlon, cell, cells.centroids, config.tau_km, config.reference, self._device
        )
        self._weights = torch.from_numpy(examples.weights).to(self._device)
        hierarchy = cells.hierarchy if config.hierarchical else None
        attributes = config.attributes and examples.attributes is not None
        self.model = GeoHeads(features.width, len(cells), hierarchy, attributes=attributes).to(
            self._device
        )
        self.scales = np.zeros(len(NUMBERS), np.float32), np.ones(len(NUMBERS), np.float32)
        if attributes:
            assert examples.attributes is not None
            given = examples.attributes
            self.scales = mean, deviation = given.scales()
            columns = ((given.numbers - mean) / deviation, given.climate, given.month)
            self._attributes = [torch.from_numpy(column).to(self._device) for column in columns]

    def run(self, held_out: Features | None = None, cell: Tensor | None = None) -> None:
        """Train to the last epoch, or stop early.

        Args:
            held_out: (M, K) features of held-out photos, for early stopping.
            cell: (M,) their cells, -1 for a cell without a training photo.
        """
        config = self._config
        steps = config.epochs * self._features.steps(config.batch)
        optimiser = torch.optim.AdamW(
            self.model.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None
        if config.schedule == "one-cycle":
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, config.learning_rate, total_steps=steps + 1
            )
        best, best_epoch, kept = -1.0, 0, None
        for epoch in range(config.epochs):
            for rows, features in self._features.batches(config.batch, config.seed, epoch):
                optimiser.zero_grad()
                self._loss(rows, features).backward()
                optimiser.step()
                if schedule is not None:
                    schedule.step()
            if held_out is None or cell is None or config.patience is None:
                continue
            accuracy = self._accuracy(held_out, cell)
            if accuracy > best:
                best, best_epoch = accuracy, epoch
                kept = copy.deepcopy(self.model.state_dict())
            elif epoch - best_epoch >= config.patience:
                break
        if kept is not None:
            self.model.load_state_dict(kept)

    def _loss(self, rows: Tensor, features: Tensor) -> Tensor:
        config, rows = self._config, rows.to(self._device)
        targets = Targets(
            self._labels(rows),
            self._weights[rows],
            *([part[rows] for part in self._attributes] if self.model.attributes else []),
        )
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device.type == "cuda"):
            return self.model.loss(self._scaled(features), targets, normalise=config.normalise)

    def _scaled(self, features: Tensor) -> Tensor:
        return features.to(self._device).float() * self._config.logit_scale

    @torch.inference_mode()
    def _accuracy(self, features: Features, cell: Tensor) -> float:
        """Return the share of held-out photos whose most probable cell is the true one."""
        predicted = [
            self.model.cells(self._scaled(block)).argmax(dim=1).cpu()
            for block in features.in_order()
        ]
        return float((torch.cat(predicted) == cell).float().mean())
