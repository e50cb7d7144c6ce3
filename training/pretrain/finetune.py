"""Tune the last block of an image tower together with the heads (PIGEON, section 4.3, stage B)."""

from __future__ import annotations

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
from training.data.table import latlon_of
from training.engine import checkpoint
from training.engine.checkpoint import CheckpointError, Trained
from training.engine.loop import LoopConfig, Run, as_settings, fit
from training.engine.parallel import Processes, distribute, joined
from training.heads.examples import attributes_of
from training.heads.losses import smoothed_labels
from training.heads.modules import GeoHeads, Targets
from training.pretrain import clip
from training.pretrain.captions import Captioner


def finetune(
    table: pa.Table,
    folder: Path,
    model: Path,
    cells: CellTable,
    run_folder: Path,
    heads: HeadConfig,
    config: FinetuneConfig | None = None,
) -> Path:
    """Tune, or go on where a run in the same folder stopped.

    The heads that are trained along are not kept: afterwards photos are embedded again, and heads
    are fitted to the new embeddings as to any others.

    Args:
        table: enriched photo table, of which the split "train" is used.
        folder: what its file names are relative to.
        model: folder that `pretrain` wrote.
        cells: geocells.
        run_folder: where checkpoints, losses and the result go.
        heads: settings of labels and attributes.
        config: see there.

    Returns:
        `run_folder`/model: open_clip's own format, with the tuned tower.

    Raises:
        TableError: there are too few photos, or too many in a row are unreadable.
        CheckpointError: the folder holds another run, or the disk is full.
    """
    wanted = config or FinetuneConfig()
    result = run_folder / "model"
    photos = table.filter(pc.equal(table["split"], "train"))
    settings = {
        **as_settings(wanted),
        "heads": as_settings(heads),
        "photos": len(photos),
        "cells": len(cells),
        "model": checkpoint.digest_of(model),
    }
    with joined() as me:
        if checkpoint.is_finished(run_folder, settings):
            return result
        _tune(photos, folder, model, cells, run_folder, (heads, wanted), settings, me)
    return result


def _tune(
    photos: pa.Table,
    folder: Path,
    source: Path,
    cells: CellTable,
    run_folder: Path,
    configs: tuple[HeadConfig, FinetuneConfig],
    settings: dict[str, object],
    me: Processes,
) -> None:
    heads, config = configs
    torch.manual_seed(config.seed)
    built = clip.build(str(source))
    network = TowerAndHeads(built.model.visual, photos, cells, heads).to(me.device).train()
    bf16 = config.bf16 and me.device.type == "cuda"
    model = distribute(network, config.strategy, me, torch.bfloat16 if bf16 else torch.float32)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, config.learning_rate, weight_decay=config.weight_decay
    )
    trained = Trained(model, optimiser, None)
    batches = Batches(np.arange(len(photos)), config.batch, 1, me.rank, me.count, seed=config.seed)
    if batches.steps_per_epoch < 1:
        raise TableError(
            f"{len(photos)} photos to train on are fewer than the {batches.photos_per_step} of one"
            " step; add photos, or take a smaller batch"
        )
    loop = LoopConfig(
        steps=config.epochs * batches.steps_per_epoch, learning_rate=config.learning_rate,
        warmup=0.05, bf16=bf16, seed=config.seed, save_every=config.save_every,
        measure_every=10**9,
    )  # fmt: skip
    start = checkpoint.resume(run_folder / "checkpoints", trained, settings)
    run = Run(run_folder, me, settings, lambda model: {}, start)
    data = CaptionedPhotos(
        photos, folder, Captioner("generic"), _no_text, built.preprocessing, config.seed
    )
    stream = load_batches(data, replace(batches, start=start), config.workers)

    def objective(micro: list[Batch], step: int) -> Tensor:
        torch.manual_seed(config.seed * 1_000_003 + step)
        (batch,) = micro
        with torch.autocast(me.device.type, torch.bfloat16, enabled=bf16):
            loss: Tensor = model(batch.pixels, batch.row)
        loss.backward()
        return loss.detach()

    fit(trained, stream, objective, loop, run, start)
    weights = checkpoint.weights(trained)
    if me.first:
        tuned = {f"visual.{name.removeprefix('tower.')}": tensor
                 for name, tensor in weights.items() if name.startswith("tower.")}  # fmt: skip
        clip.write(run_folder / "model", built, {**built.model.state_dict(), **tuned}, settings)
    me.wait()


class TowerAndHeads(nn.Module):
    """An image tower of which the last block learns, and the heads on its mean of tokens."""

    def __init__(
        self, tower: nn.Module, photos: pa.Table, cells: CellTable, config: HeadConfig
    ) -> None:
        """Freeze all but the last block, and look up what is true of the photos."""
        super().__init__()
        self.tower = tower
        self._config = config
        tower.requires_grad_(False)
        _last_block(tower).requires_grad_(True)
        latlon = latlon_of(photos)
        known = attributes_of(photos)
        mean, deviation = known.scales()
        facts = {
            "places": unit_vectors(latlon),
            "cell": cells.locate(latlon).astype(np.int64),
            "centroids": unit_vectors(cells.centroids),
            "numbers": (known.numbers - mean) / deviation,
            "climate": known.climate,
            "month": known.month,
        }
        for name, values in facts.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(values)), persistent=False)
        hierarchy = cells.hierarchy if config.hierarchical else None
        width = _width(tower)
        self.heads = GeoHeads(width, len(cells), hierarchy, attributes=config.attributes)

    def forward(self, pixels: Tensor, row: Tensor) -> Tensor:
        """The loss of photos (B, 3, size, size) of some rows (B,) of the table."""
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
        facts = (self.numbers[row], self.climate[row], self.month[row])
        targets = Targets(labels, weights, *(facts if config.attributes else ()))
        return self.heads.loss(features, targets, normalise=config.normalise)


def _last_block(tower: nn.Module) -> nn.Module:
    """The last transformer block of an open_clip or timm tower."""
    lists = [part for part in tower.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    largest = max(lists, key=lambda part: sum(p.numel() for p in part.parameters()), default=None)
    if largest is None or len(largest) < 2:
        raise CheckpointError("the tower has no list of blocks, so its last one cannot be tuned")
    last: nn.Module = largest[-1]
    return last


def _width(tower: nn.Module) -> int:
    size = tower.image_size
    side = int(size[0] if isinstance(size, tuple | list) else size)
    with torch.inference_mode():
        return int(mean_of_tokens(tower, torch.zeros(1, 3, side, side)).shape[1])


def _no_text(texts: list[str]) -> Tensor:
    return torch.zeros(len(texts), 0, dtype=torch.long)
