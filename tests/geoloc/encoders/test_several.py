"""Several exported networks as one encoder."""

import json

import numpy as np
import pytest
from PIL import Image

from geoloc.encoders.base import EncoderSpec, JoinedPreprocessing, Preprocessing
from geoloc.encoders.several import SeveralEncoders, file_name, join, joined_spec
from geoloc.errors import BundleError

ONE = Preprocessing(32, (0.5,) * 3, (0.5,) * 3)
OTHER = Preprocessing(24, (0.1, 0.2, 0.3), (0.4,) * 3, "clip", "bilinear")
SPECS = [EncoderSpec("onnx", "a", "11", 4, ONE), EncoderSpec("onnx", "b", "22", 6, OTHER)]


def write_network(path, side: int, dim: int) -> None:
    """Write a network that averages each channel and multiplies."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    matrix = np.random.default_rng(dim).standard_normal((3, dim)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
         helper.make_node("Flatten", ["mean"], ["flat"]),
         helper.make_node("MatMul", ["flat", "matrix"], ["embedding"])],
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(matrix, "matrix")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    return Image.fromarray(pixels)


def test_each_network_gets_its_own_pixels(tmp_path):
    spec = joined_spec(SPECS)
    for number, each in enumerate(SPECS):
        write_network(tmp_path / file_name(number), each.preprocessing.size, each.dim)
    encoder = SeveralEncoders(spec, tmp_path)
    values = spec.preprocessing(photo())
    together = encoder.embed(np.stack([values, values]))
    alone = [
        network.embed(each.preprocessing(photo())[None])
        for network, each in zip(encoder._networks, SPECS, strict=True)
    ]
    assert together.shape == (2, 10)
    assert np.allclose(together[0], join(alone)[0], atol=1e-6)
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_spec_survives_json():
    spec = joined_spec(SPECS)
    assert EncoderSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert isinstance(spec.preprocessing, JoinedPreprocessing)
    assert spec.preprocessing.min_side is None, "one of the networks needs all pixels"
    assert joined_spec(SPECS[:1]) == SPECS[0]


def test_picture_is_that_of_the_first_network():
    pixels = joined_spec(SPECS).preprocessing
    assert np.array_equal(pixels.picture(pixels(photo())), ONE(photo()))
    assert np.array_equal(ONE.picture(ONE(photo())), ONE(photo()))


def test_other_numbers_of_networks_and_preparations_are_refused(tmp_path):
    spec = EncoderSpec("several", "a+b", "11+22", 10, ONE)
    with pytest.raises(BundleError, match="names 2 networks, but not as many preparations"):
        SeveralEncoders(spec, tmp_path)
