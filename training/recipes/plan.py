"""What a run costs before it is paid for: floating-point operations, hours, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PEAK_TFLOPS = {"a100": 312.0, "h100": 989.0, "h200": 989.0, "b200": 2250.0, "l40s": 362.0}
"""Dense bf16, as the makers state it."""

UTILISATION = 0.45
"""Share of the peak that training reaches on transformers of this size."""
INFERENCE_UTILISATION = 0.5

BYTES_PER_ACTIVATION = 34.0
"""Kept for the backward pass by a transformer layer for each token and channel, with attention that
keeps no matrix (Korthikanti et al. 2022, section 4, 16 bits)."""


@dataclass(frozen=True)
class Tower:
    """A transformer."""

    layers: int
    width: int
    tokens: int
    mlp_ratio: float = 4.0

    @property
    def weights(self) -> float:
        """Of the layers: projections of the attention, and the perceptron."""
        return self.layers * self.width**2 * (4.0 + 2.0 * self.mlp_ratio)

    @property
    def flops(self) -> float:
        """Of one forward pass: every weight for every token, and attention between all tokens."""
        attention = 4.0 * self.layers * self.tokens**2 * self.width
        return 2.0 * self.weights * self.tokens + attention

    @property
    def activation_bytes(self) -> float:
        """Kept for one backward pass."""
        return BYTES_PER_ACTIVATION * self.layers * self.tokens * self.width


@dataclass(frozen=True)
class Plan:
    """A pretraining run."""

    vision: Tower
    text: Tower
    embeddings: float
    """Weights outside the layers: patches, positions, vocabulary."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Plan:
        """From open_clip's model_cfg.

        Raises:
            ValueError: the image tower is no plain vision transformer.
        """
        seen, read = config["vision_cfg"], config["text_cfg"]
        if not isinstance(seen.get("layers"), int) or "patch_size" not in seen:
            raise ValueError("only vision transformers can be planned: vision_cfg has no layers")
        size, patch = int(seen["image_size"]), int(seen["patch_size"])
        vision = Tower(seen["layers"], seen["width"], (size // patch) ** 2 + 1,
                       float(seen.get("mlp_ratio", 4.0)))  # fmt: skip
        context = int(read.get("context_length", 77))
        text = Tower(int(read["layers"]), int(read["width"]), context)
        patches = 3 * patch**2 * vision.width + vision.tokens * vision.width
        words = (int(read.get("vocab_size", 49408)) + context) * text.width
        return cls(vision, text, float(patches + words))

    @property
    def weights(self) -> float:
        """Number of all weights, without those that make no difference."""
        return self.vision.weights + self.text.weights + self.embeddings

    def training_flops(self, *, cached: bool) -> float:
        """Of a photo with its caption in training: one pass forward and two passes' worth back.

        Args:
            cached: with gradient caching every photo is computed forward twice.
        """
        return (4.0 if cached else 3.0) * (self.vision.flops + self.text.flops)

    def training_hours(
        self, photos: int, epochs: int, gpus: int, gpu: str, *, cached: bool
    ) -> float:
        """Wall time of pretraining."""
        total = self.training_flops(cached=cached) * photos * epochs
        return total / (PEAK_TFLOPS[gpu] * 1e12 * UTILISATION * gpus) / 3600.0

    def embedding_hours(self, photos: int, gpus: int, gpu: str) -> float:
        """Wall time of embedding every photo once, if the processors can decode as fast."""
        rate = PEAK_TFLOPS[gpu] * 1e12 * INFERENCE_UTILISATION * gpus
        return self.vision.flops * photos / rate / 3600.0

    def memory_gb(self, batch: int, *, checkpointing: bool = False, shards: int = 1) -> float:
        """Of one GPU: weights, gradients and moments in float32, activations of a micro-batch.

        Args:
            batch: photos of a micro-batch.
            checkpointing: keep the input of each layer only.
            shards: GPUs that share weights, gradients and moments (FSDP).
        """
        states = 16.0 * self.weights / shards
        kept = self.vision.activation_bytes + self.text.activation_bytes
        if checkpointing:
            deepest = max(t.activation_bytes / t.layers for t in (self.vision, self.text))
            kept = kept * 2.0 / BYTES_PER_ACTIVATION + deepest
        return (states + kept * batch) / 1e9
