"""Image encoders: upright RGB photos in, unit vectors out.

An encoder is described by an `EncoderSpec`, which carries its preprocessing, so that pixels are
prepared at answering time exactly as they were when the bundle was made.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from geoloc.errors import BundleError, MissingExtraError

FloatArray = npt.NDArray[np.float32]

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

    def __call__(self, image: Image.Image) -> FloatArray:
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

    def embed(self, pixels: FloatArray) -> FloatArray:
        """Embed prepared photos.

        Args:
            pixels: (N, 3, size, size), from `spec.preprocessing`.

        Returns:
            (N, dim) float32 unit vectors.
        """
        ...


def normalise(vectors: npt.NDArray[np.floating]) -> FloatArray:
    """Scale rows (N, D) to unit length; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


ROWS = 4
"""Photos in one run of ONNX Runtime: what lies between layers stays in a CPU's cache, which is 5 %
quicker than 32 for a small network and 25 % for ViT-L/14."""


class OnnxEncoder:
    """An exported network in ONNX Runtime: the way to answer on a CPU."""

    def __init__(self, spec: EncoderSpec, folder: Path | None) -> None:
        """Load `encoder.onnx` from a bundle's folder.

        Raises:
            BundleError: the file is missing or no ONNX model.
            MissingExtraError: ONNX Runtime is not installed.
        """
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it reports what it runs
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "cpu") from error
        path = (folder or Path()) / "encoder.onnx"
        self.spec = spec
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"{path}: not a usable ONNX encoder ({reason}); fetch or make the bundle again"
            ) from error

    def embed(self, pixels: FloatArray) -> FloatArray:
        """See `ImageEncoder.embed`."""
        parts = [pixels[at : at + ROWS] for at in range(0, max(1, len(pixels)), ROWS)]
        return normalise(
            np.concatenate([self._session.run(None, {"pixels": part})[0] for part in parts])
        )


def _open_clip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.torch_encoder import OpenClipEncoder

    return OpenClipEncoder(spec)


def _open_clip_tokens(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.torch_encoder import OpenClipTokensEncoder

    return OpenClipTokensEncoder(spec)


def _timm(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.torch_encoder import TimmEncoder

    return TimmEncoder(spec)


def _geoclip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.clip_encoder import GeoClipEncoder

    return GeoClipEncoder(spec, folder)


def _hf_clip(spec: EncoderSpec, folder: Path | None) -> ImageEncoder:
    from geoloc.clip_encoder import HubClipEncoder

    return HubClipEncoder(spec)


ENCODERS: dict[str, Callable[[EncoderSpec, Path | None], ImageEncoder]] = {
    "onnx": OnnxEncoder,
    "open_clip": _open_clip,
    "open_clip_tokens": _open_clip_tokens,
    "timm": _timm,
    "geoclip": _geoclip,
    "hf_clip": _hf_clip,
}
"""Encoder kinds; a new kind is a new entry."""


def build_encoder(spec: EncoderSpec, folder: Path | None = None) -> ImageEncoder:
    """Load the encoder a spec describes.

    Args:
        spec: from a bundle, or made by `geoloc.torch_encoder.describe`.
        folder: the bundle's folder, for encoders whose weights travel in it.

    Raises:
        BundleError: the weights are missing or damaged, or the kind is unknown.
        MissingExtraError: the library is not installed.
    """
    if spec.kind not in ENCODERS:
        raise BundleError(
            f"encoder kind {spec.kind!r} is unknown (known: {', '.join(ENCODERS)});"
            " the bundle needs a newer planet-geoloc"
        )
    return ENCODERS[spec.kind](spec, folder)


def embed_images(encoder: ImageEncoder, images: Sequence[Image.Image]) -> FloatArray:
    """Prepare and embed upright RGB photos in one batch; returns (N, dim)."""
    if not images:
        return np.empty((0, encoder.spec.dim), np.float32)
    return encoder.embed(np.stack([encoder.spec.preprocessing(image) for image in images]))
