"""Our GeoCLIP gives the same answers as the original code with the same weights."""

import copy
import shutil
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
geoclip = pytest.importorskip("geoclip")

from geoloc.encoders.clip import GeoClipEncoder, geoclip_spec, tower_of
from geoloc.encoders.towers import location
from geoloc.errors import BundleError
from training.recipes.geoclip import published

PHOTOS = 3
TOP = 5


@pytest.fixture(scope="module")
def parts():
    return published.Published.find()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """GeoCLIP's own model and weights, over CLIP's architecture with fewer layers, random."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    text = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1,
            "intermediate_size": 64, "projection_dim": 768}  # fmt: skip
    vision = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 2,
              "num_attention_heads": 4, "patch_size": 14, "projection_dim": 768}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor().save_pretrained(folder)
    original = geoclip.model.image_encoder.AutoProcessor
    geoclip.model.image_encoder.AutoProcessor = transformers.AutoImageProcessor  # no tokeniser here
    try:
        yield geoclip.GeoCLIP(clip_path=str(folder)).eval()
    finally:
        geoclip.model.image_encoder.AutoProcessor = original


@pytest.fixture(scope="module")
def encoder(theirs, parts, tmp_path_factory):
    """Our image encoder, with their tower's weights through the key map."""
    from safetensors.numpy import save_file

    folder = tmp_path_factory.mktemp("bundle")
    save_file(parts.image_head(), folder / "image_head.safetensors")
    clip = theirs.image_encoder.CLIP
    tower = tower_of(clip.config.vision_config.to_dict(), clip.state_dict())
    return GeoClipEncoder(geoclip_spec("two layers", ""), folder, tower)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{number}.jpg" for number in range(PHOTOS)]
    rng = np.random.default_rng(0)
    for number, path in enumerate(paths):
        image = Image.fromarray(load_sample_image(("china.jpg", "flower.jpg")[number % 2]))
        size = [int(side * rng.uniform(0.4, 1.0)) for side in image.size]
        left, top = (
            int(rng.integers(0, whole - part + 1))
            for whole, part in zip(image.size, size, strict=True)
        )
        image.crop((left, top, left + size[0], top + size[1])).save(path, quality=95)
    return paths


@pytest.mark.parametrize("points", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_answers_equal_those_of_geoclip(theirs, encoder, parts, photos, points, monkeypatch):
    """Same places and probabilities within 1e-5, from the file to the answer.

    Their network of places computes in float64: in float32 it differs from itself by more.
    """
    every = len(theirs.gps_gallery) // points
    gallery = theirs.gps_gallery[::every]
    ours = published.GeoClip(encoder, parts, parts.gallery[::every])
    assert len(ours.gallery) == points
    exact = copy.deepcopy(theirs.location_encoder).double()
    with torch.inference_mode():  # as `predict`, but it encodes the gallery for each photo
        vectors = torch.cat([exact(part.double()) for part in gallery.split(4096)]).float()
        vectors = torch.nn.functional.normalize(vectors)
    monkeypatch.setitem(theirs._buffers, "gps_gallery", gallery)
    monkeypatch.setattr(theirs.location_encoder, "forward", lambda gallery: vectors)
    for photo in photos:
        latlon, probability = theirs.predict(str(photo), TOP)
        mine, belief = ours.predict(photo, TOP)
        assert mine == pytest.approx(latlon.numpy(), abs=0.0)
        assert belief == pytest.approx(probability.numpy(), abs=1e-5)


def test_image_embeddings_equal_those_of_geoclip(theirs, encoder, photos):
    pixels = encoder.spec.preprocessing
    with torch.inference_mode():
        for photo in photos:
            image = Image.open(photo).convert("RGB")
            prepared = theirs.image_encoder.preprocess_image(image)
            assert np.abs(pixels(image) - prepared[0].numpy()).max() < 1.01 / 255 / 0.26 * 2
            expected = torch.nn.functional.normalize(theirs.image_encoder(prepared))
            assert encoder.embed(prepared.numpy()) == pytest.approx(expected.numpy(), abs=1e-5)


def vectors_of_geoclip(network, latlon):
    """Return vectors of coordinates by the published code, in float32 and in float64."""
    given = torch.from_numpy(latlon).float()
    normalise = torch.nn.functional.normalize
    with torch.inference_mode():
        single = normalise(network(given)).numpy()
        return single, normalise(network.double()(given.double())).numpy()


def places(count):
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(-90, 90, count), rng.uniform(-180, 180, count)])


def test_location_vectors_equal_those_of_geoclip(theirs, parts):
    latlon = places(500)
    single, double = vectors_of_geoclip(geoclip.LocationEncoder().eval(), latlon)
    mine = parts.location_encoder().embed(latlon)
    assert mine == pytest.approx(double, abs=1e-5)
    assert (mine * single).sum(axis=1).min() > 1.0 - 1e-6
    assert parts.logit_scale == pytest.approx(theirs.logit_scale.exp().item())
    assert parts.location_encoder().embed(np.empty((0, 2))).shape == (0, 512)


@pytest.mark.parametrize("place", [(91.0, 0.0), (0.0, 181.0), (np.nan, 0.0)])
def test_coordinates_out_of_range_are_refused(place, parts):
    with pytest.raises(ValueError, match="coordinates"):
        parts.location_encoder().embed([place])


def test_vectors_of_random_weights_equal_those_of_geoclip_from_coordinates_on():
    torch.manual_seed(0)
    fresh = geoclip.LocationEncoder(from_pretrained=False).eval()  # the published shapes
    state = {name: tensor.numpy().copy() for name, tensor in fresh.state_dict().items()}
    latlon = places(300)
    single, double = vectors_of_geoclip(fresh, latlon)
    mine = location.LocationEncoder.of(state, "random").embed(latlon)
    assert mine == pytest.approx(double, abs=1e-6)
    # what is left is how far GeoCLIP's code in float32 is from itself in float64
    assert np.abs(mine - single).max() <= np.abs(double - single).max() + 1e-6


def install(monkeypatch, folder: Path | None) -> None:
    """Make `find_spec` find the package in a folder, or not at all."""
    spec = ModuleSpec("geoclip", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(published, "find_spec", lambda name: folder and spec)


def test_missing_or_altered_files_are_reported_with_the_remedy(tmp_path, parts, monkeypatch):
    install(monkeypatch, None)
    with pytest.raises(BundleError, match="pip install --no-deps geoclip=="):
        published.Published.find()
    shutil.copytree(Path(geoclip.__file__).parent / "model", tmp_path / "model")
    install(monkeypatch, tmp_path)
    published.Published.find()
    weights = tmp_path / "model" / "weights" / "logit_scale_weights.pth"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(
        BundleError, match=r"logit_scale_weights\.pth is missing, or not the published"
    ):
        published.Published.find()


def test_the_files_are_read_from_the_wheel(tmp_path, parts, monkeypatch):
    model = Path(geoclip.__file__).parent / "model"
    with zipfile.ZipFile(tmp_path / "geoclip.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in published._FILES:
            wheel.write(model / name, f"geoclip/model/{name}")
    install(monkeypatch, None)
    found = published.Published.find(tmp_path / "geoclip.whl")
    assert (found.gallery == parts.gallery).all()
    assert found.logit_scale == parts.logit_scale
    for broken in (b"", b"PK\3\4 cut off"):
        (tmp_path / "broken.whl").write_bytes(broken)
        with pytest.raises(BundleError, match=r"broken\.whl: not a readable wheel"):
            published.Published.find(tmp_path / "broken.whl")
