"""Fine-tune the last block of an image tower with the heads (PIGEON, section 4.3, stage B)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from geocells.sphere import unit_vectors
from geocells.table import CellTable
from geoloc.encoders.torch import mean_of_tokens
from geoloc.errors import TableError
from training.config import FinetuneConfig, HeadConfig
from training.data.loading import Batch, CaptionedPhotos, load_batches
from training.data.sampler import Batches
from training.data.table import content_digest, latlon_of
from training.engine import checkpoint
from training.engine.checkpoint import CheckpointError, TrainState
from training.engine.loop import LoopConfig, Run, as_settings, fit
from training.engine.parallel import Processes, distribute, process_group
from training.heads.examples import attributes_of
from training.heads.losses import smoothed_labels
from training.heads.modules import GeoHeads, Targets
from training.pretrain import clip
from training.pretrain.captions import Captioner
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
        table: enriched photo table; only the split "train" is used.
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
    photos = table.filter(pc.equal(table["split"], "train"))
    settings = {
        **as_settings(config),
        "heads": as_settings(heads),
        "photos": len(photos),
        "photos_digest": content_digest(photos),
        "cells": len(cells),
        "cells_digest": hashlib.sha256(cells.centroids.tobytes()).hexdigest(),
        "model": checkpoint.model_digest(model),
    }
    with process_group() as processes:
        if checkpoint.is_finished(run_folder, settings):
            return result
        _tune(photos, folder, model, cells, run_folder, (heads, config), settings, processes)
    return result


def _tune(
    photos: pa.Table,
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
    network = TowerAndHeads(built.model.visual, photos, cells, heads).to(device).train()
    bf16 = config.bf16 and device.type == "cuda"
    dtype = torch.bfloat16 if bf16 else torch.float32
    model = distribute(network, config.strategy, processes, dtype)
    state = _initial_state(model, config)
    batches = _batches(len(photos), config, processes)
    loop = LoopConfig(
        steps=config.epochs * batches.steps_per_epoch, learning_rate=config.learning_rate,
        warmup=config.warmup, schedule=config.schedule, bf16=bf16, seed=config.seed,
        save_every=config.save_every, measure_every=10**9,
    )  # fmt: skip
    start = checkpoint.resume(run_folder / "checkpoints", state, settings)
    run = Run(run_folder, processes, settings, lambda model: {}, start)
    data = CaptionedPhotos(
        photos, folder, Captioner("generic"), empty_tokens, built.preprocessing, config.seed
    )
    stream = load_batches(data, replace(batches, start=start), config.workers)

    def objective(micro: list[Batch], step: int) -> Tensor:
        torch.manual_seed(config.seed * 1_000_003 + step)
        (batch,) = micro
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss: Tensor = model(batch.pixels, batch.row)
        loss.backward()
        return loss.detach()

    fit(state, stream, objective, loop, run, start)
    weights = checkpoint.result_weights(state)
    if processes.first:
        tower = _tower_weights(weights)
        clip.write(run_folder / "model", built, {**built.model.state_dict(), **tower}, settings)
    processes.barrier()


def _initial_state(model: nn.Module, config: FinetuneConfig) -> TrainState:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, config.learning_rate, weight_decay=config.weight_decay
    )
    return TrainState(model, optimiser, None)


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
            f"{photos} photos to train on are fewer than the {batches.photos_per_step} of one"
            " step; add photos, or use a smaller --batch"
        )
    return batches


class TowerAndHeads(nn.Module):
    """An image tower whose last block is trainable, with heads on the mean of its tokens."""

    def __init__(
        self, tower: nn.Module, photos: pa.Table, cells: CellTable, config: HeadConfig
    ) -> None:
        """Freeze all but the last block, and store the targets of the photos as buffers."""
        super().__init__()
        self.tower = tower
        self._config = config
        tower.requires_grad_(False)
        blocks_of(tower)[-1].requires_grad_(True)
        latlon = latlon_of(photos)
        attributes = attributes_of(photos)
        mean, deviation = attributes.scales()
        targets = {
            "places": unit_vectors(latlon),
            "cell": cells.locate(latlon).astype(np.int64),
            "centroids": unit_vectors(cells.centroids),
            "numbers": (attributes.numbers - mean) / deviation,
            "climate": attributes.climate,
            "month": attributes.month,
        }
        for name, values in targets.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(values)), persistent=False)
        hierarchy = cells.hierarchy if config.hierarchical else None
        width = _width(tower)
        self.heads = GeoHeads(width, len(cells), hierarchy, attributes=config.attributes)

    def forward(self, pixels: Tensor, row: Tensor) -> Tensor:
        """Return the loss of photos (B, 3, size, size), which are rows (B,) of the table."""
        tokens = mean_of_tokens(self.tower, pixels)
        features = nn.functional.normalize(tokens, dim=1) * self._config.logit_scale
        config = self._config
        if config.tau_km == 0.0:
            labels = nn.functional.one_hot(self.cell[row], len(self.centroids)).float()
        else:
            labels = smoothed_labels(
                self.places[row], self.centroids, config.tau_km, config.reference, self.cell[row]
            )
        weights = torch.ones(len(row), device=row.device)
        attributes = (self.numbers[row], self.climate[row], self.month[row])
        targets = Targets(labels, weights, *(attributes if config.attributes else ()))
        return self.heads.loss(features, targets, normalise=config.normalise)


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
