"""Attribution maps: exact for means of tokens, complete otherwise, without side effects."""

import json
import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from geoloc.answer.attribution import answer_direction, attribution_map, may_have_map
from geoloc.belief.fusion import ConstraintMask
from geoloc.belief.heads import Heads
from geoloc.encoders.base import EncoderSpec, Preprocessing, normalise
from geoloc.encoders.registry import build_encoder

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")
pytest.importorskip("timm")

TEXT = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
TOWERS = {
    "attribution_vit": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "attribution_timm": {"timm_model_name": "test_vit"},
}
SIZE = {"attribution_vit": 32, "test_vit3": 160}
MEANS = ["open_clip_tokens:attribution_vit", "open_clip_tokens:attribution_timm"]
OTHERS = [
    "open_clip:attribution_vit",
    "open_clip:attribution_timm",
    "timm:test_vit",  # class token
    "timm:test_vit2",  # a register, mean of patches
    "timm:test_vit3",  # pooled by attention
]


@pytest.fixture(scope="module", autouse=True)
def _towers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    for name, tower in TOWERS.items():
        vision = {**tower, "image_size": SIZE.get(name, 64)}
        config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns of random weights
    yield
    logging.getLogger().setLevel(level)


def make_encoder(name: str):
    """Return an encoder with random weights; a map must explain any network."""
    torch.manual_seed(0)
    kind, _, model = name.partition(":")
    pixels = Preprocessing(SIZE.get(model, 64), (0.5,) * 3, (0.5,) * 3)
    encoder = build_encoder(EncoderSpec(kind, model, "", 0, pixels))
    with torch.no_grad():
        for key, weight in encoder.module.named_parameters():
            if key.endswith(("conv1.weight", "patch_embed.proj.weight")):
                weight.mul_(20)  # so that tokens tell of the photo rather than of their position
            elif key.endswith("gamma"):
                weight.fill_(1)  # layer scale begins at next to nothing
    return encoder


def grid(name: str) -> int:
    """Return the number of patches along a side."""
    _, _, model = name.partition(":")
    return SIZE.get(model, 64) // (8 if model == "attribution_vit" else 16)


def noise(encoder, seed: int = 0):
    """Return a photo and a direction."""
    rng = np.random.default_rng(seed)
    side = encoder.spec.preprocessing.size
    pixels = rng.normal(size=(3, side, side)).astype(np.float32)
    return pixels, rng.normal(size=encoder.embed(pixels[None]).shape[1]).astype(np.float32)


def last_block(encoder):
    return next(
        tuple(blocks)[-1]
        for key, blocks in encoder.module.named_modules()
        if key.endswith("resblocks") or key == "blocks" or key.endswith(".blocks")
    )


def embed_exactly(encoder, pixels):
    with torch.inference_mode():
        vector = encoder.module(torch.from_numpy(pixels[None]).to(encoder.device))
    return normalise(np.asarray(vector.cpu()))[0].astype(np.float64)


@pytest.mark.parametrize("name", MEANS)
def test_a_value_equals_the_effect_of_scaling_its_token(name):
    encoder = make_encoder(name)
    pixels, direction = noise(encoder)
    found = attribution_map(encoder, pixels, direction)
    step = 0.01

    def score(row: int, factor: float) -> float:
        def scale(_module, _inputs, tokens):
            scaled = tokens.clone()
            scaled[:, row] *= factor
            return scaled

        hook = last_block(encoder).register_forward_hook(scale)
        try:
            return float(embed_exactly(encoder, pixels) @ direction)
        finally:
            hook.remove()

    slopes = [
        (score(row, 1 + step) - score(row, 1 - step)) / (2 * step) for row in range(found.size + 1)
    ]
    assert found.dtype == np.float32
    assert np.ptp(found) > 1e-3, "a map of nothing agrees with everything"
    assert found.ravel() == pytest.approx(slopes[1:], abs=5e-5)
    assert found.sum() + slopes[0] == pytest.approx(0, abs=5e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_integrated_maps_are_complete(name):
    """A map sums to the score lost if all patches enter the last block as their average."""
    encoder = make_encoder(name)
    pixels, direction = noise(encoder)
    found = attribution_map(encoder, pixels, direction)
    assert found.shape == (grid(name), grid(name))

    def flatten(_module, inputs):
        tokens = inputs[0].clone()
        patches = tokens[:, -found.size :]
        patches[:] = patches.mean(dim=1, keepdim=True)
        return (tokens, *inputs[1:])

    score = embed_exactly(encoder, pixels) @ direction
    hook = last_block(encoder).register_forward_pre_hook(flatten)
    lost = score - embed_exactly(encoder, pixels) @ direction
    hook.remove()
    assert abs(lost) > 1e-3, "nothing to explain"
    assert found.sum() == pytest.approx(lost, rel=0.02)


@pytest.mark.parametrize("where", ["left", "right"])
@pytest.mark.parametrize("name", [*MEANS, *OTHERS])
def test_the_informative_half_has_the_larger_values(name, where):
    """Two photos differ in two patches of one half, which must support the answer."""
    encoder = make_encoder(name)
    side, rows = encoder.spec.preprocessing.size, grid(name)
    column = 0 if where == "left" else rows - 1
    there = np.zeros((rows, rows), bool)
    there[1:3, column] = True
    pixels = np.zeros((2, 3, side, side), np.float32)
    pixels[:, 1] = 1
    spot = there.repeat(side // rows, axis=0).repeat(side // rows, axis=1)
    pixels[0, :, spot], pixels[1, :, spot] = (2, -2, 0), (0, 2, 2)
    this, other = encoder.embed(pixels)
    found = attribution_map(encoder, pixels[0], this - other)
    halves = np.split(np.abs(found), 2, axis=1)
    told, quiet = halves if where == "left" else halves[::-1]
    assert told.mean() > 1.2 * quiet.mean()
    assert found[there].min() > max(found[~there].max(), 0), "it speaks for the photo it is in"


@pytest.mark.parametrize("name", [MEANS[0], OTHERS[0], OTHERS[2]])
def test_a_map_does_not_change_the_network(name):
    encoder = make_encoder(name)
    pixels, direction = noise(encoder)
    before = encoder.embed(pixels[None])
    maps = [attribution_map(encoder, pixels, direction) for _ in range(2)]
    with torch.inference_mode():
        maps.append(attribution_map(encoder, pixels, direction))
        assert torch.is_inference_mode_enabled()
    assert np.ptp(maps[0]) > 1e-4
    assert maps[1] == pytest.approx(maps[0], rel=1e-4, abs=1e-7)
    assert maps[2] == pytest.approx(maps[0], rel=1e-4, abs=1e-7)
    assert encoder.embed(pixels[None]) == pytest.approx(before, abs=1e-6)
    assert torch.is_grad_enabled()
    assert not hooks(encoder)
    assert all(weight.grad is None for weight in encoder.module.parameters())


def hooks(encoder) -> list[object]:
    return [hook for part in encoder.module.modules() for hook in part._forward_pre_hooks]


def test_hooks_are_removed_after_errors():
    encoder = make_encoder("timm:test_vit")
    pixels, direction = noise(encoder)

    def fail(*_):
        hooked.extend(hooks(encoder))
        raise RuntimeError("out of memory")

    hooked = []
    encoder.module.norm.forward = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        attribution_map(encoder, pixels, direction)
    assert hooked, "there was one"
    assert not hooks(encoder)
    assert torch.is_grad_enabled()


def test_concurrent_embedding_is_not_affected():
    encoder = make_encoder("timm:test_vit")
    pixels, direction = noise(encoder)
    others = noise(encoder, seed=1)[0][None]
    expected, alone = encoder.embed(others), attribution_map(encoder, pixels, direction)
    embedded = []

    def embed_elsewhere(_module, _inputs):
        hook.remove()  # once, while the map's own hook is in place
        thread = threading.Thread(target=lambda: embedded.append(encoder.embed(others)))
        thread.start()
        thread.join()

    hook = encoder.module.patch_embed.register_forward_pre_hook(embed_elsewhere)
    found = attribution_map(encoder, pixels, direction)
    assert embedded[0] == pytest.approx(expected, abs=1e-6)
    assert found == pytest.approx(alone, rel=1e-4, abs=1e-7)


class Convolutions(torch.nn.Module):
    """A network whose blocks process grids instead of tokens, as in EfficientNet."""

    def __init__(self, prefix: dict[str, int]) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.Conv2d(4, 4, 1))
        for key, value in prefix.items():
            setattr(self, key, value)

    def forward(self, pixels):
        return self.blocks(pixels).mean(dim=(2, 3))


@pytest.mark.parametrize("prefix", [{}, {"num_prefix_tokens": 0}])
def test_networks_without_patches_have_no_map(prefix):
    encoder = SimpleNamespace(module=Convolutions(prefix))
    assert attribution_map(encoder, np.ones((3, 32, 32), np.float32), np.ones(4)) is None
    assert not may_have_map(SimpleNamespace(module=torch.nn.Linear(1, 1)))
    assert not hooks(encoder)


def test_exported_encoders_have_no_map():
    exported = SimpleNamespace(spec=None, embed=lambda pixels: pixels.mean(axis=(2, 3)))
    assert attribution_map(exported, np.ones((3, 8, 8), np.float32), np.ones(3)) is None
    assert not may_have_map(exported)


@pytest.mark.parametrize("name", [MEANS[0], OTHERS[0], OTHERS[2]])
def test_an_encoder_inside_another_one_is_explained(name):
    encoder = make_encoder(name)
    pixels, direction = noise(encoder)
    wrapped = SimpleNamespace(inner=SimpleNamespace(inner=encoder))
    assert may_have_map(wrapped)
    assert attribution_map(wrapped, pixels, direction) == pytest.approx(
        attribution_map(encoder, pixels, direction), rel=1e-4, abs=1e-7
    )


@pytest.fixture
def heads():
    rng = np.random.default_rng(0)
    shapes = {"mean": (12,), "projection": (12, 6), "weight": (6, 4), "bias": (4,)}
    random = {key: rng.normal(size=shape) for key, shape in shapes.items()}  # in float64
    return Heads(
        **random,
        active=np.array([5, 0, 2, 3], np.int32),
        prior=np.full(7, 1 / 7),
        shift=np.zeros(7, np.float32),
    )


def inside(*share: float) -> ConstraintMask:
    """Return a constraint that holds these shares of the cells."""
    return ConstraintMask("", np.array(share, np.float32), np.zeros((7, 2)), np.ones(1, bool))


@pytest.mark.parametrize("constraint", [None, inside(0.3, 0, 1, 1, 0, 0.5, 0)])
@pytest.mark.parametrize("cell", [0, 3, 5])
def test_the_direction_is_the_gradient_of_the_log_belief(heads, cell, constraint):
    embedding = normalise(np.random.default_rng(1).normal(size=(1, 12)))[0].astype(np.float64)
    found = answer_direction(heads, embedding, cell, constraint)
    step = 1e-2

    def log_belief(moved):
        belief = heads.classify(heads.features(moved[None]))
        if constraint is not None:
            belief = constraint.mask(belief, heads.prior)
        return np.log(belief[0, cell].astype(np.float64))

    steps = step * np.eye(12)
    slopes = [(log_belief(embedding + s) - log_belief(embedding - s)) / (2 * step) for s in steps]
    assert found.dtype == np.float32
    assert np.abs(found).max() > 0.1
    assert found == pytest.approx(slopes, abs=2e-3)


def test_an_inactive_cell_has_a_zero_direction(heads):
    embedding = normalise(np.random.default_rng(1).normal(size=(1, 12)))[0]
    assert answer_direction(heads, embedding, 1).tolist() == [0] * 12
    assert answer_direction(heads, embedding, 2).any()
    assert not answer_direction(heads, embedding, 2, inside(0, 1, 0, 0, 0, 0, 0)).any()


def test_the_mean_embedding_has_a_zero_direction(heads):
    assert answer_direction(heads, heads.mean, 0).tolist() == [0] * 12
