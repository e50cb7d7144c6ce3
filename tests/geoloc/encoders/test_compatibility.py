"""Pretrained towers get the activation, preprocessing and tokenizer of their weights."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")
timm = pytest.importorskip("timm")

from open_clip import pretrained as catalogue

from geoloc.encoders import compatibility
from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.clip import _UNDESCRIBED
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.registry import build_encoder, describe, published_encoders
from geoloc.errors import BundleError
from tests.training.planet import TOWERS, write_towers
from training.config import PretrainConfig
from training.embed.export import export_onnx
from training.pretrain import clip
from training.recipes.plan import Plan

RECORDED = json.loads(Path(__file__).with_name("published_configurations.json").read_text())
PIXELS = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def catalogued(tmp_path_factory):
    """Register small models with weights as open_clip registers those of OpenAI and others.

    The weights "quick" were trained with QuickGELU, "plain" with GELU; both are the same numbers.
    """
    folder = tmp_path_factory.mktemp("catalogue")
    for name, quick in (("small", False), ("small-quickgelu", True)):
        text = json.dumps({**TOWERS, **({"quick_gelu": True} if quick else {})})
        (folder / f"{name}.json").write_text(text)
        open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(0)
    model = open_clip.create_model("small")
    for block in model.visual.transformer.resblocks:  # where the activations differ most
        torch.nn.init.normal_(block.mlp.c_fc.weight, std=0.05)
        torch.nn.init.constant_(block.mlp.c_fc.bias, -2.0)
        torch.nn.init.normal_(block.mlp.c_proj.weight, std=30.0)
    file = folder / "weights" / "small.pt"
    file.parent.mkdir()
    torch.save(model.state_dict(), file)
    needs = {"file": str(file), "mean": (0.5,) * 3, "std": (0.25,) * 3,
             "interpolation": "bilinear", "resize_mode": "squash"}  # fmt: skip
    quick = {**needs, "quick_gelu": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalogue._PRETRAINED, "small", {"quick": quick, "plain": needs})
        patch.setitem(catalogue._PRETRAINED, "small-quickgelu", {"quick": quick})
        yield file


def raw(architecture, file):
    """Embeddings of open_clip itself, without the guard."""
    network = open_clip.create_model(architecture, pretrained=str(file)).visual.eval()
    with torch.inference_mode():
        return torch.nn.functional.normalize(network(torch.from_numpy(PIXELS))).numpy()


def cosine(one, other):
    return (one * other).sum(axis=1)


@pytest.mark.parametrize(
    ("asked", "built"),
    [("small/quick", "small-quickgelu"), ("small-quickgelu/quick", "small-quickgelu"),
     ("small/plain", "small"), ("small-quickgelu/plain", "small")],
)  # fmt: skip
def test_weights_get_the_activation_that_they_were_trained_with(catalogued, asked, built):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # open_clip warns of a wrong activation
        spec = describe(f"open_clip:{asked}")
        embedded = build_encoder(spec).embed(PIXELS)
    other = "small" if built != "small" else "small-quickgelu"
    assert spec.model == built
    assert cosine(embedded, raw(built, catalogued)).min() > 0.99999
    assert cosine(embedded, raw(other, catalogued)).min() < 0.9999, "the activation matters"
    expected = Preprocessing(32, (0.5,) * 3, (0.25,) * 3, "squash", "bilinear")
    assert spec.preprocessing == expected


def test_trained_models_and_exports_keep_the_activation(catalogued, tmp_path):
    """From a published name to pretraining, its model folder and the file of the bundle."""
    built = clip.build("small", "quick")
    assert built.architecture["quick_gelu"] is True
    assert built.preprocessing.resize == "squash"
    clip.write(tmp_path / "model", built, built.model.state_dict(), {})
    encoder = build_encoder(describe(f"open_clip:local-dir:{tmp_path / 'model'}"))
    assert encoder.spec.preprocessing == built.preprocessing
    expected = raw("small-quickgelu", catalogued)
    assert cosine(encoder.embed(PIXELS), expected).min() > 0.99999
    exported = OnnxEncoder(export_onnx(encoder, tmp_path), tmp_path).embed(PIXELS)
    assert cosine(exported, expected).min() > 0.9999
    assert cosine(exported, raw("small", catalogued)).min() < 0.9999


def test_specs_of_earlier_versions_are_corrected_too(catalogued):
    spec = EncoderSpec(
        "open_clip", "small", "quick", 16, describe("open_clip:small/quick").preprocessing
    )
    assert (
        cosine(build_encoder(spec).embed(PIXELS), raw("small-quickgelu", catalogued)).min() > 0.9999
    )


def test_a_tower_that_open_clip_builds_otherwise_is_refused(catalogued, monkeypatch):
    monkeypatch.setattr("geoloc.encoders.torch.open_clip_architecture", lambda name, tag: name)
    with (
        pytest.warns(UserWarning, match="QuickGELU mismatch"),
        pytest.raises(BundleError, match="built with quick_gelu = False, the weights need True"),
    ):
        describe("open_clip:small/quick")


def test_contradictions_and_unknown_weights_are_refused():
    with pytest.raises(BundleError, match="contradicts itself about the activation"):
        compatibility.open_clip_architecture("roberta-ViT-B-32", "laion2b_s12b_b32k")
    with pytest.raises(BundleError, match="knows no weights of that name"):
        compatibility.open_clip_architecture("ViT-B-32", "nosuch")


def test_all_other_weights_of_open_clip_have_an_architecture():
    for model, tag in open_clip.list_pretrained():
        if model == "roberta-ViT-B-32":
            continue
        name = compatibility.open_clip_architecture(model, tag)
        quick = open_clip.get_model_config(name).get("quick_gelu", False)
        needs = open_clip.get_pretrained_cfg(name, tag)
        assert quick == needs.get("quick_gelu", False)
        compatibility.preprocessing(model, 224, needs)


@pytest.mark.parametrize("name", published_encoders())
def test_published_encoders_are_built_as_recorded(name, tmp_path):
    """Without weights: from the catalogues of open_clip and timm, and recorded config files."""
    kind, _, model = published_encoders()[name].encoder.partition(":")
    recorded = RECORDED[name]
    assert kind == recorded["kind"]
    if kind == "open_clip":
        architecture, _, tag = model.partition("/")
        assert compatibility.open_clip_architecture(architecture, tag) == architecture
        config = open_clip.get_model_config(architecture)
        assert config.get("quick_gelu", False) == recorded["quick_gelu"]
        assert config["vision_cfg"].items() >= recorded["network"].items()
        text = config["text_cfg"]
        assert {key: text.get(key) for key in recorded["tokenizer"]} == recorded["tokenizer"]
        size = config["vision_cfg"]["image_size"]
        pixels = compatibility.preprocessing(
            name, size, open_clip.get_pretrained_cfg(architecture, tag)
        )
        recorded["image_size"] = recorded["network"]["image_size"]
    elif kind == "timm":
        architecture, _, tag = model.partition(".")
        assert compatibility.timm_architecture(architecture, tag) == architecture
        needs = timm.get_pretrained_cfg(model).to_dict()
        pixels = compatibility.preprocessing(name, needs["input_size"][-1], needs, "crop_mode")
    else:
        vision = recorded["vision_config"] or _UNDESCRIBED[model]
        assert compatibility.hub_activation(vision) == recorded["activation"]
        if recorded["preprocessor_config"]:
            text = json.dumps(recorded["preprocessor_config"])
            (tmp_path / "preprocessor_config.json").write_text(text)
        pixels = compatibility.hub_preprocessing(tmp_path, vision["image_size"])
    assert pixels == Preprocessing(
        recorded["image_size"], tuple(recorded["mean"]), tuple(recorded["std"]),
        recorded["resize"], recorded["interpolation"],
    )  # fmt: skip


def test_pigeon_starts_from_openai_weights_with_their_activation():
    config = PretrainConfig()
    assert clip.architecture_name(config.model, config.pretrained) == config.model
    assert clip.configuration(config.model)["quick_gelu"] is True
    assert clip.architecture_name("ViT-L-14-336", "openai") == config.model
    assert Plan.of(clip.configuration(config.model)).weights > 4e8


@pytest.mark.parametrize(
    ("asked", "built"),
    [("vit_large_patch14_clip_336", "vit_large_patch14_clip_quickgelu_336"),
     ("vit_large_patch14_clip_quickgelu_336", "vit_large_patch14_clip_quickgelu_336")],
)  # fmt: skip
def test_timm_towers_of_openai_get_quickgelu(asked, built):
    assert compatibility.timm_architecture(asked, "openai") == built


def test_timm_weights_without_a_fitting_architecture_are_refused(monkeypatch):
    monkeypatch.setattr(timm, "is_model", lambda name: False)
    with pytest.raises(BundleError, match="need QuickGELU"):
        compatibility.timm_architecture("vit_base_patch32_clip_224", "openai")


@pytest.mark.parametrize("changed", [{"hidden_act": "gelu_new"}, {"layer_norm_eps": 1e-6}])
def test_other_activations_and_norms_of_the_hub_are_refused(changed):
    with pytest.raises(BundleError, match=f"{next(iter(changed))} .* is not supported"):
        compatibility.hub_activation(changed)


@pytest.mark.parametrize(
    "changed", [{"resample": 1}, {"size": 256}, {"crop_size": {"height": 200, "width": 224}}]
)
def test_other_preprocessing_of_the_hub_is_refused(changed, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(changed))
    with pytest.raises(BundleError, match=r"preprocessor_config\.json: resample"):
        compatibility.hub_preprocessing(tmp_path, 224)


def test_preprocessing_of_the_hub_is_read(tmp_path):
    needs = {"do_center_crop": False, "resample": 2, "size": {"height": 224, "width": 224},
             "image_mean": [0.5] * 3, "image_std": [0.5] * 3}  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(needs))
    expected = Preprocessing(224, (0.5,) * 3, (0.5,) * 3, "squash", "bilinear")
    assert compatibility.hub_preprocessing(tmp_path, 224) == expected


def test_a_checkpoint_file_gets_the_preprocessing_of_its_architecture(catalogued):
    spec = describe(f"open_clip:small-quickgelu/{catalogued}")
    assert spec.preprocessing.resize == "squash"
    with pytest.raises(BundleError, match="differ in their preprocessing"):
        compatibility.open_clip_options("ViT-L-14", str(catalogued))


def test_a_checkpoint_beside_another_description_is_refused(catalogued, tmp_path):
    built = clip.build("small", "quick")
    clip.write(tmp_path / "model", built, built.model.state_dict(), {})
    file = tmp_path / "model" / "open_clip_model.safetensors"
    assert describe(f"open_clip:small-quickgelu/{file}").model == "small-quickgelu"
    with pytest.raises(BundleError, match=f"local-dir:{tmp_path}/model"):
        describe(f"open_clip:small/{file}")


def test_a_model_file_must_not_take_the_name_of_another_architecture(tmp_path):
    write_towers(tmp_path).rename(tmp_path / "ViT-L-14-336.json")
    with pytest.raises(BundleError, match="rename the file"):
        clip.build(str(tmp_path / "ViT-L-14-336.json"), "openai")


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path):
    other = {**TOWERS, "text_cfg": {**TOWERS["text_cfg"], "vocab_size": 32000}}
    (tmp_path / "other_words.json").write_text(json.dumps(other))
    with pytest.raises(BundleError, match="49,408 tokens, the text tower 32,000"):
        clip.build(str(tmp_path / "other_words.json"))


def test_a_model_folder_contains_its_tokenizer(tmp_path):
    """open_clip looks for a tokenizer of Hugging Face in the folder of a local model."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "a", "photo", "Peru"])}
    own = Tokenizer(WordLevel(words, "[UNK]"))
    own.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(tmp_path / "words")
    text = {**TOWERS["text_cfg"], "vocab_size": 5, "hf_tokenizer_name": str(tmp_path / "words")}
    (tmp_path / "own_words.json").write_text(json.dumps({**TOWERS, "text_cfg": text}))
    built = clip.build(str(tmp_path / "own_words.json"))
    clip.write(tmp_path / "model", built, built.model.state_dict(), {})
    again = clip.build(str(tmp_path / "model"))
    assert again.tokenizer(["a photo Peru"])[0, :3].tolist() == [2, 3, 4]
