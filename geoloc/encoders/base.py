"""Interface of image encoders, which map upright RGB photos to unit vectors.

An `EncoderSpec` describes an encoder together with its preprocessing, so that pixels are prepared
exactly as they were when the bundle was built.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from geoloc.types import Float32Array, UInt8Array

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """Preparation of an upright RGB photo as the network's input."""

    size: int
    """Side of the square input in pixels."""
    mean: tuple[float, float, float]
    """Mean of each channel, of values in 0..1."""
    std: tuple[float, float, float]
    """Standard deviation of each channel."""
    resize: Literal["squash", "crop", "clip"] = "squash"
    """"squash": resize the whole photo to the square. "crop": crop the central square, then resize
    it fast and approximately. "clip": as CLIP was trained, resize exactly, then crop."""
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    detail_px: int | None = None
    """Short side that every photo is reduced to first. Collections differ in resolution, and a
    model that sees the difference learns collections instead of places."""

    @property
    def min_side(self) -> int | None:
        """Short side in pixels that a decoder must keep; None if it must not shrink a photo."""
        return None if self.resize == "clip" else self.detail_px or self.size

    def __call__(self, image: Image.Image) -> Float32Array:
        """Return the network's input (3, size, size) for one upright RGB photo."""
        return self.normalised(self.square(image))

    def square(self, image: Image.Image) -> UInt8Array:
        """Return the picture (3, size, size) that the network sees, before it is normalised."""
        image = self._exact(image) if self.resize == "clip" else self._approximate(image)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

    def normalised(self, pixels: UInt8Array) -> Float32Array:
        """Return the network's input for photos (..., 3, size, size) from `square`."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = pixels.astype(np.float32)
        values /= np.float32(255.0)
        values -= mean[:, None, None]
        values /= std[:, None, None]
        return values

    def to_bytes(self, values: Float32Array) -> UInt8Array:
        """Return the photos (..., 3, size, size) of which `values` are the network's input."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        grey = (values * std[:, None, None] + mean[:, None, None]) * np.float32(255.0)
        return np.asarray(np.clip(grey, 0.0, 255.0) + np.float32(0.5), np.uint8)

    def picture(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the picture (3, size, size) in an input; that of the first of several networks."""
        if values.ndim == 3:
            return values
        return values[: 3 * self.size**2].reshape(3, self.size, self.size)

    def visible_part(self, image: Image.Image) -> Image.Image:
        """Return the part of an upright photo that the network sees: all, or the central square."""
        return image if self.resize == "squash" else _central_square(image)

    def _approximate(self, image: Image.Image) -> Image.Image:
        method = _RESAMPLING[self.interpolation]
        if self.resize == "crop":
            image = _central_square(image)
        if self.detail_px is not None and min(image.size) > self.detail_px:
            scale = self.detail_px / min(image.size)
            reduced = [max(1, round(side * scale)) for side in image.size]
            image = image.resize((reduced[0], reduced[1]), method, reducing_gap=2.0)
        return image.resize((self.size, self.size), method, reducing_gap=2.0)

    def _exact(self, image: Image.Image) -> Image.Image:
        short = min(image.size)
        width, height = (self.size * side // short for side in image.size)
        return _central_square(image.resize((width, height), _RESAMPLING[self.interpolation]))


@dataclass(frozen=True)
class JoinedPreprocessing(Preprocessing):
    """Preparations of a photo for several networks; the fields are those of the first network."""

    others: tuple[Preprocessing, ...] = ()

    @property
    def each(self) -> tuple[Preprocessing, ...]:
        """The preparation for each network."""
        own = {field.name: getattr(self, field.name) for field in fields(Preprocessing)}
        return Preprocessing(**own), *self.others

    @property
    def min_side(self) -> int | None:
        """See `Preprocessing.min_side`."""
        sides = [part.min_side for part in self.each]
        known = [side for side in sides if side is not None]
        return max(known) if len(known) == len(sides) else None

    def square(self, image: Image.Image) -> UInt8Array:
        """Return the photo for all networks, one after the other, as one vector."""
        return np.concatenate([part.square(image).ravel() for part in self.each])

    def normalised(self, pixels: UInt8Array) -> Float32Array:
        """Return the inputs of all networks, one after the other, as vectors (..., values)."""
        return np.asarray(self._joined(pixels, lambda part, own: part.normalised(own)), np.float32)

    def to_bytes(self, values: Float32Array) -> UInt8Array:
        """Return the photos of which vectors (..., values) are the inputs of all networks."""
        return np.asarray(self._joined(values, lambda part, own: part.to_bytes(own)), np.uint8)

    def _joined(self, values: Any, convert: Callable[[Preprocessing, Any], Any]) -> Any:  # noqa: ANN401
        shapes = [(3, part.size, part.size) for part in self.each]
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        before = values.shape[:-1]
        return np.concatenate(
            [
                convert(part, own.reshape(*before, *shape)).reshape(*before, -1)
                for part, own, shape in zip(
                    self.each, np.split(values, ends, axis=-1), shapes, strict=True
                )
            ],
            axis=-1,
        )


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


@dataclass(frozen=True)
class EncoderSpec:
    """Description of an encoder: network, weights and preprocessing."""

    kind: str
    """A key of `geoloc.encoders.registry.ENCODERS`."""
    model: str
    """Name of the model in its library; for onnx the model that the file was exported from."""
    weights: str
    """onnx: sha256 of the file. Others: pretrained tag, path of a checkpoint file, or "" for a
    model in a folder."""
    dim: int
    """Length of the embedding."""
    preprocessing: Preprocessing
    digest: str = ""
    """Digest of the weight files on this machine; "" for onnx and for published weights, which
    `weights` identifies."""
    form: str = ""
    """"int8" for a quantised form of the network, "" for full precision."""

    @property
    def fingerprint(self) -> str:
        """Hash of all fields, the key of caches: equal only for encoders with equal embeddings."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return a dict ready for JSON; without an empty field that older programs refuse."""
        added = ("digest", "form")
        return {name: value for name, value in asdict(self).items() if value or name not in added}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderSpec:
        """Return the spec of a dict made by `to_dict`.

        Raises:
            TypeError, KeyError: a field is missing or unknown.
        """
        given = dict(values)
        return cls(**given | {"preprocessing": _preprocessing(given["preprocessing"])})


def _preprocessing(values: dict[str, Any]) -> Preprocessing:
    pixels = {**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])}
    if "others" in pixels:
        pixels["others"] = tuple(map(_preprocessing, pixels["others"]))
        return JoinedPreprocessing(**pixels)
    return Preprocessing(**pixels)


class ImageEncoder(Protocol):
    """Maps prepared photos to embeddings.

    An encoder that passes its calls on to another one holds that one as `inner`; see `innermost`.
    One with a true attribute `takes_bytes` also embeds photos before normalisation.
    """

    spec: EncoderSpec

    def embed(self, pixels: Float32Array) -> Float32Array:
        """Embed prepared photos.

        Args:
            pixels: (N, 3, size, size), from `spec.preprocessing`.

        Returns:
            (N, dim) float32 unit vectors.
        """
        ...


def innermost(encoder: ImageEncoder) -> ImageEncoder:
    """Return the encoder that computes the embeddings, without the encoders around it."""
    while (inner := getattr(encoder, "inner", None)) is not None:
        encoder = inner
    return encoder


def normalise(vectors: npt.NDArray[np.floating]) -> Float32Array:
    """Return rows (N, D) scaled to unit length; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)
