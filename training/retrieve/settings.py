"""Settings of the recipe `retrieve`; their field docstrings are the command's help."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.config import HeadConfig


@dataclass(frozen=True)
class BandConfig:
    """Settings of the band heads."""

    near: int = 256
    """Length of the features for distances of a street."""
    city: int = 192
    """Length of the features for distances of a city."""
    region: int = 128
    """Length of the features for distances of a region."""
    steps: int = 200
    """Training steps of each band."""
    batch: int = 512
    """Photos per step, each with a positive and three hard negatives."""
    learning_rate: float = 5e-4
    """Peak learning rate."""
    mined: int = 200_000
    """Photos that negatives are mined for, at most."""
    pool: int = 20_000
    """Photos among which look-alikes are searched, at most."""


@dataclass(frozen=True)
class LocationConfig:
    """Settings of the image-GPS contrast."""

    dim: int = 256
    """Length of an encoded coordinate."""
    frequencies: int = 64
    """Random Fourier features of each scale."""
    width: int = 256
    """Width of the location encoder."""
    epochs: int = 3
    """Passes over the training photos."""
    batch: int = 512
    """Photos per step."""
    queue: int = 4096
    """Encoded coordinates of earlier steps, which are negatives."""
    learning_rate: float = 5e-4
    """Peak learning rate."""
    jitter_km: float = 0.2
    """Standard deviation of the noise on the coordinates."""


@dataclass(frozen=True)
class RetrieveRecipe:
    """Frozen towers, retrieval heads and a re-ranker."""

    encoders: tuple[str, ...] = ("siglip2-so400m", "pe-core", "clip-336")
    """Image encoders whose embeddings are joined; see `geoloc-train learn --encoder`. Give dinov3
    too if you accept its licence."""
    per_cell: int = 100
    """Maximum number of photo places in a geocell."""
    bands: BandConfig = field(default_factory=BandConfig)
    """Settings of the band heads."""
    location: LocationConfig = field(default_factory=LocationConfig)
    """Settings of the image-GPS contrast."""
    heads: HeadConfig = field(
        default_factory=lambda: HeadConfig(features=512, tau_km=75.0, epochs=12)
    )
    """Settings of the geocell classifier."""
    lora_blocks: int = 0
    """Last blocks of the first encoder that are tuned by low-rank adapters; 0: none."""
    workers: int = 8
    """Processes that read photos for the adapters."""
    seed: int = 0
    """Seed of all random choices."""
