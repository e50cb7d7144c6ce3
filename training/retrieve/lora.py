"""Low-rank adapters (Hu et al. 2022) in the last blocks of a tower, trained by image-GPS contrast.

The adapters are added to the weights in the end, so that the result is an ordinary tower.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from geocells.sphere import EARTH_RADIUS_KM
from geoloc.encoders.registry import published_encoders
from geoloc.encoders.weight_files import LOCAL
from geoloc.errors import BundleError
from training.data.loading import Batch, CaptionedPhotos
from training.data.sampler import Batches
from training.data.table import content_digest
from training.engine import checkpoint
from training.engine.checkpoint import TrainState
from training.engine.loop import LoopConfig, Run, as_settings, fit
from training.engine.parallel import process_group
from training.pretrain import clip
from training.pretrain.captions import Captioner
from training.pretrain.finetune import empty_tokens
from training.pretrain.tuned_tower import blocks_of
from training.retrieve.location import FIRST_SCALE, LocationEncoder, contrast_loss
from training.retrieve.settings import RetrieveRecipe

RANK = 16
"""Rank of the adapters."""

MOST_PHOTOS = 200_000
"""Photos that the adapters are trained on, once each."""

BATCH = 256
LEARNING_RATE = 2e-4


class LowRank(nn.Module):
    """A parametrisation that adds the product of two thin matrices to a weight."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rank = min(RANK, *weight.shape)
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the adapted weight."""
        return weight + self.up @ self.down


class AdaptedTower(nn.Module):
    """A frozen image tower with adapters, a projection, and a location encoder."""

    def __init__(self, tower: nn.Module, recipe: RetrieveRecipe, dim: int) -> None:
        """Add adapters to the matrices of the last `recipe.lora_blocks` blocks."""
        super().__init__()
        self.tower = tower.requires_grad_(False)
        self._jitter_km = recipe.location.jitter_km
        for block in blocks_of(tower)[-recipe.lora_blocks :]:
            for part, name in _matrices(block):
                parametrize.register_parametrization(part, name, LowRank(getattr(part, name)))
        self.encoder = LocationEncoder(recipe.location, dim, recipe.seed)
        self.encoder.network[-1].reset_parameters()  # no features are estimated to start from
        self.projection = nn.Linear(dim, recipe.location.dim, bias=False)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE).log())

    def forward(self, pixels: Tensor, latlon: Tensor) -> Tensor:
        """Return the contrast of photos (B, 3, size, size) with their coordinates (B, 2)."""
        queried = F.normalize(self.projection(self.tower(pixels)).float(), dim=1)
        lat, lon = torch.deg2rad(latlon).unbind(dim=1)
        places = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)
        noise = torch.randn_like(places) * self._jitter_km / EARTH_RADIUS_KM
        nothing = queried.new_zeros(len(places), self.projection.in_features)
        encoded = self.encoder(F.normalize(places + noise, dim=1), nothing)
        return contrast_loss(queried, encoded, encoded[:0], self.scale.exp())

    def merged(self) -> nn.Module:
        """Return the tower with its adapters added to the weights."""
        for part in self.tower.modules():
            if parametrize.is_parametrized(part):
                for name in list(part.parametrizations):
                    parametrize.remove_parametrizations(part, name, leave_parametrized=True)
        return self.tower


def _matrices(block: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return the weight matrices of a transformer block: its linear layers and attention."""
    found: list[tuple[nn.Module, str]] = []
    for part in block.modules():
        if isinstance(part, nn.MultiheadAttention) and part.in_proj_weight is not None:
            found.append((part, "in_proj_weight"))
        elif isinstance(part, nn.Linear):
            found.append((part, "weight"))
    return found


def adapt(
    table: pa.Table, folder: Path, encoder: str, run_folder: Path, recipe: RetrieveRecipe
) -> Path:
    """Train adapters of an open_clip encoder, or resume the run in the same folder.

    Args:
        table: photo table; only the split "train" is used.
        folder: folder that its file names are relative to.
        encoder: "open_clip:…", or a name of published.toml for one.
        run_folder: folder for checkpoints, logs and the result.
        recipe: number of blocks, location encoder and seed.

    Returns:
        `run_folder`/model, a folder for "open_clip:local-dir:".

    Raises:
        BundleError: the encoder is not one of open_clip, or cannot be loaded.
        TableError: too many photos in a row are unreadable.
        CheckpointError: the folder holds a run with other settings, or the disk is full.
    """
    published = published_encoders().get(encoder)
    kind, _, name = (published.encoder if published else encoder).partition(":")
    if kind != "open_clip":
        raise BundleError(
            f"{encoder}: adapters need an encoder of open_clip; put one first in --encoders, or"
            " leave out --lora-blocks"
        )
    model, tag = name.removeprefix(LOCAL), ""
    if model == name:
        model, _, tag = name.partition("/")
    photos = table.filter(pc.equal(table["split"], "train"))
    if len(photos) > MOST_PHOTOS:
        rows = np.random.default_rng(recipe.seed).choice(len(photos), MOST_PHOTOS, replace=False)
        photos = photos.take(np.sort(rows))
    settings = {
        "encoder": encoder, "blocks": recipe.lora_blocks, "seed": recipe.seed,
        "location": as_settings(recipe.location), "photos_digest": content_digest(photos),
    }  # fmt: skip
    if not checkpoint.is_finished(run_folder, settings):
        built = clip.build(model, tag)
        _train(photos, folder, built, run_folder, recipe, settings)
    return run_folder / "model"


def _train(
    photos: pa.Table,
    folder: Path,
    built: clip.Clip,
    run_folder: Path,
    recipe: RetrieveRecipe,
    settings: dict[str, Any],
) -> None:
    """Train adapters, from the newest checkpoint on, and write the tower with them."""
    torch.manual_seed(recipe.seed)
    size = built.preprocessing.size
    with torch.inference_mode():
        dim = int(built.model.visual(torch.zeros(1, 3, size, size)).shape[1])
    batches = Batches(np.arange(len(photos)), min(BATCH, len(photos)), seed=recipe.seed)
    with process_group() as processes:
        device = processes.device
        model = AdaptedTower(built.model.visual, recipe, dim).to(device).train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        state = TrainState(model, torch.optim.AdamW(trained, LEARNING_RATE))
        data = CaptionedPhotos(
            photos, folder, NoCaptions("generic"), empty_tokens, built.preprocessing, recipe.seed
        )

        def objective(micro: list[Batch], step: int) -> Tensor:
            torch.manual_seed(recipe.seed * 1_000_003 + step)
            (batch,) = micro
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss: Tensor = model(batch.images, batch.latlon)
            loss.backward()
            return loss.detach()

        loop = LoopConfig(
            steps=batches.steps_per_epoch, learning_rate=LEARNING_RATE, warmup=0.05,
            schedule="cosine", seed=recipe.seed, save_every=100, measure_every=10**9,
            workers=recipe.workers,
        )  # fmt: skip
        run = Run(run_folder, processes, settings, lambda model: {})
        fit(state, data, batches, objective, loop, run)
        model.merged().cpu()
        clip.write(run_folder / "model", built, built.model.state_dict(), settings)


class NoCaptions(Captioner):
    """Stands in for captions, which are not used."""

    def batch(
        self, table: pa.Table, rows: npt.ArrayLike, seed: int = 0, epoch: int = 0
    ) -> list[str]:
        """Return a text for each row."""
        return ["photo"] * np.size(rows)
