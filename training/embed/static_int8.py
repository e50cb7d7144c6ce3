"""Static quantisation of exported convolutional networks: int8 weights and activations.

The form is the same on every CPU: weights have 7 bits (see `rounding`), activations 8. The network
takes the bytes of pictures, because normalisation is part of its first layer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.encoders.base import Preprocessing
from geoloc.types import Float32Array, UInt8Array
from training.embed.rounding import Inputs, round_weights

BATCH = 8
STATISTICS = 64
"""Photos whose activations are looked at in detail, of those that calibrate the ranges."""
POSITIONS = 100
"""Positions drawn in each activation of a photo."""

LARGEST_BIAS = 2**30
"""Limit of a bias as an integer, which has 32 bits."""

Weights = dict[str, np.ndarray[Any, Any]]


def quantise(source: Path, target: Path, pixels: Preprocessing, pictures: UInt8Array) -> None:
    """Write the int8 form of an exported convolutional network.

    Args:
        source: the file of the network, an `encoder.onnx`.
        target: the file to write.
        pixels: preparation of photos for it.
        pictures: (N, 3, size, size) prepared photos before normalisation, that calibrate it.

    Raises:
        ValueError: the network does not begin with a convolution.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        plain, quantised = Path(scratch) / "plain.onnx", Path(scratch) / "int8.onnx"
        quant_pre_process(source, plain, skip_symbolic_shape=True)
        model = onnx.load(plain)
        _take_bytes(model, pixels)
        onnx.save(model, plain)
        quantize_static(
            plain,
            quantised,
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        result = onnx.load(quantised)
        _round_convolutions(result, model, pictures[:STATISTICS])
        _skip_first_quantisation(result)
        onnx.save(result, target)


def _centred(pictures: UInt8Array) -> Float32Array:
    """Return bytes as the values that the first layer takes: -0.5..0.5."""
    return (pictures.astype(np.float32) - np.float32(128.0)) / np.float32(255.0)


class _Pictures:
    """Calibration data in the form that ONNX Runtime reads."""

    def __init__(self, pictures: UInt8Array) -> None:
        self._rest: Iterator[UInt8Array] = iter(
            np.array_split(pictures, -(-len(pictures) // BATCH))
        )

    def get_next(self) -> dict[str, Float32Array] | None:
        part = next(self._rest, None)
        return None if part is None else {"pixels": _centred(part)}


def _initialisers(model: Any) -> dict[str, Any]:  # noqa: ANN401
    return {tensor.name: tensor for tensor in model.graph.initializer}


def _convolutions(model: Any) -> list[Any]:  # noqa: ANN401
    return [node for node in model.graph.node if node.op_type == "Conv"]


def _set(tensors: dict[str, Any], name: str, values: np.ndarray[Any, Any]) -> None:
    from onnx import numpy_helper

    tensors[name].CopyFrom(numpy_helper.from_array(values, name))


def _take_bytes(model: Any, pixels: Preprocessing) -> None:  # noqa: ANN401
    """Move normalisation into the first layer, which then takes values of `_centred`.

    Values at zero padding differ from those of the original by the distance of the mean from 128.
    """
    from onnx import numpy_helper

    users = [node for node in model.graph.node if "pixels" in node.input]
    if [node.op_type for node in users] != ["Conv"] or len(users[0].input) != 3:
        raise ValueError("the network does not begin with one convolution with a bias")
    tensors = _initialisers(model)
    _, weight, bias = users[0].input
    values = numpy_helper.to_array(tensors[weight]).astype(np.float64)
    std, mean = np.asarray(pixels.std), np.asarray(pixels.mean)
    scaled = values / std[:, None, None]
    constant = (scaled * (128.0 / 255.0 - mean)[:, None, None]).sum(axis=(1, 2, 3))
    shifted = numpy_helper.to_array(tensors[bias]) + constant
    _set(tensors, weight, scaled.astype(np.float32))
    _set(tensors, bias, shifted.astype(np.float32))


def _round_convolutions(result: Any, model: Any, pictures: UInt8Array) -> None:  # noqa: ANN401
    """Replace the weights and biases of a quantised network by better rounded ones."""
    from onnx import numpy_helper

    weights = {name: numpy_helper.to_array(each) for name, each in _initialisers(model).items()}
    moments = _moments(model, weights, pictures)
    tensors = _initialisers(result)
    for node in _convolutions(model):
        activation, weight, bias = node.input
        whole = weights[weight]
        inputs = moments[weight]
        grouped = whole.reshape(len(inputs.mean), -1, inputs.mean.shape[1])
        unit = float(numpy_helper.to_array(tensors[f"{activation}_scale"]).item())
        least = np.abs(weights[bias]).reshape(grouped.shape[:2]) / (unit * LARGEST_BIAS) + 1e-12
        rounded = round_weights(grouped, inputs, least)
        scale = rounded.scale.ravel().astype(np.float32)
        of_bias = (scale * unit).astype(np.float32)
        corrected = weights[bias].astype(np.float64) + rounded.shift.ravel()
        _set(tensors, f"{weight}_quantized", rounded.integers.reshape(whole.shape).astype(np.int8))
        _set(tensors, f"{weight}_scale", scale)
        _set(tensors, f"{bias}_quantized", np.rint(corrected / of_bias).astype(np.int32))
        _set(tensors, f"{bias}_quantized_scale", of_bias)


def _moments(model: Any, weights: Weights, pictures: UInt8Array) -> dict[str, Inputs]:  # noqa: ANN401
    """Return the moments of the inputs of all convolutions, by the names of their weights."""
    import onnxruntime
    from onnx import TensorProto, helper

    nodes = _convolutions(model)
    names = sorted({node.input[0] for node in nodes} - {"pixels"})
    exposed = type(model).FromString(model.SerializeToString())
    exposed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(exposed.SerializeToString())
    rng = np.random.default_rng(0)
    sums: dict[str, list[Any]] = {}
    for part in np.array_split(pictures, -(-len(pictures) // BATCH)):
        values = dict(zip(names, session.run(names, {"pixels": _centred(part)}), strict=True))
        values["pixels"] = _centred(part)
        for node in nodes:
            patches = _patches(values[node.input[0]], node, weights[node.input[1]], rng)
            sums.setdefault(node.input[1], []).append(_summed(patches))
    return {name: _mean_of(parts) for name, parts in sums.items()}


def _summed(patches: Float32Array) -> tuple[Any, Any, int]:
    return patches.sum(axis=2), patches @ patches.transpose(0, 2, 1), patches.shape[2]


def _mean_of(parts: Sequence[tuple[Any, Any, int]]) -> Inputs:
    count = sum(number for _, _, number in parts)
    first, second = (np.sum([part[i] for part in parts], axis=0, dtype=float) for i in (0, 1))
    return Inputs(first / count, second / count)


def _patches(
    activation: Float32Array,
    node: Any,  # noqa: ANN401
    weight: np.ndarray[Any, Any],
    rng: np.random.Generator,
) -> Float32Array:
    """Return what a convolution multiplies with its weights (G, K, S), at S drawn positions."""
    attributes = {each.name: list(each.ints) for each in node.attribute}
    (down, right), side = attributes.get("strides", [1, 1]), weight.shape[-1]
    top, left, bottom, end = attributes.get("pads", [0, 0, 0, 0])
    padded = np.pad(activation, ((0, 0), (0, 0), (top, bottom), (left, end)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))
    windows = windows[:, :, ::down, ::right]
    count = min(POSITIONS, windows.shape[2] * windows.shape[3])
    chosen = rng.choice(windows.shape[2] * windows.shape[3], count, replace=False)
    drawn = windows[:, :, chosen // windows.shape[3], chosen % windows.shape[3]]
    # (N, channels, S, side, side) -> (groups, K, N S)
    groups = activation.shape[1] // weight.shape[1]
    moved = drawn.transpose(1, 3, 4, 0, 2)
    return np.ascontiguousarray(moved).reshape(groups, -1, len(activation) * count)


def _skip_first_quantisation(model: Any) -> None:  # noqa: ANN401
    """Let a quantised network take bytes: they are its quantised input."""
    from onnx import TensorProto

    (first,) = (node for node in model.graph.node if "pixels" in node.input)
    tensors = _initialisers(model)
    for node in model.graph.node:
        for number, name in enumerate(node.input):
            if name == first.output[0]:
                node.input[number] = "pixels"
    _set(tensors, first.input[1], np.asarray(1.0 / 255.0, np.float32))
    _set(tensors, first.input[2], np.asarray(128, np.uint8))
    model.graph.node.remove(first)
    (given,) = (each for each in model.graph.input if each.name == "pixels")
    given.type.tensor_type.elem_type = TensorProto.UINT8
