"""The settings of tuning a tower's last block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
