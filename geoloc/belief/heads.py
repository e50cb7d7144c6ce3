"""`Heads`: retrieval features and the geocell classifier, computed from embeddings."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.types import Float32Array, Int32Array


class StoredTensors:
    """Base class of dataclasses of arrays that are stored in one safetensors file."""

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file with a tensor for each field."""
        from safetensors.numpy import save

        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in names}
        Path(path).write_bytes(save(tensors))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `write` wrote.

        Raises:
            BundleError: the file is missing or damaged, or lacks a tensor.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(Path(path))
            names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
            return cls(**{name: tensors[name] for name in names})
        except (OSError, KeyError, SafetensorError) as error:
            raise BundleError(
                f"{path}: not a readable file of tensors ({error}); fetch or make the bundle again"
            ) from error


@dataclass(frozen=True, eq=False)
class Heads(StoredTensors):
    """Linear heads on a frozen encoder, in numpy; `training.heads.fit` fits them.

    D is the encoder's dimension, K the length of a feature vector, and A the number of active
    cells, which are those with training photos. The other cells have belief from the prior only.
    """

    mean: Float32Array
    """(D,) mean of the training embeddings."""
    projection: Float32Array
    """(D, K) partly whitened principal components."""
    weight: Float32Array
    """(K, A) weights of the geocell classifier."""
    bias: Float32Array
    """(A,)"""
    active: Int32Array
    """(A,) rows of the cell table."""
    prior: Float32Array
    """(C,) the world's photo density: probability of each cell before a photo is seen."""
    shift: Float32Array
    """(C,) log odds of the prior of use over the prior of the training photos, for the votes and
    the active cells."""

    def features(self, embeddings: Float32Array) -> Float32Array:
        """Return unit vectors (N, K) whose inner products are the similarities of retrieval."""
        return normalise((embeddings - self.mean) @ self.projection)

    def classify(self, features: Float32Array) -> Float32Array:
        """Return the belief (N, C) from features (N, K); zero in cells that are not active."""
        logits = features @ self.weight + self.bias
        belief = np.zeros((len(features), len(self.prior)), np.float32)
        belief[:, self.active] = softmax(logits)
        return belief

    def shifted(self, belief: Float32Array) -> Float32Array:
        """Return beliefs (N, C) under the prior of use (label shift, Saerens et al. 2002)."""
        used = belief * np.exp(self.shift)
        return np.asarray(used / used.sum(axis=-1, keepdims=True), np.float32)


def softmax(logits: npt.NDArray[np.floating]) -> Float32Array:
    """Return the softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def tempered(belief: Float32Array, temperature: float) -> Float32Array:
    """Return a belief (N, C) with its logits divided by a temperature; above 1 it is flatter."""
    sharpened = belief ** np.float32(1.0 / temperature)
    return np.asarray(sharpened / sharpened.sum(axis=-1, keepdims=True), np.float32)
