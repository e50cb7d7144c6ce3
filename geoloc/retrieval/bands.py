"""`BandHeads`: features in several spaces, each trained for the distances of one band.

What tells two streets apart is noise to whoever compares regions, so near, city and region have a
projection each. In the space of the band `gps` photos are compared with encoded coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.belief.heads import Heads, softmax
from geoloc.encoders.base import normalise
from geoloc.errors import BundleError
from geoloc.types import Float32Array, Int32Array

BANDS = ("near", "city", "region")
"""Bands of distances, from a street to a region; see `training.retrieve.bands`."""


@dataclass(frozen=True, eq=False)
class BandHeads(Heads):
    """Heads whose features are blocks, of unit length each, before they are weighed.

    The first block is for the classifier. `projection` is (D, K), with the columns of all blocks
    side by side, and `weight` (size of the first block, A).
    """

    blocks: Int32Array
    """(B,) sizes of the blocks; their sum is K."""
    scale: Float32Array
    """(B,) lengths of the blocks; their squares sum to 1."""

    def features(self, embeddings: Float32Array) -> Float32Array:
        """Return unit vectors (N, K); their inner product is a weighted mean over the blocks."""
        projected = (embeddings - self.mean) @ self.projection
        parts = np.split(projected, self.edges, axis=1)
        return np.hstack(
            [normalise(part) * scale for part, scale in zip(parts, self.scale, strict=True)]
        )

    def classify(self, features: Float32Array) -> Float32Array:
        """See `Heads.classify`."""
        own = features[:, : self.blocks[0]] / self.scale[0]
        belief = np.zeros((len(features), len(self.prior)), np.float32)
        belief[:, self.active] = softmax(own @ self.weight + self.bias)
        return belief

    @property
    def edges(self) -> Int32Array:
        """(B - 1,) columns at which all blocks but the first begin."""
        return np.cumsum(self.blocks)[:-1].astype(np.int32)


def read_heads(path: Path) -> Heads:
    """Read the heads of a bundle, with bands or without.

    Raises:
        BundleError: the file is missing or damaged, lacks a tensor, or its blocks do not fit.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            banded = "blocks" in file.keys()
    except (OSError, SafetensorError):
        banded = False  # Heads.read says what is wrong
    if not banded:
        return Heads.read(path)
    heads = BandHeads.read(path)
    if len(heads.blocks) != len(heads.scale) or heads.blocks.sum() != heads.projection.shape[1]:
        raise BundleError(f"{path}: its blocks do not fit; fetch or make the bundle again")
    return heads
