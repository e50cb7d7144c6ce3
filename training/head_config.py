"""The settings of the heads on frozen embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    """What distances are compared with; see `training.losses.smoothed_labels`."""
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


PRESETS: dict[str, type[HeadConfig]] = {
    "learn": HeadConfig,
    "pigeon": PigeonHeadConfig,
    "pigeotto": PigeottoHeadConfig,
}

NUMBER_WEIGHT, CLIMATE_WEIGHT, MONTH_WEIGHT = 8.0, 2.0, 1.0
"""Of the attribute losses beside the geocells' (section 4.2)."""

LEVEL_WEIGHT = 0.5
"""Of the loss of countries and of regions, in a hierarchical head."""
