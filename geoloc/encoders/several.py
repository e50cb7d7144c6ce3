"""`SeveralEncoders`: exported networks whose embeddings are joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.encoders.base import EncoderSpec, JoinedPreprocessing
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.errors import BundleError
from geoloc.types import Float32Array

JOINT = "+"
"""Between the parts of `model` and `weights`."""


def file_name(number: int) -> str:
    """Return the name of a network's file in the bundle, counted from 0."""
    return f"encoder-{number + 1}.onnx"


def joined_spec(specs: Sequence[EncoderSpec]) -> EncoderSpec:
    """Return the spec of exported networks together; of a single one its own."""
    if len(specs) == 1:
        return specs[0]
    first, *others = (spec.preprocessing for spec in specs)
    return EncoderSpec(
        "several",
        JOINT.join(spec.model for spec in specs),
        JOINT.join(spec.weights for spec in specs),
        sum(spec.dim for spec in specs),
        JoinedPreprocessing(**vars(first), others=tuple(others)),
    )


def join(embeddings: Sequence[Float32Array]) -> Float32Array:
    """Return unit vectors (N, sum of D) of the unit vectors (N, D) of each network."""
    return np.asarray(np.hstack(embeddings) / np.sqrt(len(embeddings)), np.float32)


class SeveralEncoders:
    """Networks in the files `encoder-1.onnx`, `encoder-2.onnx` and so on of a bundle."""

    def __init__(self, spec: EncoderSpec, folder: Path | None) -> None:
        """Load the networks.

        Raises:
            BundleError: a file is missing or not an ONNX model, or the spec names other numbers of
                networks and of preparations.
            MissingExtraError: ONNX Runtime is not installed.
        """
        self.spec = spec
        weights = spec.weights.split(JOINT)
        pixels = spec.preprocessing
        if not isinstance(pixels, JoinedPreprocessing) or len(pixels.each) != len(weights):
            raise BundleError(
                f"{folder}: its encoder names {len(weights)} networks, but not as many"
                " preparations; fetch or make the bundle again"
            )
        self._networks = [
            OnnxEncoder(
                replace(spec, kind="onnx", weights=each, preprocessing=part), folder, file_name(n)
            )
            for n, (each, part) in enumerate(zip(weights, pixels.each, strict=True))
        ]

    def embed(self, pixels: Float32Array) -> Float32Array:
        """Embed prepared photos (N, values of all networks); see `ImageEncoder.embed`."""
        sides = [network.spec.preprocessing.size for network in self._networks]
        ends = np.cumsum([3 * side * side for side in sides])[:-1]
        return join(
            [
                network.embed(np.ascontiguousarray(part.reshape(-1, 3, side, side)))
                for network, part, side in zip(
                    self._networks, np.split(pixels, ends, axis=1), sides, strict=True
                )
            ]
        )
