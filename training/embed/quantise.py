"""Large networks for a CPU: int8 weights, where they answer as the whole ones do."""

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
SAME_ANSWER_KM = 25.0
"""Two top-1 answers this near each other are the same city."""

CROPS = 32
_SEEN_AT_ONCE = 8

Answer = Callable[[Float32Array], npt.NDArray[np.floating]]
"""From embeddings (N, D) to the places (N, 2) that they would be answered with."""


@dataclass(frozen=True)
class Agreement:
    """How far a quantised network sees what the whole one sees."""

    photos: int
    cosine: float
    """The least."""
    same: float
    """Share of the photos with the same top-1 answer."""

    @property
    def enough(self) -> bool:
        """Whether the quantised network may stand for the whole one."""
        return self.cosine >= LEAST_COSINE and self.same == 1.0

    def __str__(self) -> str:
        return (
            f"cosine at least {self.cosine:.4f}, the same city for {100 * self.same:.0f} % of"
            f" {self.photos} photos"
        )


def export_int8(
    encoder: Any,  # noqa: ANN401
    folder: Path,
    photos: list[Image.Image],
    answer: Answer,
) -> tuple[EncoderSpec, Agreement]:
    """Write `encoder.onnx` with weights in int8, a scale for each output; activations as they come.

    Args:
        encoder: a torch encoder.
        folder: where to write.
        photos: real ones, to compare with.
        answer: the places that embeddings are answered with.

    Returns:
        The spec of the file, and whether it agrees; that is for the caller to heed.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "encoder.onnx"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        whole = Path(scratch) / "whole.onnx"
        onnx.save(trace(encoder), whole)
        quantize_dynamic(
            whole,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    spec = exported_spec(encoder.spec, path)
    return spec, agreement(encoder, OnnxEncoder(spec, folder), photos, answer)


def agreement(one: Any, other: Any, photos: list[Image.Image], answer: Answer) -> Agreement:  # noqa: ANN401
    """Compare two encoders with the same preprocessing."""
    ready = np.stack([one.spec.preprocessing(photo) for photo in photos])
    parts = np.split(ready, range(_SEEN_AT_ONCE, len(ready), _SEEN_AT_ONCE))
    a, b = (np.concatenate([encoder.embed(part) for part in parts]) for encoder in (one, other))
    apart_km = haversine_km(answer(a), answer(b))
    return Agreement(
        len(photos), float((a * b).sum(axis=1).min()), float((apart_km <= SAME_ANSWER_KM).mean())
    )


def sample_photos() -> list[Image.Image]:
    """Parts of the two real photographs that ship inside scikit-learn."""
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    crops = []
    for number in range(CROPS):
        image = Image.fromarray(load_sample_image(("china.jpg", "flower.jpg")[number % 2]))
        width, height = (int(side * rng.uniform(0.4, 1.0)) for side in image.size)
        left, top = (
            int(rng.integers(0, whole - part + 1))
            for whole, part in zip(image.size, (width, height), strict=True)
        )
        crops.append(image.crop((left, top, left + width, top + height)))
    return crops
