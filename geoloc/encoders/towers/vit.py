"""`VisionTransformer`: the tensors of an image tower, and its network up to the last tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from geoloc.encoders.towers.graph import Graph
from geoloc.encoders.towers.positions import Rotary
from geoloc.io.tensors import Tensors

Array = npt.NDArray[Any]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu"]


@dataclass(frozen=True, eq=False)
class VisionTransformer:
    """A tower in canonical names, which are timm's, with `q`, `k`, `v` instead of `qkv`."""

    tensors: Tensors
    """patch.weight, class, registers, positions, norm_pre.*, blocks.N.*, norm.*; see `layouts`."""
    size: int
    """Side of the input in pixels."""
    heads: int
    eps: float = 1e-5
    """Of the layer norms."""
    activation: Activation = "gelu"
    rotary: Rotary | None = None
    """Positions that are applied in the attention, to patches."""

    @property
    def width(self) -> int:
        """Length of the tokens."""
        return int(self.tensors["patch.weight"].shape[0])

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches: class token and registers."""
        return sum(
            self.tensors[name].reshape(-1, self.width).shape[0]
            for name in ("class", "registers")
            if name in self.tensors
        )

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len({name.split(".")[1] for name in self.tensors if name.startswith("blocks.")})

    def tokens(self, graph: Graph) -> str:
        """Add the network from pixels to the tokens (N, T, width) after the last norm."""
        value = self._embedded(graph)
        for number in range(self.depth):
            value = self._block(graph, value, f"blocks.{number}.")
        return self.normed(graph, value, "norm.")

    def normed(self, graph: Graph, value: str, name: str) -> str:
        """Add a layer norm; none if the tower lacks it."""
        if f"{name}weight" not in self.tensors:
            return value
        scale, shift = self.tensors[f"{name}weight"], self.tensors[f"{name}bias"]
        return graph.norm(value, scale, shift, self.eps)

    def linear(self, graph: Graph, value: str, name: str) -> str:
        """Add a linear layer of the tower."""
        return graph.linear(value, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"))

    def mlp(self, graph: Graph, value: str, name: str) -> str:
        """Add the two layers `fc1` and `fc2`."""
        hidden = activated(graph, self.linear(graph, value, f"{name}fc1"), self.activation)
        return self.linear(graph, hidden, f"{name}fc2")

    def _embedded(self, graph: Graph) -> str:
        """Add patches, class token, registers and learned positions."""
        weight = self.tensors["patch.weight"]
        patch = weight.shape[-1]
        inputs = [weight, *([self.tensors["patch.bias"]] if "patch.bias" in self.tensors else [])]
        value = graph.op("Conv", "pixels", *inputs, strides=[patch, patch])
        value = graph.op("Transpose", graph.reshape(value, 0, 0, -1), perm=[0, 2, 1])
        positions = self.tensors.get("positions")
        shift = 0 if positions is None else len(positions) - (self.size // patch) ** 2
        if positions is not None:
            value = graph.op("Add", value, positions[shift:][None])
        first = []
        if "class" in self.tensors:
            token = self.tensors["class"].reshape(1, 1, -1)
            if positions is not None and shift:
                token = token + positions[None, :1]
            first.append(token)
        if "registers" in self.tensors:
            first.append(self.tensors["registers"].reshape(1, -1, self.width))
        if first:
            tokens = np.concatenate(first, axis=1)
            photos = graph.op("Slice", graph.op("Shape", value), *_integers([0], [1]))
            shape = graph.op("Concat", photos, *_integers([1, 1]), axis=0)
            value = graph.op("Concat", graph.op("Expand", tokens, shape), value, axis=1)
        return self.normed(graph, value, "norm_pre.")

    def _block(self, graph: Graph, value: str, name: str) -> str:
        """Add attention and MLP, each with its norm, layer scale and residual."""
        inner = self._attention(graph, self.normed(graph, value, f"{name}norm1."), f"{name}attn.")
        value = graph.op("Add", value, self._scaled(graph, inner, f"{name}ls1"))
        inner = self.mlp(graph, self.normed(graph, value, f"{name}norm2."), f"{name}mlp.")
        return graph.op("Add", value, self._scaled(graph, inner, f"{name}ls2"))

    def _scaled(self, graph: Graph, value: str, name: str) -> str:
        scale = self.tensors.get(name)
        return value if scale is None else graph.op("Mul", value, scale)

    def _attention(self, graph: Graph, value: str, name: str) -> str:
        query, key, content = (self.linear(graph, value, f"{name}{part}") for part in "qkv")
        query, key = (self._turned(graph, split(graph, part, self.heads)) for part in (query, key))
        mixed = attend(graph, query, key, split(graph, content, self.heads), self.width)
        return self.linear(graph, mixed, f"{name}proj")

    def _turned(self, graph: Graph, value: str) -> str:
        """Turn the patches of queries or keys (N, heads, T, H) by their positions."""
        if self.rotary is None:
            return value
        # rows without a turn stand for the class token and the registers
        still = np.zeros((self.prefix, self.rotary.cos.shape[1]), np.float32)
        cos, sin = np.concatenate([still + 1, self.rotary.cos]), np.vstack([still, self.rotary.sin])
        quarter = graph.op("MatMul", value, self.rotary.turn)
        return graph.op("Add", graph.op("Mul", value, cos), graph.op("Mul", quarter, sin))


def split(graph: Graph, value: str, heads: int) -> str:
    """Return a value (N, T, D) as (N, heads, T, D / heads)."""
    return graph.op("Transpose", graph.reshape(value, 0, 0, heads, -1), perm=[0, 2, 1, 3])


def attend(graph: Graph, query: str, key: str, content: str, width: int) -> str:
    """Return the attention (N, T, width) of split queries over split keys and values."""
    score = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 1, 3, 2]))
    head = graph.op("Shape", query, start=3, end=4)
    root = graph.op("Sqrt", graph.op("Cast", head, to=1))
    weight = graph.op("Softmax", graph.op("Div", score, root), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", weight, content), perm=[0, 2, 1, 3])
    return graph.reshape(mixed, 0, 0, width)


def activated(graph: Graph, value: str, activation: Activation) -> str:
    """Return a value after an activation."""
    if activation == "relu":
        return graph.op("Relu", value)
    if activation == "quick_gelu":
        share = graph.op("Sigmoid", graph.op("Mul", value, np.array([1.702], np.float32)))
        return graph.op("Mul", value, share)
    return graph.op("Gelu", value, approximate="tanh" if activation == "gelu_tanh" else "none")


def _integers(*values: list[int]) -> list[Array]:
    return [np.array(each, np.int64) for each in values]
