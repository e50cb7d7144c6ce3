"""The settings of pretraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
