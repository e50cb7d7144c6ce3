"""Contrastive pretraining of CLIP models on captions made from places (PIGEON, section 3.3)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn

from geoloc.errors import TableError
from training.config import FREE_TO_CHANGE, PretrainConfig
from training.data.loading import CaptionedPhotos
from training.data.sampler import Batches
from training.data.table import content_digest
from training.engine import checkpoint
from training.engine.checkpoint import TrainState
from training.engine.loop import LoopConfig, Run, as_settings, fit
from training.engine.parallel import Processes, distribute, process_group
from training.pretrain import clip
from training.pretrain.captions import Captioner
from training.pretrain.contrastive import CaptionLoss
from training.pretrain.grad_cache import backward
from training.pretrain.zero_shot import CountryAccuracy


def pretrain(
    table: pa.Table, folder: Path, run_folder: Path, config: PretrainConfig | None = None
) -> Path:
    """Pretrain a CLIP model, or resume the run in the same folder.

    Under torchrun all processes call it.

    Args:
        table: enriched photo table. The split "train" is trained on, "val" measures progress; other
            rows are never read. If no row has a split, all are trained on.
        folder: folder that its file names are relative to.
        run_folder: folder for checkpoints, logs and the result.
        config: settings; PIGEON's by default.

    Returns:
        `run_folder`/model, in the format of open_clip's "local-dir:" prefix.

    Raises:
        TableError: there are too few photos, or too many in a row are unreadable.
        CheckpointError: the folder holds a run with other settings, or the disk is full.
        BundleError: the model or its weights are unavailable.
    """
    config = config or PretrainConfig()
    result = run_folder / "model"
    with process_group() as processes:
        photos, held_out = _split(table)
        settings = _settings(config, photos, processes)
        if checkpoint.is_finished(run_folder, settings):
            return result
        _train(photos, held_out, folder, run_folder, config, settings, processes)
    return result


def _train(
    photos: pa.Table,
    held_out: pa.Table,
    folder: Path,
    run_folder: Path,
    config: PretrainConfig,
    settings: dict[str, Any],
    processes: Processes,
) -> None:
    torch.manual_seed(config.seed)
    model = clip.build(config.model, config.pretrained)
    towers = model.model.to(processes.device).train()
    bf16 = config.bf16 and processes.device.type == "cuda"
    if config.checkpointing:
        towers.set_grad_checkpointing()
    if config.compile:
        towers.compile()
    dtype = torch.bfloat16 if bf16 else torch.float32
    towers = distribute(towers, config.strategy, processes, dtype)
    state = _initial_state(towers, config)
    batches = _batches(photos, config, processes)
    loop = _loop_config(config, batches, bf16)
    captioner = Captioner(config.style)
    parts = (folder, captioner, model.tokenizer, model.preprocessing)
    measure = CountryAccuracy(held_out, *parts, processes)
    run = Run(run_folder, processes, settings, measure)
    loss = CaptionLoss(
        config.loss, config.geo_tau_km, rank=processes.rank, world_size=processes.count
    )
    data = CaptionedPhotos(photos, *parts, config.seed)
    fit(state, data, batches, partial(backward, towers, loss, loop), loop, run)
    weights = checkpoint.result_weights(state)
    if processes.first:
        clip.write(run_folder / "model", model, weights, settings)
    processes.barrier()


def _split(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split into photos to train on and photos to measure progress on."""
    split = table["split"].fill_null("") if "split" in table.column_names else None
    if split is None or pc.all(pc.equal(split, "")).as_py():
        return table, table.slice(0, 0)
    return table.filter(pc.equal(split, "train")), table.filter(pc.equal(split, "val"))


def _initial_state(model: nn.Module, config: PretrainConfig) -> TrainState:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},  # gains, biases, logit scale
    ]
    optimiser = torch.optim.AdamW(
        groups, config.learning_rate, betas=config.betas, eps=config.epsilon
    )
    average = None
    if config.average is not None:
        average = [parameter.detach().clone() for parameter in parameters]
    return TrainState(model, optimiser, average)


def _batches(photos: pa.Table, config: PretrainConfig, processes: Processes) -> Batches:
    shard = photos["file"].combine_chunks().dictionary_encode().indices.to_numpy()
    batches = Batches(
        shard,
        config.batch,
        config.accumulate,
        processes.rank,
        processes.count,
        seed=config.seed,
    )
    if batches.steps_per_epoch < 1:
        raise TableError(
            f"{len(photos)} photos to train on are fewer than the {batches.photos_per_step} of one"
            " step; add photos, or use a smaller --batch or --accumulate"
        )
    return batches


def _loop_config(config: PretrainConfig, batches: Batches, bf16: bool) -> LoopConfig:
    return LoopConfig(
        steps=config.epochs * batches.steps_per_epoch,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        schedule=config.schedule,
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
        bf16=bf16,
        average=config.average,
        seed=config.seed,
        save_every=config.save_every,
        measure_every=config.measure_every,
        workers=config.workers,
    )


def _settings(config: PretrainConfig, photos: pa.Table, processes: Processes) -> dict[str, Any]:
    """Return the settings that a resumed run must share: the batch of a step, not its division.

    Photos, captions and files that training starts from count by their content.
    """
    name = clip.architecture_name(config.model, config.pretrained)
    settings = as_settings(config)
    for name in FREE_TO_CHANGE:
        del settings[name]
    photos_per_step = settings.pop("batch") * settings.pop("accumulate") * processes.count
    return {
        **settings,
        "model": config.model if Path(config.model).exists() else name,
        **clip.source_digest(config.model, config.pretrained),
        "photos": len(photos),
        "photos_digest": content_digest(photos),
        "photos_per_step": photos_per_step,
    }
