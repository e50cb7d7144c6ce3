"""Quantise large encoders to int8 weights for CPUs, and compare them with the original."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from geocells.sphere import haversine_km
from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.types import Float32Array
from training.embed.export import exported_spec, trace

LEAST_COSINE = 0.99
"""Minimum cosine between embeddings of the quantised and the original network."""
SAME_ANSWER_KM = 25.0
"""Top-1 locations within this distance count as the same city."""

CROPS = 32
"""Sample photos for the comparison."""
_BATCH = 8

Answer = Callable[[Float32Array], npt.NDArray[np.floating]]
"""Maps embeddings (N, D) to top-1 locations (N, 2) in degrees."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of a quantised network with the original."""

    photos: int
    """Number of photos compared."""
    cosine: float
    """Smallest cosine between the two embeddings of a photo."""
    same_city: float
    """Share of the photos with the same top-1 city."""

    @property
    def sufficient(self) -> bool:
        """Whether the quantised network may replace the original."""
        return self.cosine >= LEAST_COSINE and self.same_city == 1.0

    def __str__(self) -> str:
        return (
            f"cosine at least {self.cosine:.4f}, the same city for {100 * self.same_city:.0f} % of"
            f" {self.photos} photos"
        )


def export_int8(
    encoder: Any,  # noqa: ANN401
    folder: Path,
    photos: list[Image.Image],
    answer: Answer,
) -> tuple[EncoderSpec, Agreement]:
    """Write `encoder.onnx` with int8 weights, one scale per output channel, dynamic activations.

    Args:
        encoder: a torch encoder.
        folder: folder to write to.
        photos: real photos to compare both networks on.
        answer: maps embeddings to top-1 locations.

    Returns:
        The spec of the file, and its agreement with the original, which the caller has to check.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "encoder.onnx"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        original = Path(scratch) / "original.onnx"
        onnx.save(trace(encoder), original)
        quantize_dynamic(
            original,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    spec = exported_spec(encoder.spec, path)
    return spec, agreement(encoder, OnnxEncoder(spec, folder), photos, answer)


def agreement(one: Any, other: Any, photos: list[Image.Image], answer: Answer) -> Agreement:  # noqa: ANN401
    """Compare two encoders that share one preprocessing."""
    pixels = np.stack([one.spec.preprocessing(photo) for photo in photos])
    parts = np.split(pixels, range(_BATCH, len(pixels), _BATCH))
    a, b = (np.concatenate([encoder.embed(part) for part in parts]) for encoder in (one, other))
    distance_km = haversine_km(answer(a), answer(b))
    return Agreement(
        len(photos), float((a * b).sum(axis=1).min()), float((distance_km <= SAME_ANSWER_KM).mean())
    )


def sample_photos() -> list[Image.Image]:
    """Return random crops of the two photographs that scikit-learn contains."""
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    crops = []
    for number in range(CROPS):
        image = Image.fromarray(load_sample_image(("china.jpg", "flower.jpg")[number % 2]))
        width, height = (int(side * rng.uniform(0.4, 1.0)) for side in image.size)
        left, top = (
            int(rng.integers(0, full - part + 1))
            for full, part in zip(image.size, (width, height), strict=True)
        )
        crops.append(image.crop((left, top, left + width, top + height)))
    return crops
