"""Networks written from tensors give the embeddings of the published code, on random weights."""

import numpy as np
import pytest
from safetensors.numpy import save_file

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
timm = pytest.importorskip("timm")

from geoloc.encoders.base import Preprocessing
from geoloc.encoders.onnx import OnnxEncoder
from geoloc.encoders.towers.families import FAMILIES, Tower
from geoloc.errors import BundleError
from geoloc.io.tensors import read_tensors
from tests.geoloc.bundle.fabricated import hub_tower, megaloc

SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TOLERANCE = 1e-5


def randomised(model):
    torch.manual_seed(0)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2 if value.ndim > 1 else 0.5)
    return model.eval()


def clip(activation="quick_gelu"):
    config = transformers.CLIPVisionConfig(
        **SMALL, intermediate_size=128, image_size=56, patch_size=14, projection_dim=32,
        hidden_act=activation,
    )  # fmt: skip
    model = randomised(transformers.CLIPVisionModelWithProjection(config))
    return model, 56, lambda pixels: model(pixels).image_embeds


def siglip():
    config = transformers.SiglipVisionConfig(
        **SMALL, intermediate_size=128, image_size=64, patch_size=16
    )
    model = randomised(transformers.SiglipVisionModel(config))
    return model, 64, lambda pixels: model(pixels).pooler_output


def dinov2(size=70):
    config = transformers.Dinov2WithRegistersConfig(
        **SMALL, image_size=70, patch_size=14, num_register_tokens=4
    )
    model = randomised(transformers.Dinov2WithRegistersModel(config))
    return model, size, lambda pixels: model(pixels).pooler_output


def dinov3():
    config = transformers.DINOv3ViTConfig(
        **SMALL, intermediate_size=128, image_size=64, patch_size=16, num_register_tokens=4
    )
    model = randomised(transformers.DINOv3ViTModel(config))
    return model, 64, lambda pixels: model(pixels).pooler_output


def perception():
    model = timm.create_model(
        "vit_pe_core_large_patch14_336", depth=2, embed_dim=64, num_heads=2, img_size=56,
        num_classes=48, ref_feat_shape=(4, 4),
    )  # fmt: skip
    return randomised(model), 56, model


def siglip_timm():
    model = timm.create_model(
        "vit_so400m_patch14_siglip_378", depth=2, embed_dim=64, num_heads=2, img_size=56,
        mlp_ratio=2.0, act_layer="gelu_tanh", num_classes=0,
    )  # fmt: skip
    return randomised(model), 56, model


CASES = {
    "clip": clip,
    "clip-gelu": lambda: clip("gelu"),
    "siglip": siglip,
    "siglip-timm": siglip_timm,
    "dinov2": dinov2,
    "dinov3": dinov3,
    "perception": perception,
}


def published(model):
    """Return the tensors as they are published; newer transformers shorten the names."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    if isinstance(model, transformers.SiglipVisionModel) and "vision_model" not in next(
        iter(state)
    ):
        state = {f"vision_model.{name}": value for name, value in state.items()}
    return state


def written(family, tensors, size, folder, **options):
    pixels = Preprocessing(size, (0.5,) * 3, (0.5,) * 3)
    spec = Tower(family, tensors, "model.safetensors", pixels, **options).write(folder, family)
    return OnnxEncoder(spec, folder)


@pytest.mark.parametrize("family", CASES)
def test_embeddings_equal_those_of_the_published_code(family, tmp_path):
    model, size, embed = CASES[family]()
    save_file(published(model), tmp_path / "model.safetensors")
    tensors = read_tensors(tmp_path / "model.safetensors")
    encoder = written(family, tensors, size, tmp_path, heads=2)
    pixels = np.random.default_rng(0).normal(size=(3, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(embed(torch.from_numpy(pixels)), dim=1).numpy()
    mine = encoder.embed(pixels)
    assert encoder.spec.dim == mine.shape[1]
    assert mine == pytest.approx(expected, abs=TOLERANCE)


def test_every_family_but_megaloc_is_compared_with_published_code():
    assert set(CASES) == set(FAMILIES) - {"megaloc"}  # whose code is not a package: see below


def test_learned_positions_are_resampled_as_dinov2_does(tmp_path):
    from geoloc.encoders.towers.positions import resampled

    grid = np.random.default_rng(0).normal(size=(37 * 37, 5)).astype(np.float32)
    square = torch.from_numpy(grid.reshape(1, 37, 37, 5)).permute(0, 3, 1, 2)
    for side in (23, 24, 40):
        scale = (side + 0.1) / 37
        expected = torch.nn.functional.interpolate(
            square, scale_factor=(scale, scale), mode="bicubic"
        )
        expected = expected.permute(0, 2, 3, 1).reshape(side * side, 5).numpy()
        assert resampled(grid, side) == pytest.approx(expected, abs=1e-4)


def salad_in_torch(features, token, own):
    """MegaLoc's aggregator from its paper (SALAD, CVPR 2024) in torch; features are (N, D, P)."""

    def layers(values, first, second):
        for number, name in enumerate((first, second)):
            weight = torch.from_numpy(own[f"agg.{name}.weight"]).flatten(1)
            values = values @ weight.T + torch.from_numpy(own[f"agg.{name}.bias"])
            values = values.relu() if number == 0 else values
        return values

    def unit(values, dim):
        return torch.nn.functional.normalize(values, dim=dim)

    patches = features.transpose(1, 2)
    local = layers(patches, "cluster_features.0", "cluster_features.3").transpose(1, 2)
    score = layers(patches, "score.0", "score.3").transpose(1, 2)
    photos, clusters, count = score.shape
    dust = torch.full((photos, 1, count), float(own["agg.dust_bin"]))
    cost = torch.cat([score, dust], dim=1)
    norm = -np.log(count + clusters)
    row = torch.full((photos, clusters + 1), norm)
    row[:, -1] += np.log(count - clusters)
    v = torch.zeros(photos, count)
    for _ in range(3):
        u = row - torch.logsumexp(cost + v[:, None], dim=2)
        v = norm - torch.logsumexp(cost + u[:, :, None], dim=1)
    share = torch.exp(cost + u[:, :, None] + v[:, None] - norm)[:, :-1]
    mixed = torch.einsum("nlp,nmp->nlm", local, share)
    scene = layers(token, "token_features.0", "token_features.2")
    joined = torch.cat([unit(scene, -1), unit(mixed, 1).flatten(1)], dim=-1)
    weight, bias = (torch.from_numpy(own[f"linear.{part}"]) for part in ("weight", "bias"))
    return unit(unit(joined, -1) @ weight.T + bias, 1)


def test_megaloc_equals_its_published_computation(tmp_path):
    tensors = megaloc(width=64)
    size, patch = 70, 14
    encoder = written("megaloc", tensors, size, tmp_path, heads=2)
    prefix = "backbone.model."
    model = timm.create_model(
        "vit_base_patch14_dinov2", depth=2, embed_dim=64, num_heads=2, img_size=size,
        mlp_ratio=2.0, num_classes=0,
    )  # fmt: skip
    from geoloc.encoders.towers.positions import resampled

    state = {
        name.removeprefix(prefix): torch.from_numpy(np.array(value))
        for name, value in tensors.items()
        if name.startswith(prefix) and "mask" not in name
    }
    positions = tensors[f"{prefix}pos_embed"][0]
    grid = np.concatenate([positions[:1], resampled(positions[1:], size // patch)])
    state["pos_embed"] = torch.from_numpy(grid[None])
    model.load_state_dict(state)
    model.eval()
    own = {
        name.removeprefix("aggregator."): value
        for name, value in tensors.items()
        if name.startswith("aggregator.")
    }
    pixels = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        tokens = model.forward_features(torch.from_numpy(pixels))
        expected = salad_in_torch(tokens[:, 1:].transpose(1, 2), tokens[:, 0], own)
    assert encoder.embed(pixels) == pytest.approx(expected.numpy(), abs=TOLERANCE)


def test_layers_after_the_tower_have_a_relu_between_them(tmp_path):
    tensors = hub_tower("", 56, 14, 64, projection=32)
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(24, 32)), rng.normal(size=(8, 24))
    plain = written("clip", tensors, 56, tmp_path, heads=2)
    (tmp_path / "after").mkdir()
    after = ((first, np.zeros(24)), (second, np.ones(8)))
    longer = written("clip", tensors, 56, tmp_path / "after", heads=2, after=after)
    pixels = rng.normal(size=(1, 3, 56, 56)).astype(np.float32)
    raw = plain._network(pixels)
    expected = np.maximum(raw @ first.T, 0.0) @ second.T + 1.0
    assert longer._network(pixels) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.pop("vision_model.encoder.layers.1.layer_norm2.weight"), "is missing"),
        (lambda t: t.pop("vision_model.embeddings.class_embedding"), "holds no clip image tower"),
        (lambda t: t.update({"vision_model.extra.weight": np.ones(3)}), "extra.weight is unknown"),
        (
            lambda t: t.update({"vision_model.encoder.layers.0.mlp.fc1.weight": np.ones((3, 3))}),
            "has the shape",
        ),
        (
            lambda t: t.update(
                {"vision_model.embeddings.position_embedding.weight": np.ones((9, 64))}
            ),
            "9 positions for 4 by 4 patches",
        ),
    ],
)
def test_tensors_of_another_version_are_refused(change, problem, tmp_path):
    tensors = hub_tower("", 56, 14, 64)
    change(tensors)
    with pytest.raises(BundleError, match=problem) as refused:
        written("clip", tensors, 56, tmp_path, heads=2)
    assert "model.safetensors" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_beside_a_network_count_for_its_optimised_graph(tmp_path, monkeypatch):
    from geoloc.encoders import onnx

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written("clip", hub_tower("", 56, 14, 64), 56, tmp_path, heads=2)
    network, weights = tmp_path / "encoder.onnx", tmp_path / "encoder.data"
    kept = onnx._graph_file(network, "1")
    assert kept is not None
    content = bytearray(weights.read_bytes())
    weights.write_bytes(content + b"other weights")
    assert onnx._graph_file(network, "1") != kept
    monkeypatch.setattr(onnx, "LARGEST_BYTES", network.stat().st_size + 1)
    assert onnx._graph_file(network, "1") is None
