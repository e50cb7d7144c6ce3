"""CLIP in Hugging Face's layout: open_clip's tower gives the same embeddings."""

import json

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import save_file

from geoloc.encoders.clip import HubClipEncoder, open_clip_names, tower_of
from geoloc.encoders.registry import build_encoder, describe, licence_notice, published_encoders
from geoloc.errors import BundleError
from training.embed.encoders import load_encoder

VISION = {
    "hidden_size": 96,
    "intermediate_size": 200,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}


@pytest.fixture(scope="module", params=["quick_gelu", "gelu"])
def theirs(request):
    torch.manual_seed(0)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2, "projection_dim": 48}  # fmt: skip
    vision = {**VISION, "hidden_act": request.param, "projection_dim": 48}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=48)
    return transformers.CLIPModel(config).eval()


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(1))


def test_converted_weights_give_the_same_embeddings(theirs, pixels):
    ours = tower_of(theirs.config.vision_config.to_dict(), theirs.state_dict()).eval()
    with torch.inference_mode():
        expected = theirs.visual_projection(theirs.vision_model(pixels).pooler_output)
        assert torch.allclose(ours(pixels), expected, atol=1e-5)


def test_a_vision_model_under_a_prefix_is_found(theirs, pixels):
    """OSV-5M's baseline is published under a prefix and without a projection."""
    inside = {f"model.backbone.clip.vision_model.{k}": v
              for k, v in theirs.vision_model.state_dict().items()}  # fmt: skip
    ours = tower_of(theirs.config.vision_config.to_dict(), {**inside, "model.head.bias": pixels})
    with torch.inference_mode():
        expected = theirs.vision_model(pixels).pooler_output
        assert torch.allclose(ours.eval()(pixels), expected, atol=1e-5)


def test_weights_of_other_models_are_refused(theirs):
    with pytest.raises(BundleError, match="not a CLIP model"):
        tower_of(theirs.config.vision_config.to_dict(), {"weight": torch.zeros(1)})
    with pytest.raises(KeyError):
        open_clip_names({})
    wrong = {**theirs.config.vision_config.to_dict(), "num_hidden_layers": 3}
    with pytest.raises(BundleError, match="not a CLIP model"):
        tower_of(wrong, theirs.state_dict())


@pytest.mark.parametrize("older", [False, True], ids=["safetensors", "bin"])
def test_a_local_folder_is_loaded(theirs, tmp_path, older):
    (tmp_path / "config.json").write_text(json.dumps(theirs.config.to_dict()))
    weights = {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}
    if older:
        torch.save(weights, tmp_path / "pytorch_model.bin")
    else:
        save_file(weights, tmp_path / "model.safetensors")
    encoder = build_encoder(describe(f"hf_clip:{tmp_path}"))
    assert isinstance(encoder, HubClipEncoder)
    assert encoder.spec.dim == 48
    image = Image.linear_gradient("L").convert("RGB")
    vectors = encoder.embed(encoder.spec.preprocessing(image)[None])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)


def test_unavailable_weights_give_a_one_line_error(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("hf_clip:nobody/nothing", f"hf_clip:{tmp_path}"):
        with pytest.raises(BundleError, match="weights cannot be loaded") as refused:
            describe(name)
        assert "\n" not in str(refused.value)


def test_published_encoders_name_their_licences(tmp_path, monkeypatch):
    published = published_encoders()
    assert {"clip", "siglip2", "dinov3", "streetclip", "osv5m"} <= set(published)
    assert "CC BY-NC 4.0" in licence_notice("streetclip")
    assert licence_notice("efficientnet_lite2") is None
    import open_clip
    import timm

    pretrained = {f"{model}/{tag}" for model, tag in open_clip.list_pretrained()}
    pretrained.add("ViT-L-14-quickgelu/openai")
    for entry in published.values():
        kind, _, name = entry.encoder.partition(":")
        if kind == "open_clip":
            assert name in pretrained or name.replace("-quickgelu", "") in pretrained
        elif kind == "timm":
            assert name in timm.list_pretrained()
        else:
            assert kind == "hf_clip"
    asked = []
    monkeypatch.setattr("training.embed.encoders._torch_encoder", lambda name: asked.append(name))
    with pytest.raises(AttributeError):  # there is no network to export
        load_encoder("dinov3", tmp_path)
    assert asked == [published["dinov3"].encoder]
