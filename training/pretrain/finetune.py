"""Fine-tune the last block of an image tower with the heads (PIGEON, section 4.3, stage B)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from geocells.table import CellTable
from geoloc.errors import TableError
from training.config import FinetuneConfig, HeadConfig
from training.data.loading import Batch, CaptionedPhotos
from training.data.sampler import Batches
from training.data.table import content_digest
from training.engine import checkpoint
from training.engine.checkpoint import TrainState
from training.engine.loop import LoopConfig, Run, as_settings, fit
from training.engine.parallel import Processes, distribute, process_group
from training.pretrain import clip
from training.pretrain.best_epoch import BestEpoch
from training.pretrain.captions import Captioner
from training.pretrain.panoramas import Panoramas, Views
from training.pretrain.starting_heads import starting_heads
from training.pretrain.tuned_tower import TowerAndHeads
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

    It starts with heads that are trained on the frozen tower. They are discarded in the end: photos
    are embedded again with the fine-tuned tower, and new heads are fitted to those embeddings.

    Args:
        table: enriched photo table: the split "train" is trained on, and the accuracy on "val", if
            there is one, selects the epoch that is kept.
        folder: folder that its file names are relative to.
        model: folder written by `pretrain`.
        cells: geocells.
        run_folder: folder for checkpoints, logs and the result.
        heads: settings of the heads that training starts with, of labels and attributes.
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
        batches = _batches(len(panoramas.train), config, processes)
        trained = starting_heads(panoramas, folder, model, cells, run_folder, heads, settings)
        torch.manual_seed(config.seed)
        built = clip.build(str(model))
        network = TowerAndHeads(built.model.visual, panoramas, cells, trained, heads)
        parts = built, network.to(processes.device).train(), batches
        _tune(panoramas, folder, parts, run_folder, config, settings, processes)
    return result


def _tune(
    panoramas: Panoramas,
    folder: Path,
    parts: tuple[clip.Clip, TowerAndHeads, Batches],
    run_folder: Path,
    config: FinetuneConfig,
    settings: dict[str, object],
    processes: Processes,
) -> None:
    built, network, batches = parts
    device = processes.device
    bf16 = config.bf16 and device.type == "cuda"
    model = distribute(network, config.strategy, processes, (torch.float32, torch.bfloat16)[bf16])
    state = _initial_state(model, config)
    loop = _loop(config, batches.steps_per_epoch, bf16)

    photos = photos_without_captions(panoramas.table, folder, built, config)
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


def photos_without_captions(
    table: pa.Table, folder: Path, built: clip.Clip, config: FinetuneConfig
) -> CaptionedPhotos:
    """Return a dataset with short captions, which are not used."""
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


def empty_tokens(texts: list[str]) -> Tensor:
    """Replace the tokenizer, as fine-tuning uses no captions."""
    return torch.zeros(len(texts), 0, dtype=torch.long)
