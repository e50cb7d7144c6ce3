"""All settings of training as frozen dataclasses; their field docstrings are the commands' help."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from geocells.partition.config import PRESETS, CellConfig

Strategy = Literal["ddp", "fsdp"]
Schedule = Literal["linear", "cosine", "constant"]
Reference = Literal["nearest", "true"]
Style = Literal["published", "improved"]
ClipForm = Literal["int8", "whole", "torch"]

TINY_TOWERS = Path(__file__).with_name("tiny_towers.json")
"""Description of a CLIP model of two million parameters for 64-pixel photos."""

REHEARSAL_TOWERS = Path(__file__).parent / "recipes" / "rehearsal_towers.json"
"""The same model with patches of 16 pixels instead of 8, which trains four times as fast."""

GEOCLIP_TOWER = "ViT-L-14-quickgelu/openai"
"""open_clip's name of the image tower and weights (MIT) that GeoCLIP was trained on."""

FREE_TO_CHANGE = ("workers", "compile", "checkpointing", "strategy", "save_every", "measure_every")
"""Settings of `PretrainConfig` that a resumed run may change: they do not affect the result."""


@dataclass(frozen=True)
class HeadConfig:
    """Settings of head training; the defaults suit some thousand photos."""

    features: int = 512
    """Length of the retrieval features: the maximum number of principal components."""
    whitening: float = 0.25
    """Exponent of the variance that each component is divided by; 0: none, 0.5: unit variance."""
    tau_km: float = 25.0
    """Scale of the haversine-smoothed labels in km; 0: no smoothing. PIGEON's 75 km suits street
    views of the whole world; a library of walks and landmarks needs the scale of a city."""
    reference: Reference = "nearest"
    """Distance subtracted in the smoothed labels: to the nearest cell, or to the true cell."""
    normalise: bool = True
    """Normalise the labels of each photo to a sum of 1; PIGEON as published does not."""
    hierarchical: bool = False
    """Train country and region classifiers too, and add their logits to those of the cells."""
    attributes: bool = False
    """Train heads for elevation, population, climate and month too."""
    epochs: int = 30
    """Maximum number of epochs."""
    patience: int | None = None
    """Stop after this many epochs without a higher held-out top-1 accuracy; keep the best epoch."""
    batch: int = 512
    """Photos per step."""
    learning_rate: float = 1e-2
    """Peak learning rate."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Learning-rate schedule."""
    weight_decay: float = 0.3
    """Weight decay of AdamW."""
    logit_scale: float = 16.0
    """Norm of the features at the input of the classifier."""
    seed: int = 0
    """Seed of the order of the photos."""

    def __post_init__(self) -> None:
        for name in ("features", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.tau_km < 0.0:
            raise ValueError(f"tau_km {self.tau_km}: expected 0 or more")


@dataclass(frozen=True)
class PigeonHeadConfig(HeadConfig):
    """PIGEON's settings (section 4.3), with normalised labels and early stopping."""

    features: int = 1024
    whitening: float = 0.0
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
    """PIGEOTTO's differences from PIGEON."""

    tau_km: float = 65.0


HEAD_PRESETS: dict[str, type[HeadConfig]] = {
    "learn": HeadConfig,
    "pigeon": PigeonHeadConfig,
    "pigeotto": PigeottoHeadConfig,
}


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of contrastive pretraining; the defaults are PIGEON's as published, for 4 GPUs.

    One deviation: all 1,024 photos of a step are contrasted, not only the 32 of a micro-batch.
    """

    model: str = "ViT-L-14-336-quickgelu"
    """An open_clip architecture, or a JSON file that describes one (timm towers included)."""
    pretrained: str = "openai"
    """An open_clip weight tag, a checkpoint file, or "" for random weights."""
    style: str = "pigeon"
    """Caption style; a section of training/pretrain/captions.toml."""
    loss: Literal["infonce", "sigmoid"] = "infonce"
    """Softmax over the batch, or SigLIP's sigmoid for each pair."""
    geo_tau_km: float | None = None
    """If given, photos d km apart are partial positives of weight exp(-d / tau)."""
    epochs: int = 20
    """Passes over the training photos."""
    batch: int = 32
    """Photos per micro-batch in one process."""
    accumulate: int = 8
    """Micro-batches per step; all photos of a step are contrasted with each other."""
    learning_rate: float = 1e-6
    """Peak learning rate."""
    warmup: float = 0.2
    """Share of the steps in which the learning rate rises."""
    schedule: Schedule = "linear"
    """Decay of the learning rate to 0 after warm-up; none if constant."""
    weight_decay: float = 1e-3
    """Weight decay of AdamW; gains, biases and the logit scale have none."""
    betas: Annotated[tuple[float, float], Parameter(negative=())] = (0.9, 0.98)
    """Betas of AdamW."""
    epsilon: float = 1e-6
    """Epsilon of AdamW."""
    clip_norm: float = 1.0
    """Maximum norm of the gradient."""
    average: float | None = None
    """Decay of an exponential moving average of the weights; if given, the average is saved."""
    strategy: Strategy = "ddp"
    """fsdp shards weights and optimiser state, for towers that do not fit otherwise."""
    bf16: bool = True
    """Compute in bfloat16 on a GPU."""
    checkpointing: bool = False
    """Recompute activations in the backward pass, which needs less memory."""
    compile: bool = False
    """Compile the towers: minutes at the start, faster steps."""
    workers: int = 8
    """Processes that read photos, per training process."""
    seed: int = 42
    """Seed of weights, photo order, crops and captions."""
    save_every: int = 50
    """Steps between checkpoints."""
    measure_every: int = 50
    """Steps between measurements of zero-shot country accuracy."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate", "save_every", "measure_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.batch * self.accumulate < 2:
            raise ValueError("batch 1, accumulate 1: a step needs two photos or more to contrast")
        if not 0.0 <= self.warmup < 1.0:
            raise ValueError(f"warmup {self.warmup}: expected a share of the steps, 0 to below 1")


@dataclass(frozen=True)
class PigeottoPretrainConfig(PretrainConfig):
    """PIGEOTTO's differences from PIGEON."""

    style: str = "pigeotto"
    epochs: int = 4
    learning_rate: float = 5e-7
    warmup: float = 0.02


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of fine-tuning the last block; the defaults are PIGEON's, for 4 GPUs.

    The views of a place count as one photo. It starts with heads that are trained on the frozen
    tower, and keeps the epoch with the highest accuracy on the split val. Unlike the paper the
    authors' code also trains the token and position embeddings; here they stay frozen.
    """

    epochs: int = 10
    """Passes over the training photos."""
    batch: int = 256
    """Places per step in one process, each with all its views."""
    learning_rate: float = 2e-5
    """Peak learning rate."""
    warmup: float = 0.0
    """Share of the steps in which the learning rate rises."""
    schedule: Schedule = "constant"
    """Decay of the learning rate after warm-up."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    strategy: Strategy = "ddp"
    """fsdp shards weights and optimiser state, for towers that do not fit otherwise."""
    bf16: bool = True
    """Compute in bfloat16 on a GPU."""
    workers: int = 8
    """Processes that read photos, per training process."""
    seed: int = 330
    """Seed of photo order, crops and heads."""
    save_every: int = 200
    """Steps between checkpoints."""


@dataclass(frozen=True)
class PigeonRecipe:
    """PIGEON: street views, panoramas of four."""

    cells: Annotated[CellConfig, Parameter(parse=False)] = PRESETS["pigeon"]
    """Settings of the geocell partition."""
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    """Settings of contrastive pretraining."""
    heads: PigeonHeadConfig = field(default_factory=PigeonHeadConfig)
    """Settings of the heads."""
    embedding: Literal["open_clip_tokens", "open_clip"] = "open_clip_tokens"
    """Mean of all tokens, as published, or CLIP's projection, which is compared with captions."""
    style: Style = "published"
    """Retrieval: OPTICS clusters and refinement as published, or smoothed prototypes and a
    re-ranker."""


@dataclass(frozen=True)
class PigeottoRecipe(PigeonRecipe):
    """PIGEOTTO: photos of all kinds, one per place."""

    cells: Annotated[CellConfig, Parameter(parse=False)] = PRESETS["pigeotto"]
    pretrain: PigeottoPretrainConfig = field(default_factory=PigeottoPretrainConfig)
    heads: PigeottoHeadConfig = field(default_factory=PigeottoHeadConfig)


@dataclass(frozen=True)
class WorldConfig:
    """Settings of the `geoclip` bundle, see `training.recipes.geoclip.build`."""

    per_cell: int = 60
    """Maximum number of known photo places in a geocell."""
    examples: int = 60_000
    """Simulated photos that the heads are trained on."""
    held_out: int = 3_000
    """Simulated photos for calibration, and as many again for evaluation."""
    off_km: float = 0.4
    """Median distance of a simulated photo from a known place; see `DISTANCE_SPREAD` in build."""
    heads: HeadConfig = field(
        default_factory=lambda: HeadConfig(tau_km=75.0, epochs=6, weight_decay=10.0, whitening=0.0)
    )
    """Strong decay, as half of a simulated photo is noise; unwhitened, to keep GeoCLIP's metric."""
    seed: int = 0
    """Seed of the simulated photos."""


@dataclass(frozen=True)
class AblationConfig:
    """Size of the ablation experiment."""

    places: int = 1600
    """Places of the synthetic planet, four views each."""
    test: float = 0.4
    """Share of the test split; large, for narrow confidence intervals."""
    size: int = 64
    """Side of the photos in pixels."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One planet and one set of towers per seed."""
    base_epochs: int = 4
    """Pretraining on captions without place names."""
    place_epochs: int = 8
    """Pretraining on captions with place names."""
    tune_epochs: int = 3
    """Fine-tuning of the last block."""
    head_epochs: int = 40
    """Maximum number of epochs of head training."""
    tau_km: float = 300.0
    """Scale of the smoothed labels; cells of some thousand places are larger than PIGEON's."""
    photos_per_cell: int = 16
    """Maximum number of places in a cell of the synthetic planet."""
    simulated_per_cell: int = 60
    """The same for given embeddings, of which there are as many as PIGEON had."""


QUICK_ABLATION = AblationConfig(
    places=160, size=48, seeds=(0,), base_epochs=1, place_epochs=1, tune_epochs=1, head_epochs=10
)
