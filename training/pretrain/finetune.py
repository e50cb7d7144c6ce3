"""Fine-tune the last block of an image tower with the heads (PIGEON, section 4.3, stage B)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from geocells.table import CellTable
from geoloc.encoders.torch import mean_of_tokens
from geoloc.errors import TableError
from training.config import FinetuneConfig, HeadConfig
from training.data.loading import Batch, CaptionedPhotos
from training.data.sampler import Batches
from training.data.table import content_digest, latlon_of
from training.engine import checkpoint
from training.engine.checkpoint import CheckpointError, TrainState
from training.engine.loop import LoopConfig, Run, as_settings, fit
from training.engine.parallel import Processes, distribute, process_group
from training.heads.examples import attributes_of
from training.heads.modules import GeoHeads, Targets
from training.heads.smoothing import SmoothedLabels
from training.pretrain import clip
from training.pretrain.best_epoch import BestEpoch
from training.pretrain.captions import Captioner
from training.pretrain.panoramas import Panoramas, Views, views_of_one_place
from training.types import Tensors


def finetune(
    table: pa.Table,
    folder: Path,
    model: Path,
    cells: CellTable,
    run_folder: Path,
    heads: HeadConfig,
    config: FinetuneConfig | None = None,
) -> Path:
    """Fine-tune the last block, or resume the run in the same folder.

    The heads trained alongside are discarded: photos are embedded again with the fine-tuned tower,
    and new heads are fitted to those embeddings.

    Args:
        table: enriched photo table: the split "train" is trained on, and the accuracy on "val", if
            there is one, selects the epoch that is kept.
        folder: folder that its file names are relative to.
        model: folder written by `pretrain`.
        cells: geocells.
        run_folder: folder for checkpoints, logs and the result.
        heads: settings of labels and attributes.
        config: settings; PIGEON's by default.

    Returns:
        `run_folder`/model, in open_clip's own format, with the fine-tuned tower.

    Raises:
        TableError: there are too few photos, or too many in a row are unreadable.
        CheckpointError: the folder holds a run with other settings, or the disk is full.
    """
    config = config or FinetuneConfig()
    result = run_folder / "model"
    panoramas = Panoramas.of(table)
    settings = {
        **as_settings(config),
        "heads": as_settings(heads),
        "photos": len(panoramas.table),
        "photos_digest": content_digest(panoramas.table),
        "cells": len(cells),
        "cells_digest": hashlib.sha256(cells.centroids.tobytes()).hexdigest(),
        "model": checkpoint.model_digest(model),
    }
    with process_group() as processes:
        if checkpoint.is_finished(run_folder, settings):
            return result
        _tune(panoramas, folder, model, cells, run_folder, (heads, config), settings, processes)
    return result


def _tune(
    panoramas: Panoramas,
    folder: Path,
    source: Path,
    cells: CellTable,
    run_folder: Path,
    configs: tuple[HeadConfig, FinetuneConfig],
    settings: dict[str, object],
    processes: Processes,
) -> None:
    heads, config = configs
    torch.manual_seed(config.seed)
    built = clip.build(str(source))
    device = processes.device
    network = TowerAndHeads(built.model.visual, panoramas, cells, heads).to(device).train()
    bf16 = config.bf16 and device.type == "cuda"
    model = distribute(network, config.strategy, processes, (torch.float32, torch.bfloat16)[bf16])
    state = _initial_state(model, config)
    batches = _batches(len(panoramas.train), config, processes)
    loop = _loop(config, batches.steps_per_epoch, bf16)

    photos = _photos(panoramas.table, folder, built, config)
    views = Views(photos, panoramas.rows[panoramas.train])

    def objective(micro: list[Batch], step: int) -> Tensor:
        torch.manual_seed(config.seed * 1_000_003 + step)
        (batch,) = micro
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss: Tensor = model(batch.images, batch.row)
        loss.backward()
        return loss.detach()

    def write(folder: Path) -> None:
        weights = checkpoint.result_weights(state)
        if processes.first:
            tower = {**built.model.state_dict(), **_tower_weights(weights)}
            clip.write(folder, built, tower, settings)
        processes.barrier()

    held_out = Views(photos, panoramas.rows[panoramas.val])
    best = BestEpoch(run_folder / "best", held_out, config.batch, write, processes)
    fit(state, views, batches, objective, loop, Run(run_folder, processes, settings, best))
    _finish(best, run_folder / "model", write, processes)


def _finish(
    best: BestEpoch, model: Path, write: Callable[[Path], None], processes: Processes
) -> None:
    """Move the best epoch to the result, or write the last one if none was measured."""
    measured = best.model.is_dir()
    processes.barrier()
    if not measured:
        write(model)
    elif processes.first:
        best.model.rename(model)
    processes.barrier()


def _loop(config: FinetuneConfig, steps_per_epoch: int, bf16: bool) -> LoopConfig:
    return LoopConfig(
        steps=config.epochs * steps_per_epoch, learning_rate=config.learning_rate,
        warmup=config.warmup, schedule=config.schedule, bf16=bf16, seed=config.seed,
        save_every=config.save_every, measure_every=steps_per_epoch, workers=config.workers,
    )  # fmt: skip


def _photos(
    table: pa.Table, folder: Path, built: clip.Clip, config: FinetuneConfig
) -> CaptionedPhotos:
    captioner, preprocessing = Captioner("generic"), built.preprocessing
    return CaptionedPhotos(table, folder, captioner, empty_tokens, preprocessing, config.seed)


def _initial_state(model: nn.Module, config: FinetuneConfig) -> TrainState:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, config.learning_rate, weight_decay=config.weight_decay
    )
    return TrainState(model, optimiser)


def _tower_weights(weights: Tensors) -> Tensors:
    """Select the weights of the tower, under their names in open_clip's model."""
    prefix = "tower."
    return {
        f"visual.{name.removeprefix(prefix)}": tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }


def _batches(photos: int, config: FinetuneConfig, processes: Processes) -> Batches:
    group = (processes.rank, processes.count)
    batches = Batches(np.arange(photos), config.batch, 1, *group, seed=config.seed)
    if batches.steps_per_epoch < 1:
        raise TableError(
            f"{photos} places to train on are fewer than the {batches.photos_per_step} of one"
            " step; add some, or use a smaller --batch"
        )
    return batches


class TowerAndHeads(nn.Module):
    """An image tower whose last block is trainable, with heads on the mean of its tokens."""

    def __init__(
        self, tower: nn.Module, panoramas: Panoramas, cells: CellTable, config: HeadConfig
    ) -> None:
        """Freeze all but the last block, and store the targets of the photos as buffers."""
        super().__init__()
        self.tower = tower
        self._config = config
        self._views = panoramas.rows.shape[1]
        tower.requires_grad_(False)
        blocks_of(tower)[-1].requires_grad_(True)
        latlon = latlon_of(panoramas.table)
        cell = cells.locate(latlon)
        attributes = attributes_of(panoramas.table)
        mean, deviation = attributes.take(panoramas.rows[panoramas.train].ravel()).scales()
        targets = {
            "place": panoramas.place,
            "cell": cell.astype(np.int64),
            "numbers": (attributes.numbers - mean) / deviation,
            "climate": attributes.climate,
            "month": attributes.month,
        }
        for name, values in targets.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(values)), persistent=False)
        self._labels = SmoothedLabels(
            latlon, cell, cells.centroids, config.tau_km, config.reference
        )
        hierarchy = cells.hierarchy if config.hierarchical else None
        width = _width(tower)
        self.heads = GeoHeads(width, len(cells), hierarchy, attributes=config.attributes)

    def forward(self, pixels: Tensor, row: Tensor) -> Tensor:
        """Return the loss of P places in training, and the number of right cells in evaluation.

        Args:
            pixels: (P V, 3, size, size) of all views, place after place.
            row: (P V,) their rows in the table.
        """
        weights, view = views_of_one_place(self.place[row].view(-1, self._views))
        tokens = mean_of_tokens(self.tower, pixels).unflatten(0, weights.shape)
        mean = (tokens * weights[:, :, None]).sum(dim=1)
        features = nn.functional.normalize(mean, dim=1) * self._config.logit_scale
        row = row.view_as(weights).gather(1, view[:, None]).squeeze(1)
        if not self.training:
            return (self.heads.cells(features).argmax(dim=1) == self.cell[row]).sum()
        labels = self._labels(row.cpu()).to(row.device)
        attributes = (self.numbers[row], self.climate[row], self.month[row])
        targets = Targets(
            labels, labels.new_ones(len(row)), *(attributes if self._config.attributes else ())
        )
        return self.heads.loss(features, targets, normalise=self._config.normalise)


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


def _width(tower: nn.Module) -> int:
    """Return the length of the tower's mean token."""
    size = tower.image_size
    side = int(size[0] if isinstance(size, tuple | list) else size)
    with torch.inference_mode():
        return int(mean_of_tokens(tower, torch.zeros(1, 3, side, side)).shape[1])


def empty_tokens(texts: list[str]) -> Tensor:
    """Replace the tokenizer, as fine-tuning uses no captions."""
    return torch.zeros(len(texts), 0, dtype=torch.long)
