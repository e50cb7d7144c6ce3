"""Quantisation of exported transformers: int8 weights, and activations rounded token by token.

Each token has a range of its own, taken from its largest value when it is there. So nothing is
calibrated, and the answer for a photo does not depend on the others in a batch. Channels with large
values would cost the others their precision: the scale of a layer norm is divided by what the
weights after it are multiplied with, as in SmoothQuant (Xiao et al. 2023), with the ranges that
follow from its gain and shift.

The first layer, attention and what follows the last layer norm stay in full precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.types import Float32Array
from training.embed.rounding import MOST, SHARES

LEAST_SIDE = 32
"""Matrices of fewer rows or columns take no time, and stay as they are."""

OLDEST_OPSET = 18
"""Version of ONNX from which reductions take their axes as an input."""

LARGEST_BYTES = 2**31 - 2**20
"""Limit of an ONNX file."""

SPREADS = 3.0
"""Standard deviations after a layer norm that count as its range."""

_STEP, _MIDDLE, _TINY, _LAST = "int8.step", "int8.middle", "int8.tiny", "int8.last"
"""Names of the constants that all layers share."""

Array = np.ndarray[Any, Any]


def quantise(source: Path, target: Path) -> None:
    """Write the int8 form of an exported transformer.

    Args:
        source: the file of the network, an `encoder.onnx`; its weights may be in a file beside it.
        target: the file to write, with all weights in it.

    Raises:
        ValueError: the network has no products of tokens with weights, is written in an old version
            of ONNX, or is too large for one file.
    """
    import onnx

    network = _Network(onnx.load(source, load_external_data=False), source.parent)
    layers = network.layers()
    if not layers:
        raise ValueError("it has no layers of tokens")
    if network.opset < OLDEST_OPSET:
        raise ValueError(f"it is written in version {network.opset} of ONNX")
    network.share_constants()
    for value, users in layers.items():
        network.quantise(value, users)
    model = network.finished()
    if sum(len(each.raw_data) for each in model.graph.initializer) > LARGEST_BYTES:
        raise ValueError("its int8 form is larger than 2 GB")
    onnx.save(model, target)


class _Network:
    """A network whose matrix products are replaced one by one."""

    def __init__(self, model: Any, folder: Path) -> None:  # noqa: ANN401
        """Take a model; external weights are beside it, and are read when they are needed."""
        self._model, self._folder = model, folder
        self._tensors = {each.name: each for each in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._instead: dict[str, list[Any]] = {}
        self.opset = max(each.version for each in model.opset_import if not each.domain)

    def layers(self) -> dict[str, list[Any]]:
        """Return the products of tokens with large constant matrices, by the tokens' name."""
        nodes = list(self._model.graph.node)
        norms = [at for at, node in enumerate(nodes) if node.op_type == "LayerNormalization"]
        found: dict[str, list[Any]] = {}
        for node in nodes[: norms[-1] if norms else 0]:
            plain = node.op_type == "MatMul" or _is_plain_gemm(node)
            if plain and self._is_matrix(node.input[1]):
                found.setdefault(node.input[0], []).append(node)
        return found

    def share_constants(self) -> None:
        """Add the constants of all layers."""
        self._add(_STEP, np.float32(1.0 / 127.0))
        self._add(_MIDDLE, np.uint8(128))
        self._add(_TINY, np.float32(1e-12))
        self._add(_LAST, np.array([-1], np.int64))

    def quantise(self, value: str, users: Sequence[Any]) -> None:
        """Replace the products of one value by products of integers."""
        weights = [self._weight(node) for node in users]
        weights = self._smoothed(value, users, weights)
        low, high, below, largest, share, whole = (
            f"{value}.{name}" for name in ("low", "high", "below", "largest", "share", "whole")
        )
        rounding = [
            self._node("ReduceMax", [value, _LAST], high, keepdims=1),
            self._node("ReduceMin", [value, _LAST], low, keepdims=1),
            self._node("Neg", [low], below),
            self._node("Max", [high, below, _TINY], largest),
            self._node("Div", [value, largest], share),
            self._node("QuantizeLinear", [share, _STEP, _MIDDLE], whole),
        ]
        for node, weight in zip(users, weights, strict=True):
            name = node.output[0]
            product, sum_ = f"{name}.product", f"{name}.sum" if node.input[2:] else name
            integers, scale = _rounded(weight)
            self._add(f"{name}.integers", integers)
            self._add(f"{name}.scale", scale)
            inputs = [whole, f"{name}.integers", _STEP, f"{name}.scale", _MIDDLE]
            self._instead[name] = [
                *rounding,
                self._node("MatMulIntegerToFloat", inputs, product, domain="com.microsoft"),
                self._node("Mul", [product, largest], sum_),
                *([self._node("Add", [sum_, node.input[2]], name)] if node.input[2:] else []),
            ]
            rounding = []

    def finished(self) -> Any:  # noqa: ANN401
        """Return the model with the new nodes, without what is no longer used."""
        from onnx import external_data_helper, helper

        graph = self._model.graph
        nodes = [new for node in graph.node for new in self._instead.get(node.output[0], [node])]
        used = {each.name for each in graph.output}
        kept = []
        for node in reversed(nodes):
            if used.intersection(node.output):
                used.update(node.input)
                kept.append(node)
        del graph.node[:], graph.initializer[:]
        graph.node.extend(reversed(kept))
        for name, tensor in self._tensors.items():
            if name not in used:
                continue
            if external_data_helper.uses_external_data(tensor):
                external_data_helper.load_external_data_for_tensor(tensor, str(self._folder))
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
            graph.initializer.append(tensor)
        if all(each.domain != "com.microsoft" for each in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        return self._model

    def _smoothed(
        self, value: str, users: Sequence[Any], weights: list[Float32Array]
    ) -> list[Float32Array]:
        """Divide a layer norm by scales of its channels, and return the weights times these."""
        norm, readers = self._makers.get(value), self._readers(value)
        while readers == len(users) and norm is not None and _keeps_channels(norm):
            readers += self._readers(norm.input[0]) - 1
            norm = self._makers.get(norm.input[0])
        if norm is None or norm.op_type != "LayerNormalization" or readers != len(users):
            return weights
        if len(norm.input) < 3 or not all(map(self._is_constant, norm.input[1:3])):
            return weights
        gain, shift = (self._constant(name) for name in norm.input[1:3])
        largest = np.max([np.abs(each).max(axis=1) for each in weights], axis=0)
        values = np.abs(shift) + SPREADS * np.abs(gain)
        scale = np.sqrt(np.maximum(values, 1e-6) / np.maximum(largest, 1e-6)).astype(np.float32)
        for number, changed in ((1, gain / scale), (2, shift / scale)):
            norm.input[number] = f"{value}.smoothed{number}"
            self._add(norm.input[number], np.asarray(changed, np.float32))
        return [each * scale[:, None] for each in weights]

    def _readers(self, value: str) -> int:
        return sum(list(node.input).count(value) for node in self._model.graph.node)

    def _weight(self, node: Any) -> Float32Array:  # noqa: ANN401
        """Return the matrix (K, N) of a layer."""
        weight = self._constant(node.input[1])
        turned = node.op_type == "Gemm" and _attributes(node).get("transB", 0)
        return np.ascontiguousarray(weight.T) if turned else weight

    def _is_matrix(self, name: str) -> bool:
        return self._is_constant(name) and (
            len(shape := self._constant_shape(name)) == 2 and min(shape) >= LEAST_SIDE
        )

    def _is_constant(self, name: str) -> bool:
        maker = self._makers.get(name)
        if maker is not None and maker.op_type in ("Cast", "Transpose"):
            return self._is_constant(maker.input[0])
        return name in self._tensors

    def _constant_shape(self, name: str) -> tuple[int, ...]:
        while (maker := self._makers.get(name)) is not None:
            name = maker.input[0]
        return tuple(self._tensors[name].dims)

    def _constant(self, name: str) -> Float32Array:
        """Return a constant, which may be stored in half precision or transposed."""
        from onnx import numpy_helper

        maker = self._makers.get(name)
        if maker is None:
            stored = numpy_helper.to_array(self._tensors[name], str(self._folder))
            return np.asarray(stored, np.float32)
        inner = self._constant(maker.input[0])
        return inner if maker.op_type == "Cast" else np.ascontiguousarray(inner.T)

    def _add(self, name: str, array: Array | np.generic) -> None:
        from onnx import numpy_helper

        self._tensors[name] = numpy_helper.from_array(np.asarray(array), name)

    @staticmethod
    def _node(kind: str, inputs: list[str], output: str, **options: Any) -> Any:  # noqa: ANN401
        from onnx import helper

        return helper.make_node(kind, inputs, [output], name=f"{kind} of {output}", **options)


def _attributes(node: Any) -> dict[str, Any]:  # noqa: ANN401
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _is_plain_gemm(node: Any) -> bool:  # noqa: ANN401
    """Return whether a node adds a bias to a product, without other factors."""
    if node.op_type != "Gemm":
        return False
    given = {"alpha": 1.0, "beta": 1.0, "transA": 0} | _attributes(node)
    return bool((given["alpha"], given["beta"], given["transA"]) == (1.0, 1.0, 0))


def _keeps_channels(node: Any) -> bool:  # noqa: ANN401
    """Return whether a node turns tokens without moving their channels."""
    if node.op_type != "Transpose":
        return False
    order = _attributes(node)["perm"]
    return bool(order[-1] == len(order) - 1)


def _rounded(weight: Float32Array) -> tuple[Array, Float32Array]:
    """Return integers (K, N) of weights, and the scale (N,) of each output with the least error."""
    largest = np.maximum(np.abs(weight).max(axis=0), 1e-12)
    best: tuple[Array, Float32Array, Array] | None = None
    for share in SHARES:
        scale = (share * largest / MOST).astype(np.float32)
        integers = np.clip(np.rint(weight / scale), -MOST, MOST)
        error = ((integers * scale - weight) ** 2).sum(axis=0)
        if best is None:
            best = integers, scale, error
        else:
            better = error < best[2]
            best[0][:, better], best[1][better] = integers[:, better], scale[better]
            best[2][better] = error[better]
    assert best is not None
    return best[0].astype(np.int8), best[1]
