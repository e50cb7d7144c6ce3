"""Published families of image towers, each written as a network from its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.towers.graph import NETWORK, WEIGHTS, Graph
from geoloc.encoders.towers.layouts import canonical
from geoloc.encoders.towers.pooling import attention_pool, class_token, salad
from geoloc.encoders.towers.positions import dinov3_rotary, perception_rotary, resampled
from geoloc.encoders.towers.vit import Activation, VisionTransformer, activated
from geoloc.errors import BundleError
from geoloc.io.digests import content_digest
from geoloc.io.tensors import Tensors

_PERCEPTION_POOL_HEADS = 8


@dataclass(frozen=True)
class Family:
    """What cannot be read from the tensors of a family."""

    layout: str
    """A key of `layouts.LAYOUTS`."""
    activation: Activation = "gelu"
    eps: float = 1e-5
    head: int = 64
    """Length of a head; more heads for a wider tower."""


FAMILIES = {
    "clip": Family("clip", "quick_gelu"),
    "clip-gelu": Family("clip"),
    "siglip": Family("siglip", "gelu_tanh", 1e-6, head=72),
    "siglip-timm": Family("timm", "gelu_tanh", 1e-6, head=72),
    "dinov2": Family("dino", eps=1e-6),
    "dinov3": Family("dino"),
    "megaloc": Family("timm", eps=1e-6),
    "perception": Family("timm"),
}
"""Families by the name that catalogue entries give."""


@dataclass(frozen=True, eq=False)
class Tower:
    """An image tower to write: tensors, family and the layers that follow it."""

    family: str
    tensors: Tensors
    """Of the file, in the published names."""
    name: str
    """Of the file, for messages."""
    pixels: Preprocessing
    after: tuple[tuple[Any, Any], ...] = ()
    """Linear layers (weight, bias) on the embedding, with a ReLU between them."""
    heads: int | None = None
    """Number of heads, if a head has another length than in its family."""

    def write(self, folder: Path, model: str) -> EncoderSpec:
        """Write `encoder.onnx` and `encoder.data`; return the spec of the encoder.

        Args:
            folder: to write to.
            model: name of the model, for the spec.

        Raises:
            BundleError: the tensors are not those of the family.
            MissingExtraError: the package onnx is not installed.
        """
        with Graph(folder) as graph:
            try:
                value, dim = self._network(graph)
            except (KeyError, ValueError) as error:
                raise BundleError(
                    f"{self.name}: not a tower of the family {self.family} ({error}); it may be of"
                    " another version: update planet-geoloc"
                ) from error
            graph.save(value, dim, self.pixels.size)
        digest = content_digest([folder / NETWORK, folder / WEIGHTS])
        return EncoderSpec("onnx", model, digest, dim, self.pixels)

    def _network(self, graph: Graph) -> tuple[str, int]:
        """Add the whole network; return its output and the length of an embedding."""
        tower = self._tower()
        value, dim = self._pooled(graph, tower, tower.tokens(graph))
        for number, (weight, bias) in enumerate(self.after):
            if number:
                value = activated(graph, value, "relu")
            value, dim = graph.linear(value, weight, bias), len(weight)
        return value, dim

    def _tower(self) -> VisionTransformer:
        family, size = FAMILIES[self.family], self.pixels.size
        tensors = canonical(self.tensors, family.layout, self.name)
        width, patch = tensors["patch.weight"].shape[0], tensors["patch.weight"].shape[-1]
        heads, side = self.heads or width // family.head, size // patch
        tower = VisionTransformer(tensors, size, heads, family.eps, family.activation)
        if self.family == "dinov3":
            return replace(tower, rotary=dinov3_rotary(side, width // heads))
        if self.family == "perception":
            return replace(tower, rotary=perception_rotary(side, width // heads))
        positions = tensors["positions"]
        first = int("class" in tensors)
        if self.family in ("dinov2", "megaloc"):
            grid = resampled(np.asarray(positions[first:], np.float32), side)
            tensors["positions"] = np.concatenate([positions[:first], grid])
        elif len(positions) != first + side * side:
            raise ValueError(f"{len(positions)} positions for {side} by {side} patches")
        return tower

    def _pooled(self, graph: Graph, tower: VisionTransformer, tokens: str) -> tuple[str, int]:
        """Add the pooling of the family; return the embedding and its length."""
        if self.family in ("siglip", "siglip-timm", "perception"):
            own = _PERCEPTION_POOL_HEADS if self.family == "perception" else tower.heads
            value = attention_pool(graph, tower, tokens, own)
            if "head.weight" not in tower.tensors:
                return value, tower.width
            return tower.linear(graph, value, "head"), len(tower.tensors["head.weight"])
        if self.family == "megaloc":
            aggregator = _after(self.tensors, "aggregator.")
            patches = (tower.size // tower.tensors["patch.weight"].shape[-1]) ** 2
            value = salad(graph, tokens, patches, aggregator)
            return value, len(aggregator["linear.weight"])
        value = class_token(graph, tokens)
        projection = _ending(self.tensors, "visual_projection.weight")
        if projection is None:
            return value, tower.width
        return graph.linear(value, projection), len(projection)


def _after(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors below a prefix, which may itself be below others."""
    return {key.rpartition(prefix)[2]: value for key, value in tensors.items() if prefix in key}


def _ending(tensors: Mapping[str, Any], ending: str) -> Any:  # noqa: ANN401
    """Return the tensor whose name ends so; None if there is none."""
    return next((value for key, value in tensors.items() if key.endswith(ending)), None)
