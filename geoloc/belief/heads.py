"""What is computed from an embedding: retrieval features and a first belief over geocells."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.types import Float32Array, Int32Array


@dataclass(frozen=True, eq=False)
class Heads:
    """Linear heads on a frozen encoder, in numpy; `training.heads.fit` makes them.

    D is the encoder's dimension, K the length of a feature, A the number of active cells: those
    that any training photo speaks for. The other cells are reached through the prior alone.
    """

    mean: Float32Array
    """(D,) of the training embeddings."""
    projection: Float32Array
    """(D, K) principal components, partly whitened."""
    weight: Float32Array
    """(K, A) of the geocell classifier."""
    bias: Float32Array
    """(A,)"""
    active: Int32Array
    """(A,) rows of the cell table."""
    prior: Float32Array
    """(C,) how likely a photo is in each cell before it is seen; sums to 1."""

    def features(self, embeddings: Float32Array) -> Float32Array:
        """Unit vectors (N, K) whose dot product is the similarity used for retrieval."""
        return normalise((embeddings - self.mean) @ self.projection)

    def classify(self, features: Float32Array) -> Float32Array:
        """Belief over all cells (N, C) from features (N, K); zero for cells that are not active."""
        logits = features @ self.weight + self.bias
        belief = np.zeros((len(features), len(self.prior)), np.float32)
        belief[:, self.active] = softmax(logits)
        return belief

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write safetensors."""
        from safetensors.numpy import save

        tensors = {
            field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)
        }
        Path(path).write_bytes(save(tensors))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Heads:
        """Read what `write` wrote.

        Raises:
            BundleError: the file is missing, damaged or of another shape.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(Path(path))
            return cls(**{field.name: tensors[field.name] for field in fields(cls)})
        except (OSError, KeyError, SafetensorError) as error:
            raise BundleError(
                f"{path}: no readable heads ({error}); fetch or make the bundle again"
            ) from error


def softmax(logits: npt.NDArray[np.floating]) -> Float32Array:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def tempered(belief: Float32Array, temperature: float) -> Float32Array:
    """The belief (N, C) with its logits divided by a temperature; above 1 is less sure."""
    sharpened = belief ** np.float32(1.0 / temperature)
    return np.asarray(sharpened / sharpened.sum(axis=-1, keepdims=True), np.float32)
