"""The int8 form of a new encoder: written where answers agree, else left out with a reason."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from geoloc.encoders.base import EncoderSpec
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.errors import PhotoError
from geoloc.guess import Exif
from geoloc.io.digests import sha256
from geoloc.photos.decode import Photo
from tests.training.embed import test_static_int8
from training.embed import forms
from training.embed.encoders import LoadedEncoder
from training.embed.forms import HeldOutPhotos

PIXELS = test_static_int8.PIXELS
COUNT = 150


network = test_static_int8.network
"""A network of three convolutions, in a folder."""


@pytest.fixture
def loaded(network):
    spec = EncoderSpec("onnx", "small", sha256(network / "encoder.onnx"), 16, PIXELS)
    return LoadedEncoder(OnnxEncoder(spec, network), spec, network / "encoder.onnx")


def products(folder):
    """Return a network of matrix products, as an encoder."""
    square = numpy_helper.from_array(np.eye(24, dtype=np.float32), "s")
    nodes = [helper.make_node("MatMul", [f"x{n}", "s"], [f"x{n + 1}"]) for n in range(4)]
    given = helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["photos", 3, 24, 24])
    found = helper.make_tensor_value_info("x4", TensorProto.FLOAT, ["photos", 3, 24, 24])
    graph = helper.make_graph(nodes, "network", [given], [found], [square])
    file = folder / "encoder.onnx"
    onnx.save(helper.make_model(graph), file)
    spec = EncoderSpec("onnx", "small", sha256(file), 8, PIXELS)
    return LoadedEncoder(None, spec, file)


def with_int8(loaded, photos, cache):
    """Return the encoder, and the line about it."""
    lines = []
    found = forms.with_int8(loaded, photos, cache, lines.append)
    return found, "\n".join(lines)


def load(row, min_side):
    if row % 7 == 3:
        raise PhotoError(f"{row}: unreadable")
    coarse = np.random.default_rng(row).integers(0, 256, (6, 6, 3))
    image = Image.fromarray(np.kron(coarse, np.ones((5, 5, 1))).astype(np.uint8))
    return Photo(str(row), image, Exif(), "")


def by_embedding(rows, embeddings):
    """Answer with coordinates that move as the embedding does."""
    return 40.0 * embeddings[:, :2]


PHOTOS = HeldOutPhotos(np.zeros((COUNT, 2)), load, by_embedding)


def test_the_form_of_a_convolutional_network_is_kept(loaded, tmp_path):
    found, line = with_int8(loaded, PHOTOS, tmp_path)
    assert line.startswith("int8 form of the encoder: cosine 0.99") or "cosine 1.0" in line
    assert found.files.keys() == {"encoder.onnx", "encoder.int8.onnx"}
    assert found.quantised.parent == tmp_path / "encoders"
    again, _ = with_int8(loaded, PHOTOS, tmp_path)
    assert again.quantised == found.quantised
    unchanged, line = with_int8(found, PHOTOS, tmp_path)
    assert (unchanged, line) == (found, "")


def test_a_network_of_neither_kind_has_no_form(tmp_path):
    found, line = with_int8(products(tmp_path), PHOTOS, tmp_path)
    assert found.quantised is None
    assert line == "no int8 form of the encoder: it has no layers of tokens"


def test_a_form_with_other_answers_is_left_out(loaded, tmp_path):
    def fragile(rows, embeddings):
        whole = loaded.network.embed(np.stack([pixels_of(row) for row in rows]))
        return np.where(np.abs(embeddings - whole).max(axis=1) > 1e-6, 80.0, 0.0)[:, None] * [1, 0]

    def pixels_of(row):
        return PIXELS(load(int(row), None).image)

    found, line = with_int8(loaded, replace(PHOTOS, answer=fragile), tmp_path)
    assert found.quantised is None
    assert "it answers worse" in line


def test_a_form_with_other_embeddings_is_left_out(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(forms, "LEAST_COSINE", 1.1)
    found, line = with_int8(loaded, PHOTOS, tmp_path)
    assert found.quantised is None
    assert "its embeddings differ too much" in line


def test_few_readable_photos_calibrate_nothing(loaded, tmp_path):
    few = replace(PHOTOS, latlon=np.zeros((60, 2)))
    assert "fewer than 90 photos" in with_int8(loaded, few, tmp_path)[1]
