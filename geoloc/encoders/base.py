"""Image encoders: upright RGB photos in, unit vectors out.

An encoder is described by an `EncoderSpec`, which carries its preprocessing, so that pixels are
prepared at answering time exactly as they were when the bundle was made.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from geoloc.types import Float32Array

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """How an upright RGB photo becomes the network's input."""

    size: int
    """Side of the square input in pixels."""
    mean: tuple[float, float, float]
    """Per channel, of values in 0..1."""
    std: tuple[float, float, float]
    resize: Literal["squash", "crop", "clip"] = "squash"
    """Squash the whole photo into the square, or crop the square in the middle: before scaling it
    down roughly and quickly, or as CLIP was trained, after looking at every pixel."""
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    detail_px: int | None = None
    """Reduce every photo to this short side first. Collections differ in resolution, and a model
    that sees it learns to tell collections apart instead of places."""

    @property
    def min_side(self) -> int | None:
        """Short side, in pixels, below which a decoder must not shrink a photo; None: at all."""
        return None if self.resize == "clip" else self.detail_px or self.size

    def __call__(self, image: Image.Image) -> Float32Array:
        """Prepare one upright RGB photo; returns (3, size, size)."""
        image = self._exact(image) if self.resize == "clip" else self._quick(image)
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = np.array(np.asarray(image).transpose(2, 0, 1), np.float32, order="C")
        values /= np.float32(255.0)
        values -= mean[:, None, None]
        values /= std[:, None, None]
        return values

    def _quick(self, image: Image.Image) -> Image.Image:
        method = _RESAMPLING[self.interpolation]
        if self.resize == "crop":
            image = _middle_square(image)
        if self.detail_px is not None and min(image.size) > self.detail_px:
            scale = self.detail_px / min(image.size)
            reduced = [max(1, round(side * scale)) for side in image.size]
            image = image.resize((reduced[0], reduced[1]), method, reducing_gap=2.0)
        return image.resize((self.size, self.size), method, reducing_gap=2.0)

    def _exact(self, image: Image.Image) -> Image.Image:
        short = min(image.size)
        width, height = (self.size * side // short for side in image.size)
        return _middle_square(image.resize((width, height), _RESAMPLING[self.interpolation]))


def _middle_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


@dataclass(frozen=True)
class EncoderSpec:
    """Which network, with which weights, fed how."""

    kind: str
    """A key of `ENCODERS`."""
    model: str
    """The model's name in its library; for onnx what the file was exported from."""
    weights: str
    """onnx: sha256 of the file; open_clip and timm: pretrained tag, or the sha256 of a folder's."""
    dim: int
    """Length of the embedding."""
    preprocessing: Preprocessing

    @property
    def fingerprint(self) -> str:
        """The same for two encoders only if they give the same embeddings; keys the caches."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderSpec:
        """The inverse of `to_dict`.

        Raises:
            TypeError, KeyError: fields are missing or unknown.
        """
        fields = dict(values)
        pixels = dict(fields.pop("preprocessing"))
        pixels["mean"], pixels["std"] = tuple(pixels["mean"]), tuple(pixels["std"])
        return cls(**fields, preprocessing=Preprocessing(**pixels))


class ImageEncoder(Protocol):
    """What turns prepared photos into embeddings."""

    spec: EncoderSpec

    def embed(self, pixels: Float32Array) -> Float32Array:
        """Embed prepared photos.

        Args:
            pixels: (N, 3, size, size), from `spec.preprocessing`.

        Returns:
            (N, dim) float32 unit vectors.
        """
        ...


def normalise(vectors: npt.NDArray[np.floating]) -> Float32Array:
    """Scale rows (N, D) to unit length; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)
