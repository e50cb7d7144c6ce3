"""Quantised transformers agree with their originals, for one photo and for many."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.towers.families import Tower
from geoloc.io import machine
from training.embed import transformer_int8
from training.embed.transformer_int8 import quantise

SIDE, WIDTH, TOKENS = 56, 64, 16
PIXELS = Preprocessing(SIDE, (0.48, 0.46, 0.41), (0.27, 0.26, 0.28), resize="clip")


def pictures(count):
    """Return prepared photos of coarse noise."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 3, 7, 7))
    return PIXELS.normalised(np.kron(coarse, np.ones((8, 8))).astype(np.uint8))


def both(folder, spec):
    """Return the encoder in a folder and its int8 form, which is written."""
    quantise(folder / "encoder.onnx", folder / "encoder.int8.onnx")
    return OnnxEncoder(spec, folder), OnnxEncoder(replace(spec, form="int8"), folder)


def kinds(file):
    return [node.op_type for node in onnx.load(file).graph.node]


@pytest.fixture
def clip(tmp_path):
    """CLIP with two layers and random weights, in the published layout."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = transformers.CLIPVisionConfig(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        image_size=SIDE, patch_size=14, projection_dim=32,
    )  # fmt: skip
    model = transformers.CLIPVisionModelWithProjection(config).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1 if value.ndim > 1 else 0.3)
    tensors = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    return tmp_path, Tower("clip", tensors, "random", PIXELS, heads=2).write(tmp_path, "clip")


def test_a_quantised_tower_agrees_with_its_original(clip):
    folder, spec = clip
    whole, small = both(folder, spec)
    cosine = (whole.embed(pictures(12)) * small.embed(pictures(12))).sum(axis=1)
    assert np.median(cosine) > 0.999
    found = kinds(folder / "encoder.int8.onnx")
    assert found.count("MatMulIntegerToFloat") == 2 * 6
    assert found.count("QuantizeLinear") == 2 * 4, "query, key and value share one"
    assert found.count("MatMul") == 2 * 2 + 1, "attention and the projection stay as they are"
    assert found.count("Conv") == 1


def test_the_answer_for_a_photo_depends_neither_on_others_nor_on_threads(clip, monkeypatch):
    folder, spec = clip
    _, small = both(folder, spec)
    together = small.embed(pictures(9))
    alone = np.concatenate([small.embed(pictures(9)[[row]]) for row in range(9)])
    assert np.abs(together - alone).max() <= 1e-5
    monkeypatch.setattr(machine, "cores", lambda: 1)
    one = OnnxEncoder(small.spec, folder)
    assert np.abs(one.embed(pictures(9)) - together).max() <= 1e-5


def network(folder, *, gain=1.0, half=False, opset=20):
    """Write a layer norm, a layer and a second norm, as torch exports them with 16 bits.

    Two channels of the first norm have a gain, and weights that are smaller by as much.
    """
    rng = np.random.default_rng(0)
    gains = np.where(np.arange(WIDTH) < 2, gain, 1.0)
    weight = rng.normal(size=(WIDTH, 3 * SIDE * SIDE // TOKENS)).T / 20.0
    arrays = {
        "shape": np.array([0, TOKENS, -1], np.int64),
        "first": weight.astype(np.float32),
        "gain": gains.astype(np.float32),
        "shift": np.zeros(WIDTH, np.float32),
        "weight": (rng.normal(size=(128, WIDTH)) / gains).astype("f2" if half else "f4"),
        "one": np.ones(128, np.float32),
        "zero": np.zeros(128, np.float32),
    }
    make = helper.make_node
    nodes = [
        make("Reshape", ["pixels", "shape"], ["patches"]),
        make("MatMul", ["patches", "first"], ["tokens"]),
        make("LayerNormalization", ["tokens", "gain", "shift"], ["normed"]),
        *([make("Cast", ["weight"], ["single"], to=TensorProto.FLOAT)] if half else []),
        make("Transpose", ["single" if half else "weight"], ["turned"], perm=[1, 0]),
        make("MatMul", ["normed", "turned"], ["hidden"]),
        make("LayerNormalization", ["hidden", "one", "zero"], ["last"]),
        make("ReduceMean", ["last", "middle"], ["embedding"], keepdims=0),
    ]
    arrays["middle"] = np.array([1], np.int64)
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["photos", 3, SIDE, SIDE])
    found = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["photos", 128])
    tensors = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "network", [given], [found], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, folder / "encoder.onnx")
    return EncoderSpec("onnx", "small", "", 128, PIXELS)


def test_weights_of_16_bits_and_turned_ones_are_quantised(tmp_path):
    whole, small = both(tmp_path, network(tmp_path, half=True))
    assert (whole.embed(pictures(4)) * small.embed(pictures(4))).sum(axis=1).min() > 0.999
    found = kinds(tmp_path / "encoder.int8.onnx")
    assert found.count("MatMulIntegerToFloat") == 2
    assert "Cast" not in found
    assert "Transpose" not in found, "only the integers are kept"


def test_a_channel_with_large_values_does_not_cost_the_others_their_precision(
    tmp_path, monkeypatch
):
    spec = network(tmp_path, gain=200.0)

    def error():
        whole, small = both(tmp_path, spec)
        return 1.0 - (whole.embed(pictures(8)) * small.embed(pictures(8))).sum(axis=1).mean()

    smoothed = error()
    monkeypatch.setattr(
        transformer_int8._Network, "_smoothed", lambda self, value, users, weights: weights
    )
    assert smoothed < error() / 2


def test_other_networks_are_refused_with_a_reason(tmp_path):
    spec = network(tmp_path, opset=17)
    with pytest.raises(ValueError, match="version 17 of ONNX"):
        both(tmp_path, spec)
    model = onnx.load(tmp_path / "encoder.onnx")
    kept = [node for node in model.graph.node if node.op_type != "MatMul"]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, tmp_path / "encoder.onnx")
    with pytest.raises(ValueError, match="no layers of tokens"):
        quantise(tmp_path / "encoder.onnx", tmp_path / "encoder.int8.onnx")
