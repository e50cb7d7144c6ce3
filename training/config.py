"""Settings of training: heads, pretraining, fine-tuning and the recipes made of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from geocells.partition.config import PRESETS, CellConfig


@dataclass(frozen=True)
class HeadConfig:
    """How heads are trained; the defaults suit some thousand photos."""

    features: int = 512
    """Length of the retrieval features: most components that are kept."""
    whitening: float = 0.25
    """Components are divided by their variance to this power: half way to unit variance."""
    tau_km: float = 25.0
    """Of the haversine-smoothed labels. PIGEON's 75 km suits a world of street views; libraries
    of walks and landmarks are told apart at the scale of a city. 0: no smoothing."""
    reference: Literal["nearest", "true"] = "nearest"
    """What distances are compared with; see `training.heads.losses.smoothed_labels`."""
    normalise: bool = True
    """Whether the labels of a photo sum to 1; as published they do not."""
    hierarchical: bool = False
    """Learn countries and regions too, whose logits are added to those of their cells."""
    attributes: bool = False
    """Learn height, people, climate and month as well."""
    epochs: int = 30
    """At most."""
    patience: int | None = None
    """Stop after so many epochs without a better held-out top-1 accuracy, and keep the best."""
    batch: int = 512
    learning_rate: float = 1e-2
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    weight_decay: float = 0.3
    logit_scale: float = 16.0
    """Length of the features as the classifier sees them."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("features", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.tau_km < 0.0:
            raise ValueError(f"tau_km {self.tau_km}: expected 0 or more")


@dataclass(frozen=True)
class PigeonHeadConfig(HeadConfig):
    """PIGEON's (section 4.3); the labels are normalised and training stops early."""

    features: int = 1024
    tau_km: float = 75.0
    attributes: bool = True
    epochs: int = 1000
    patience: int | None = 8
    batch: int = 1024
    learning_rate: float = 2e-5
    schedule: Literal["one-cycle", "constant"] = "constant"
    weight_decay: float = 0.01
    seed: int = 330


@dataclass(frozen=True)
class PigeottoHeadConfig(PigeonHeadConfig):
    """What PIGEOTTO changes."""

    tau_km: float = 65.0


HEAD_PRESETS: dict[str, type[HeadConfig]] = {
    "learn": HeadConfig,
    "pigeon": PigeonHeadConfig,
    "pigeotto": PigeottoHeadConfig,
}

NUMBER_WEIGHT, CLIMATE_WEIGHT, MONTH_WEIGHT = 8.0, 2.0, 1.0
"""Of the attribute losses beside the geocells' (section 4.2)."""

LEVEL_WEIGHT = 0.5
"""Of the loss of countries and of regions, in a hierarchical head."""


@dataclass(frozen=True)
class PretrainConfig:
    """What is pretrained, and how; the defaults are PIGEON's as published, for 4 GPUs.

    The authors' code compared the 32 photos of a micro-batch with each other; here it is all 1,024
    of a step.
    """

    model: str = "ViT-L-14-336"
    """An architecture of open_clip, or a JSON file that describes one (timm towers too)."""
    pretrained: str = "openai"
    """open_clip's tag, a checkpoint file, or "" for random weights."""
    style: str = "pigeon"
    """Of the captions; see captions.toml."""
    loss: Literal["infonce", "sigmoid"] = "infonce"
    """Softmax over the batch, or SigLIP's sigmoid for each pair."""
    geo_tau_km: float | None = None
    """If given, near photos are partly positives: exp(-d / tau)."""
    epochs: int = 20
    batch: int = 32
    """Photos of a micro-batch in one process."""
    accumulate: int = 8
    """Micro-batches of a step; all photos of a step are compared with each other."""
    learning_rate: float = 1e-6
    warmup: float = 0.2
    """Share of the steps in which the rate rises."""
    schedule: Literal["linear", "cosine"] = "linear"
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    clip_norm: float = 1.0
    """Longer gradients are shortened to this."""
    average: float | None = None
    """Decay of a moving average of the weights, which then is the result."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """fsdp shards weights and moments too, for towers that do not fit otherwise."""
    bf16: bool = True
    """Compute in bfloat16 where there is a GPU."""
    checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    compile: bool = False
    """Compile the towers: minutes at the start, a faster step."""
    workers: int = 8
    """Processes that read photos, for each training process."""
    seed: int = 42
    save_every: int = 50
    """Steps between checkpoints."""
    measure_every: int = 50
    """Steps between measurements of zero-shot country accuracy."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate", "save_every", "measure_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.batch * self.accumulate < 2:
            raise ValueError("batch 1, accumulate 1: one photo has nothing to be compared with")
        if not 0.0 <= self.warmup < 1.0:
            raise ValueError(f"warmup {self.warmup}: expected a share of the steps, 0 to below 1")


@dataclass(frozen=True)
class PigeottoPretrainConfig(PretrainConfig):
    """What PIGEOTTO changes."""

    style: str = "pigeotto"
    epochs: int = 4
    learning_rate: float = 5e-7
    warmup: float = 0.02


FREE_TO_CHANGE = ("workers", "compile", "checkpointing", "strategy", "save_every", "measure_every")
"""Settings that a resumed run may have changed: they do not change what is learned."""


@dataclass(frozen=True)
class FinetuneConfig:
    """How the last block is tuned; the defaults are PIGEON's for 4 GPUs.

    Only the last block is: the authors' code leaves the embeddings of tokens and positions free as
    well, against their paper.
    """

    epochs: int = 10
    batch: int = 256
    """Photos in one process."""
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    strategy: Literal["ddp", "fsdp"] = "ddp"
    bf16: bool = True
    """Compute in bfloat16 where there is a GPU."""
    workers: int = 8
    """Processes that read photos, for each training process."""
    seed: int = 330
    save_every: int = 200


@dataclass(frozen=True)
class PigeonRecipe:
    """PIGEON: street views, panoramas of four."""

    cells: Annotated[CellConfig, Parameter(parse=False)] = PRESETS["pigeon"]
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    heads: PigeonHeadConfig = field(default_factory=PigeonHeadConfig)
    embedding: Literal["open_clip_tokens", "open_clip"] = "open_clip_tokens"
    """Mean of all tokens, as published, or the projection that captions are compared with."""


@dataclass(frozen=True)
class PigeottoRecipe(PigeonRecipe):
    """PIGEOTTO: photos of all kinds, one of each place."""

    cells: Annotated[CellConfig, Parameter(parse=False)] = PRESETS["pigeotto"]
    pretrain: PigeottoPretrainConfig = field(default_factory=PigeottoPretrainConfig)
    heads: PigeottoHeadConfig = field(default_factory=PigeottoHeadConfig)


def for_dry_run(recipe: PigeonRecipe) -> PigeonRecipe:
    """The same recipe for some thousand small photos, a tiny tower and minutes on a CPU."""
    pretrain = replace(
        recipe.pretrain, model=str(TINY_TOWERS), pretrained="", epochs=3, batch=128, accumulate=1,
        learning_rate=1e-3, workers=0, measure_every=20,
    )  # fmt: skip
    heads = replace(recipe.heads, epochs=200, batch=256, learning_rate=2e-3)
    return replace(recipe, cells=CellConfig.of_size(24), pretrain=pretrain, heads=heads)


TINY_TOWERS = Path(__file__).with_name("tiny_towers.json")
"""A CLIP model of two million weights for 64-pixel photos."""
