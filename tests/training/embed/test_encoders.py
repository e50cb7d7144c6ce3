"""Encoders: ONNX export agrees with torch, and the weights are the documented ones."""

import numpy as np
import pytest
from PIL import Image

from geoloc.bundle import directory
from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.registry import build_encoder
from geoloc.errors import BundleError
from tests.embedding import embed_images
from tests.training.planet import write_towers

timm = pytest.importorskip("timm")

from geoloc.encoders.registry import describe
from training.embed.encoders import (
    EFFICIENTNET_LITE,
    efficientnet_lite,
    imagenet_weights,
    load_encoder,
)
from training.embed.export import export_onnx
from training.pretrain import clip

PALACE = 698
FLOWERY = {985, 738, 989, 309}
"""Daisy, pot, hip and bee: ImageNet has no class for the dahlia in the photo."""


def sample(name: str) -> Image.Image:
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image(name))


@pytest.mark.parametrize("name", EFFICIENTNET_LITE)
def test_weights_classify_imagenet_photos(name):
    import torch

    model = timm.create_model(f"tf_{name}").eval()
    weights = imagenet_weights(name)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    size = EFFICIENTNET_LITE[name].size
    pixels = Preprocessing(size, (0.5,) * 3, (0.5,) * 3, resize="crop")
    batch = np.stack([pixels(sample("china.jpg")), pixels(sample("flower.jpg"))])
    with torch.inference_mode():
        best = model(torch.from_numpy(batch)).topk(5).indices.tolist()
    assert PALACE in best[0]
    assert set(best[1]) & FLOWERY


def test_starter_bundle_contains_these_weights(tmp_path):
    starter = directory.load("starter")
    torch_encoder = efficientnet_lite(starter.encoder_spec.model.removeprefix("tf_"))
    assert torch_encoder.spec.preprocessing == starter.encoder_spec.preprocessing
    photos = [sample("china.jpg"), sample("flower.jpg")]
    ours = embed_images(starter.build_encoder(), photos)
    assert (ours * embed_images(torch_encoder, photos)).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit"])
def test_onnx_agrees_with_torch(name, tmp_path):
    """With random weights of small models, as only the agreement matters."""
    import torch

    torch.manual_seed(0)
    encoder = build_encoder(describe(name))
    spec = export_onnx(encoder, tmp_path)
    photos = [sample("china.jpg"), sample("flower.jpg")]
    exported = embed_images(OnnxEncoder(spec, tmp_path), photos)
    assert exported.shape == (2, encoder.spec.dim)
    assert (exported * embed_images(encoder, photos)).sum(axis=1).min() >= 0.9999
    one_by_one = np.concatenate([embed_images(OnnxEncoder(spec, tmp_path), [p]) for p in photos])
    assert one_by_one == pytest.approx(exported, abs=1e-4)


def test_open_clip_models_embed():
    pytest.importorskip("open_clip")
    import open_clip

    assert "ViT-B-32" in open_clip.list_models()
    spec = describe("open_clip:ViT-S-32-alt/")
    encoder = build_encoder(spec)
    vectors = embed_images(encoder, [sample("china.jpg")])
    assert vectors.shape == (1, spec.dim)
    assert np.linalg.norm(vectors) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", ["open_clip", "open_clip_tokens"])
def test_pretrained_towers_load_as_encoders(kind, tmp_path):
    import torch

    towers = clip.build(str(write_towers(tmp_path)))
    for number in range(2):
        torch.nn.init.normal_(towers.model.visual.conv1.weight)
        clip.write(tmp_path / f"run{number}" / "model", towers, towers.model.state_dict(), {})
    pixels = torch.randn(3, 3, 32, 32)
    visual = towers.model.eval().visual
    with torch.inference_mode():
        tokens = visual.transformer(visual._embeds(pixels)).mean(dim=1)
        expected = visual(pixels) if kind == "open_clip" else tokens
        expected = torch.nn.functional.normalize(expected, dim=1).numpy()
    loaded = [
        load_encoder(f"{kind}:local-dir:{tmp_path / name / 'model'}", tmp_path / "cache")
        for name in ("run0", "run1")
    ]
    found = [encoder.network.embed(pixels.numpy()) for encoder in loaded]
    assert (found[1] * expected).sum(axis=1).min() >= 0.9999
    assert (found[0] * expected).sum(axis=1).max() < 0.9999, "other weights give other embeddings"
    assert loaded[1].spec.model == "run1/model", "no absolute path"
    assert loaded[1].spec.dim == expected.shape[1]


@pytest.mark.parametrize(
    "name", ["open_clip:ViT-B-32/laion2b_s34b_b79k", "timm:convnext_tiny.fb_in22k"]
)
def test_unavailable_weights_are_reported_with_a_remedy(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match="HF_HUB_OFFLINE") as caught:
        describe(name)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_kinds_are_refused(tmp_path):
    with pytest.raises(BundleError, match="nosuch"):
        load_encoder("nosuch", tmp_path)
    with pytest.raises(BundleError, match="open_clip:ARCHITECTURE"):
        describe("caffe:alexnet")
    pixels = Preprocessing(8, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(BundleError, match="newer"):
        build_encoder(EncoderSpec("quantum", "", "", 1, pixels))


def test_preprocessing_resizes_and_normalises():
    picture = Image.new("RGB", (600, 300), (255, 0, 127))
    for resize in ("squash", "crop"):
        pixels = Preprocessing(64, (0.5,) * 3, (0.5,) * 3, resize=resize, detail_px=100)(picture)
        assert pixels.shape == (3, 64, 64)
        assert pixels[:, 32, 32] == pytest.approx([1.0, -1.0, 0.0], abs=0.01)


def test_detail_limit_removes_high_frequencies():
    rng = np.random.default_rng(0)
    sharp = Image.fromarray(rng.integers(0, 255, (600, 800, 3), dtype=np.uint8))
    plain = Preprocessing(224, (0.5,) * 3, (0.5,) * 3)
    hidden = Preprocessing(224, (0.5,) * 3, (0.5,) * 3, detail_px=100)
    assert hidden(sharp).std() < plain(sharp).std()
