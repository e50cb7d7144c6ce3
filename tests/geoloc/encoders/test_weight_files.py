"""Encoders are identified by the content of their weights, so that caches notice new weights."""

import json
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("open_clip")

from safetensors.torch import save_file

from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.registry import build_encoder, describe, weights_digest
from geoloc.encoders.signatures import SIDE
from geoloc.errors import BundleError
from geoloc.io import digests
from geoloc.io.digests import content_digest
from tests.training.planet import TOWERS, write_towers
from training.embed.encoders import load_encoder
from training.pretrain import clip
from training.recipes.geoclip.encoder import load_world_encoder
from training.recipes.geoclip.published import Published

PIXELS = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "image_size": 32,
          "num_attention_heads": 2, "patch_size": 8, "hidden_act": "quick_gelu"}  # fmt: skip


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """Remember digests in a folder of the test."""
    folder = tmp_path / "notes"
    monkeypatch.setattr(digests, "_notes", lambda: folder)
    return folder


def write_hub_clip(folder, seed):
    """Write a small CLIP tower in Hugging Face's layout."""
    import transformers

    torch.manual_seed(seed)
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=8)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    weights = transformers.CLIPModel(config).state_dict()
    save_file({k: v.contiguous() for k, v in weights.items()}, folder / "model.safetensors")
    return f"hf_clip:{folder}"


def write_open_clip(folder, seed):
    """Write a small CLIP model as `geoloc-train pretrain` does."""
    import shutil

    torch.manual_seed(seed)
    built = clip.build(str(write_towers(folder.parent)))
    shutil.rmtree(folder, ignore_errors=True)
    clip.write(folder, built, built.model.state_dict(), {})
    return f"open_clip:local-dir:{folder}"


def write_checkpoint(folder, seed):
    """Write a checkpoint file of a small CLIP model that open_clip knows by its name."""
    import open_clip

    folder.mkdir(exist_ok=True)
    (folder / "two_blocks.json").write_text(json.dumps(TOWERS))
    open_clip.add_model_config(folder / "two_blocks.json")
    torch.manual_seed(seed)
    torch.save(open_clip.create_model("two_blocks").state_dict(), folder / "last.pt")
    return f"open_clip:two_blocks/{folder / 'last.pt'}"


@pytest.mark.parametrize("write", [write_hub_clip, write_open_clip, write_checkpoint])
def test_new_weights_in_the_same_place_are_a_new_encoder(write, tmp_path):
    name = write(tmp_path / "model", 0)
    spec = describe(name)
    assert describe(name) == spec
    assert write(tmp_path / "model", 1) == name
    assert describe(name).fingerprint != spec.fingerprint


def test_new_weights_in_the_same_place_are_exported_and_embedded_again(tmp_path):
    name = write_hub_clip(tmp_path / "model", 0)
    before = load_encoder(name, tmp_path / "cache")
    assert load_encoder(name, tmp_path / "cache").file == before.file
    write_hub_clip(tmp_path / "model", 1)
    after = load_encoder(name, tmp_path / "cache")
    assert after.spec.fingerprint != before.spec.fingerprint
    embedded = after.network.embed(PIXELS)
    assert (embedded * before.network.embed(PIXELS)).sum(axis=1).max() < 0.999
    expected = build_encoder(describe(name)).embed(PIXELS)
    assert (embedded * expected).sum(axis=1).min() > 0.999
    with EmbeddingCache(tmp_path, before.spec) as old, EmbeddingCache(tmp_path, after.spec) as new:
        old.add(["00" * 32], np.ones((1, before.spec.dim)), [np.zeros((SIDE, SIDE), np.uint8)])
        assert "00" * 32 not in new


def test_weights_that_changed_after_the_description_are_not_loaded(tmp_path):
    name = write_hub_clip(tmp_path / "model", 0)
    spec = describe(name)
    write_hub_clip(tmp_path / "model", 1)
    with pytest.raises(BundleError, match="weights are not those that were described") as refused:
        build_encoder(spec)
    assert str(tmp_path / "model") in str(refused.value)


def test_geoclip_is_exported_again_for_another_tower_file(tmp_path, monkeypatch):
    import training.recipes.geoclip.encoder as geoclip

    head = tmp_path / "head.pth"
    head.write_bytes(b"head")
    made = []

    def make(spec, published, folder, *, in_torch):
        made.append(spec)
        raise KeyError

    monkeypatch.setattr(geoclip, "_make", make)
    published = Published(lambda name: head.read_bytes())
    tower = tmp_path / "tower.pt"
    for content in (b"one", b"two"):
        tower.write_bytes(content)
        with pytest.raises(KeyError):
            load_world_encoder(published, tmp_path, f"ViT-B-32/{tower}", "whole")
    head.write_bytes(b"other head")
    with pytest.raises(KeyError):
        load_world_encoder(published, tmp_path, f"ViT-B-32/{tower}", "whole")
    assert len({spec.fingerprint for spec in made}) == 3


def test_specs_of_earlier_bundles_keep_their_form():
    spec = EncoderSpec("onnx", "m", "w", 3, Preprocessing(8, (0.5,) * 3, (0.5,) * 3))
    stored = spec.to_dict()
    assert "digest" not in stored
    assert EncoderSpec.from_dict(stored) == spec
    local = EncoderSpec("hf_clip", "m", "", 3, spec.preprocessing, "ab")
    assert EncoderSpec.from_dict(json.loads(json.dumps(local.to_dict()))) == local
    assert local.fingerprint != EncoderSpec("hf_clip", "m", "", 3, spec.preprocessing).fingerprint


@pytest.mark.parametrize("name", ["timm:test_resnet", "open_clip:ViT-B-32", "open_clip:ViT-B-32/"])
def test_a_model_without_weights_is_refused(name, tmp_path):
    with pytest.raises(BundleError, match="names no weights"):
        load_encoder(name, tmp_path)


def test_missing_weights_are_named(tmp_path):
    assert weights_digest("open_clip:ViT-B-32/openai") == ""
    with pytest.raises(BundleError, match="weights cannot be loaded"):
        load_encoder(f"open_clip:local-dir:{tmp_path}/nosuch", tmp_path)


def test_a_file_is_read_once_until_it_changes(tmp_path, notes, monkeypatch):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"old")
    os.utime(file, (1e9, 1e9))
    first = content_digest([file])
    monkeypatch.setattr(digests, "sha256", lambda path: pytest.fail("read again"))
    assert content_digest([file]) == first
    monkeypatch.undo()
    monkeypatch.setattr(digests, "_notes", lambda: notes)
    file.write_bytes(b"new")
    os.utime(file, (1e9 + 1, 1e9 + 1))
    assert content_digest([file]) != first


def test_a_file_written_just_now_is_not_remembered(tmp_path, notes):
    """It could change once more within the resolution of its modification time."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"old")
    content_digest([file])
    assert not notes.exists()


def test_digests_need_no_writable_home(tmp_path, monkeypatch):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"old")
    os.utime(file, (1e9, 1e9))
    monkeypatch.setattr(digests, "_notes", lambda: file / "below a file")
    assert content_digest([file]) == content_digest([file])
