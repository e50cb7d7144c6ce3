"""A small world model built, loaded and queried; galleries; simulated photos."""

import json

import numpy as np
import pytest
from PIL import Image

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")
pytest.importorskip("geoclip")

from geocells.attributes import is_land, koppen
from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import haversine_km
from geoloc import Geolocator
from geoloc.belief.constraints import parse
from geoloc.bundle import directory
from geoloc.errors import BundleError, ConstraintError, GeolocError, TableError
from training.config import HeadConfig, WorldConfig
from training.embed import quantise
from training.recipes.geoclip import gallery
from training.recipes.geoclip.build import REAL, SIMULATED, build_world
from training.recipes.geoclip.encoder import load_world_encoder
from training.recipes.geoclip.models import from_torch
from training.recipes.geoclip.published import Published
from training.recipes.geoclip.simulated_photos import look_alikes, simulate_embeddings

TOWER = {
    "embed_dim": 768,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": 1, "width": 64, "head_width": 32, "patch_size": 56},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}
SMALL = {"per_cell": 40, "examples": 1500, "held_out": 300}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A tower of one layer, with random weights in a file."""
    folder = tmp_path_factory.mktemp("tower")
    (folder / "world-test-tower.json").write_text(json.dumps(TOWER))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model("world-test-tower")
    torch.save(model.state_dict(), folder / "tower.pt")
    return f"world-test-tower/{folder / 'tower.pt'}"


@pytest.fixture(scope="module")
def photo_places():
    return Published.find().gallery[::100]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def heads():
    return HeadConfig(tau_km=75.0, features=64, epochs=2, weight_decay=10.0, whitening=0.0)


@pytest.fixture(scope="module")
def world(clip, photo_places, cache, heads, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "world"
    points = np.unique(np.concatenate([photo_places, photo_places + 0.01]), axis=0)
    config = WorldConfig(heads=heads, **SMALL)
    model = from_torch(cache, clip, "whole")
    metrics = build_world(out, model, points, photo_places, cache=cache, config=config)
    return out, points, metrics


def test_bundle_answers(world):
    out, points, _ = world
    loaded = directory.load(out)
    assert len(loaded.ranker.gallery.members) == len(points)
    image = Image.radial_gradient("L").convert("RGB")
    guess = Geolocator.from_bundle(out).locate(image)
    assert guess.bundle == "world"
    assert guess.confidence == "not sure"
    for place in guess.candidates:
        assert haversine_km([place.lat, place.lon], points).min() < 1.0
    assert Geolocator.from_bundle(out).locate(image, within="Italy").place.country == "Italy"


def test_accuracy_is_labelled_as_simulated_and_nothing_is_claimed(world):
    out, _, metrics = world
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Not tested on photographs" in card
    assert list(metrics) == [SIMULATED]
    accuracy = metrics[SIMULATED]["accuracy"]
    assert accuracy["full"]["within"]["25"] > 0.2
    assert accuracy["full"]["geoscore"] > accuracy["prior"]["geoscore"] + 500
    assert sum(claim["photos"] for claim in metrics[SIMULATED]["claims"].values()) == 0
    assert "MIT" in "".join(json.loads((out / "bundle.json").read_text())["licences"])


def test_real_photos_calibrate_the_bundle(
    clip, photo_places, cache, heads, photo_folder, tmp_path, monkeypatch
):
    config = WorldConfig(heads=heads, **SMALL)
    model = from_torch(cache, clip, "torch")
    options = {"cache": cache, "config": config, "photos": photo_folder}
    with pytest.raises(TableError, match="60 usable photos; calibrating needs at least 200"):
        build_world(tmp_path / "few", model, photo_places, photo_places, **options)
    assert not (tmp_path / "few").exists()
    monkeypatch.setattr("training.recipes.geoclip.build.MIN_PHOTOS", 50)
    metrics = build_world(tmp_path / "real", model, photo_places, photo_places, **options)
    assert metrics[REAL]["accuracy"]["full"]["photos"] == 60
    assert "Not tested" not in (tmp_path / "real" / "MODEL_CARD.md").read_text(encoding="utf-8")
    loaded = directory.load(tmp_path / "real")
    assert loaded.encoder_spec.kind == "geoclip"
    loaded.build_encoder()
    (tmp_path / "real" / "image_head.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="not a readable image head"):
        loaded.build_encoder()


def test_the_int8_form_is_written_where_answers_agree(clip, cache, tmp_path, monkeypatch):
    def nowhere(embeddings):
        return np.zeros((len(embeddings), 2))

    published = Published.find()
    encoder = load_world_encoder(published, cache, clip, "int8")
    both = encoder.with_int8(tmp_path, nowhere)
    assert [file.name for file in both.files] == ["encoder.onnx", "encoder.int8.onnx"]
    assert "with an int8 form: cosine " in both.note
    kinds = [node.op_type for node in onnx.load(both.files[1]).graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 4, "attention in and out, and both of the MLP"
    monkeypatch.setattr(quantise, "LEAST_COSINE", 1.1)
    refused = encoder.with_int8(tmp_path, nowhere)
    assert refused.files == encoder.files
    assert "no int8 form, because it gives other answers: cosine " in refused.note
    whole = load_world_encoder(published, cache, clip, "whole")
    assert whole.with_int8(tmp_path, nowhere) is whole


def test_missing_clip_weights_are_reported_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match="the weights cannot be loaded") as refused:
        load_world_encoder(Published.find(), tmp_path, "ViT-B-32/no-such-weights", "whole")
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("encoders/*/*"))


def test_default_gallery_is_dense_populated_land(photo_places):
    points = gallery.everywhere(photo_places, 250_000)
    assert len(points) == 250_000
    assert len(np.unique(np.floor(points / 0.002), axis=0)) == len(points)
    scattered = points[-5000:]
    assert is_land(scattered).all()
    again = gallery.everywhere(photo_places, 250_000)
    assert (points == again).all()
    assert len(gallery.everywhere(photo_places, 1)) > 200_000  # all towns and photo places are kept


def test_region_has_street_resolution():
    points = gallery.region("48.8566,2.3522,3km", 0.2)
    centre = haversine_km(points, (48.8566, 2.3522))
    assert centre.max() <= 3.0
    assert len(points) == pytest.approx(np.pi * 9.0 / 0.04, rel=0.05)
    apart = haversine_km(points[:, None], points[None]) + 9 * np.eye(len(points))
    assert apart.min() == pytest.approx(0.2, rel=0.1)
    malta = gallery.region("Malta", 1.0)
    assert parse("Malta").contains(malta).all()
    with pytest.raises(GeolocError, match="smaller region or a coarser grid"):
        gallery.region("France", 0.05)
    with pytest.raises(GeolocError, match="choose a smaller step"):
        gallery.region("0,-30,1km", 0.1)  # the sea
    with pytest.raises(ConstraintError):
        gallery.region("Nowhereland")


def test_table_of_points_leaves_out_unusable_rows(tmp_path):
    table = tmp_path / "my.csv"
    table.write_text("lat,lon\n48.1,11.5\n48.2,11.6\n95,0\nnorth,west\n48.1,11.5\n")
    points, problems = gallery.from_table(table)
    assert points.tolist() == [[48.1, 11.5], [48.2, 11.6]]
    assert ["1 of 5 rows" in problem for problem in problems] == [True, True]
    table.write_text("lat,lon\n95,0\n")
    with pytest.raises(TableError, match="no row has usable coordinates"):
        gallery.from_table(table)


def test_look_alikes_share_country_or_climate(photo_places):
    rng = np.random.default_rng(0)
    rows = look_alikes(photo_places, photo_places, rng)
    country = embedded_boundaries().country
    same_country = country.locate(photo_places) == country.locate(photo_places[rows])
    same_climate = koppen(photo_places) == koppen(photo_places[rows])
    assert (same_country | same_climate).mean() > 0.99  # except places alone in both
    assert 0.4 < same_country.mean() < 0.8


def test_simulated_photos_resemble_their_places_and_look_alikes():
    rng = np.random.default_rng(0)
    places = rng.standard_normal((400, 64)).astype(np.float32)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    alike = rng.permutation(400)
    photos = simulate_embeddings(places, places, alike, rng)
    assert np.linalg.norm(photos, axis=1) == pytest.approx(1.0, abs=1e-5)
    own = (photos * places).sum(axis=1).mean()
    other = (photos * places[alike]).sum(axis=1).mean()
    stranger = (photos * np.roll(places, 1, axis=0)).sum(axis=1).mean()
    assert own == pytest.approx(other, abs=0.05)
    assert own > stranger + 0.2
