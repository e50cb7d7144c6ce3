"""Static quantisation of convolutional networks, and the rounding of their weights."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.onnx import OnnxEncoder
from training.embed.rounding import MOST, Inputs, round_weights
from training.embed.static_int8 import quantise

PIXELS = Preprocessing(size=24, mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 4), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_rounding_disturbs_outputs_no_more_than_the_nearest_integers(seed, groups, outputs, inputs):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(groups, outputs, inputs)).astype(np.float32)
    mixed = rng.normal(size=(groups, inputs, inputs)) @ rng.normal(size=(groups, inputs, 500))
    second = mixed @ mixed.transpose(0, 2, 1) / 500
    least = np.full((groups, outputs), 1e-12)
    rounded = round_weights(weights, Inputs(mixed.mean(axis=2), second), least)

    def error(integers, scale):
        difference = integers * scale[:, :, None] - weights
        return ((difference @ second) * difference).sum()

    scale = np.abs(weights).max(axis=2) / MOST
    nearest = np.rint(weights / scale[:, :, None])
    assert np.abs(rounded.integers).max() <= MOST
    assert error(rounded.integers, rounded.scale) <= 1.001 * error(nearest, scale) + 1e-9


def test_a_weight_cannot_overflow_sums_of_16_bits():
    assert 2 * 255 * MOST < 2**15


@pytest.fixture
def network(tmp_path):
    """A network with a dense, a depthwise and a strided convolution, one with a dead channel."""
    rng = np.random.default_rng(0)
    layers = [("a", (8, 3, 3, 3), 2, 1), ("b", (8, 1, 5, 5), 1, 8), ("c", (16, 8, 1, 1), 1, 1)]
    nodes, tensors, last = [], [], "pixels"
    for name, shape, stride, group in layers:
        weight = (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        if name == "b":
            weight[2] = 0.0
        bias = rng.normal(size=shape[0]).astype(np.float32)
        tensors += [numpy_helper.from_array(weight, f"{name}w")]
        tensors += [numpy_helper.from_array(bias, f"{name}b")]
        pad = [shape[-1] // 2] * 4
        nodes.append(
            helper.make_node(
                "Conv", [last, f"{name}w", f"{name}b"], [name],
                strides=[stride] * 2, pads=pad, group=group,
            )
        )  # fmt: skip
        nodes.append(helper.make_node("Relu", [name], [f"{name}r"]))
        last = f"{name}r"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["embedding"]))
    side = PIXELS.size
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["photos", 3, side, side])
    found = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["photos", 16])
    graph = helper.make_graph(nodes, "network", [given], [found], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "encoder.onnx")
    return tmp_path


def test_a_quantised_network_agrees_with_its_original(network):
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (24, 3, 6, 6))
    pictures = np.kron(coarse, np.ones((1, 1, 4, 4))).astype(np.uint8)
    quantise(network / "encoder.onnx", network / "encoder.int8.onnx", PIXELS, pictures[:16])
    spec = EncoderSpec("onnx", "small", "", 16, PIXELS)
    whole = OnnxEncoder(spec, network)
    quantised = OnnxEncoder(spec, network, "encoder.int8.onnx")
    assert quantised.takes_bytes
    expected, got = whole.embed(PIXELS.normalised(pictures)), quantised.embed(pictures)
    assert (expected * got).sum(axis=1).min() >= 0.999
