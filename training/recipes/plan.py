"""Cost estimates of a training run: floating-point operations, hours, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PEAK_TFLOPS = {"a100": 312.0, "h100": 989.0, "h200": 989.0, "b200": 2250.0, "l40s": 362.0}
"""Peak dense bf16 throughput by GPU, from the manufacturers' data sheets."""

UTILISATION = 0.45
"""Share of the peak throughput that training reaches on transformers of this size."""
INFERENCE_UTILISATION = 0.5
"""Share of the peak throughput that embedding reaches."""

BYTES_PER_ACTIVATION = 34.0
"""Bytes that a transformer layer keeps for the backward pass, per token and channel, in 16 bits and
with attention that stores no score matrix (Korthikanti et al. 2022, section 4)."""


@dataclass(frozen=True)
class Tower:
    """The size of a transformer."""

    layers: int
    width: int
    tokens: int
    mlp_ratio: float = 4.0

    @property
    def weights(self) -> float:
        """Number of weights of the layers: attention projections and MLP."""
        return self.layers * self.width**2 * (4.0 + 2.0 * self.mlp_ratio)

    @property
    def flops(self) -> float:
        """Operations of a forward pass: all weights for each token, and attention of all pairs."""
        attention = 4.0 * self.layers * self.tokens**2 * self.width
        return 2.0 * self.weights * self.tokens + attention

    @property
    def activation_bytes(self) -> float:
        """Bytes that one example keeps for the backward pass."""
        return BYTES_PER_ACTIVATION * self.layers * self.tokens * self.width


@dataclass(frozen=True)
class Plan:
    """Cost estimates of pretraining a CLIP model, and of embedding with it."""

    vision: Tower
    text: Tower
    embeddings: float
    """Number of weights outside the layers: patches, positions, vocabulary."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Plan:
        """Return the plan for a `model_cfg` of open_clip.

        Raises:
            ValueError: the image tower is not a plain vision transformer.
        """
        vision_cfg, text_cfg = config["vision_cfg"], config["text_cfg"]
        if not isinstance(vision_cfg.get("layers"), int) or "patch_size" not in vision_cfg:
            raise ValueError(
                "only vision transformers can be planned, and this vision_cfg has no layers or no"
                " patch_size"
            )
        size, patch = int(vision_cfg["image_size"]), int(vision_cfg["patch_size"])
        vision = Tower(vision_cfg["layers"], vision_cfg["width"], (size // patch) ** 2 + 1,
                       float(vision_cfg.get("mlp_ratio", 4.0)))  # fmt: skip
        context = int(text_cfg.get("context_length", 77))
        text = Tower(int(text_cfg["layers"]), int(text_cfg["width"]), context)
        patches = 3 * patch**2 * vision.width + vision.tokens * vision.width
        words = (int(text_cfg.get("vocab_size", 49408)) + context) * text.width
        return cls(vision, text, float(patches + words))

    @property
    def weights(self) -> float:
        """Total number of weights, without biases and norms."""
        return self.vision.weights + self.text.weights + self.embeddings

    def training_flops(self, *, cached: bool) -> float:
        """Return the training operations of one photo and its caption.

        The backward pass costs two forward passes.

        Args:
            cached: gradient caching adds a second forward pass.
        """
        return (4.0 if cached else 3.0) * (self.vision.flops + self.text.flops)

    def training_hours(
        self, photos: int, epochs: int, gpus: int, gpu: str, *, cached: bool
    ) -> float:
        """Return the hours of wall time of pretraining."""
        total = self.training_flops(cached=cached) * photos * epochs
        return total / (PEAK_TFLOPS[gpu] * 1e12 * UTILISATION * gpus) / 3600.0

    def embedding_hours(self, photos: int, gpus: int, gpu: str) -> float:
        """Return the hours of wall time to embed every photo once, if decoding keeps up."""
        rate = PEAK_TFLOPS[gpu] * 1e12 * INFERENCE_UTILISATION * gpus
        return self.vision.flops * photos / rate / 3600.0

    def memory_gb(self, batch: int, *, checkpointing: bool = False, shards: int = 1) -> float:
        """Return the memory of one GPU in GB.

        Weights, gradients and moments in float32, and the activations of a micro-batch.

        Args:
            batch: photos of a micro-batch.
            checkpointing: only the input of each layer is kept.
            shards: GPUs that share weights, gradients and moments (FSDP).
        """
        states = 16.0 * self.weights / shards
        kept = self.vision.activation_bytes + self.text.activation_bytes
        if checkpointing:
            deepest = max(t.activation_bytes / t.layers for t in (self.vision, self.text))
            kept = kept * 2.0 / BYTES_PER_ACTIVATION + deepest
        return (states + kept * batch) / 1e9
