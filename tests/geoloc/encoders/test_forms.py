"""The forms of an encoder: which one is chosen, and how far their embeddings agree."""

import json

import numpy as np
import pytest

from geoloc.bundle import directory
from geoloc.encoders import forms, onnx
from geoloc.encoders.cache import EmbeddingCache
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import BundleError
from geoloc.geolocator import Geolocator
from tests.scenes import draw_photo


@pytest.fixture(scope="module")
def bundle():
    return directory.load("starter")


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    return [draw_photo(style, rng) for style in (0, 1, 2) * 3]


@pytest.fixture
def free(monkeypatch, tmp_path):
    """No form is forced, and the cache folder is empty."""
    monkeypatch.delenv(forms.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def encoder_in(form, monkeypatch):
    monkeypatch.setenv(forms.VARIABLE, form)
    return directory.load("starter").build_encoder()


def embedded(encoder, photos):
    return encode_all(encoder, photos, strict=True).embeddings


def test_both_forms_give_nearly_the_same_embeddings(photos, monkeypatch):
    whole, quantised = (
        embedded(encoder_in(form, monkeypatch), photos) for form in (forms.FP32, forms.INT8)
    )
    assert np.median((whole * quantised).sum(axis=1)) >= 0.98  # drawn photos, far from real ones


@pytest.mark.parametrize("form", forms.FORMS)
def test_embeddings_do_not_depend_on_the_batch(photos, form, monkeypatch):
    encoder = encoder_in(form, monkeypatch)
    together = embedded(encoder, photos)
    alone = np.concatenate([embedded(encoder, [photo]) for photo in photos])
    assert np.abs(together - alone).max() <= (0.0 if form == forms.INT8 else 1e-5)


def test_the_quantised_network_takes_pictures_and_normalised_values(photos, monkeypatch):
    encoder = encoder_in(forms.INT8, monkeypatch)
    pixels = np.stack([encoder.spec.preprocessing.square(photo) for photo in photos])
    values = encoder.spec.preprocessing.normalised(pixels)
    assert np.array_equal(encoder.spec.preprocessing.to_bytes(values), pixels)
    assert np.array_equal(encoder.embed(pixels), encoder.embed(values))


def test_a_guess_names_the_quantised_form(photos, monkeypatch):
    monkeypatch.setenv(forms.VARIABLE, forms.INT8)
    assert Geolocator.from_bundle("starter").locate(photos[0]).bundle == "starter (int8)"
    assert Geolocator.from_bundle("starter", "fp32").locate(photos[0]).bundle == "starter"


def test_cached_embeddings_are_kept_by_form(bundle, tmp_path, monkeypatch):
    names = set()
    for form in forms.FORMS:
        spec = encoder_in(form, monkeypatch).spec
        with EmbeddingCache(tmp_path, spec):
            names = {path.name for path in (tmp_path / "embeddings").glob("*.sqlite")}
    assert len(names) == 2


def test_the_fastest_form_is_measured_once(bundle, free, monkeypatch):
    both = [bundle.encoder_spec, bundle.quantised_spec]
    chosen = forms.choose(both, bundle.path)
    (note,) = free.rglob("forms/*.json")
    kept = json.loads(note.read_text())
    assert kept["form"] == forms.form_of(chosen)
    other = forms.INT8 if kept["form"] == forms.FP32 else forms.FP32
    note.write_text(json.dumps({"form": other}))
    assert forms.form_of(forms.choose(both, bundle.path)) == other


def test_a_form_is_measured_again_on_another_machine(bundle, free, monkeypatch):
    both = [bundle.encoder_spec, bundle.quantised_spec]
    forms.choose(both, bundle.path)
    monkeypatch.setattr(forms.machine, "cpu", lambda: ("another", frozenset()))
    forms.choose(both, bundle.path)
    assert len(list(free.rglob("forms/*.json"))) == 2


@pytest.mark.parametrize("damage", ["not JSON", "[]", '{"form": "int2"}', ""])
def test_a_damaged_choice_is_measured_again(bundle, free, damage):
    both = [bundle.encoder_spec, bundle.quantised_spec]
    forms.choose(both, bundle.path)
    (note,) = free.rglob("forms/*.json")
    note.write_text(damage)
    assert forms.choose(both, bundle.path) in both
    assert json.loads(note.read_text())["form"] in forms.FORMS


def test_a_form_is_chosen_without_a_cache_folder(bundle, free):
    (free / "planet-geoloc").write_text("a file where the folder would be")
    both = [bundle.encoder_spec, bundle.quantised_spec]
    assert forms.choose(both, bundle.path) in both


def test_a_bundle_without_int8_is_used_in_full_precision(bundle, monkeypatch):
    monkeypatch.setenv(forms.VARIABLE, forms.INT8)
    assert forms.choose([bundle.encoder_spec], bundle.path) == bundle.encoder_spec


def test_an_unknown_form_is_refused(bundle, monkeypatch):
    monkeypatch.setenv(forms.VARIABLE, "int4")
    with pytest.raises(BundleError, match=r"GEOLOC_FORM=int4.*fp32 or int8"):
        forms.choose([bundle.encoder_spec], bundle.path)


@pytest.mark.parametrize("form", forms.FORMS)
def test_an_optimised_graph_is_kept_and_gives_the_same_embeddings(photos, form, free, monkeypatch):
    first = embedded(encoder_in(form, monkeypatch), photos)
    (graph,) = free.rglob("graphs/*.onnx")
    written = graph.stat().st_mtime_ns
    assert np.array_equal(embedded(encoder_in(form, monkeypatch), photos), first)
    assert graph.stat().st_mtime_ns == written
    graph.write_bytes(b"damaged")
    assert np.array_equal(embedded(encoder_in(form, monkeypatch), photos), first)
    assert graph.stat().st_size > 1000


def test_an_encoder_is_loaded_without_a_cache_folder(photos, free, monkeypatch):
    (free / "planet-geoloc").write_text("a file where the folder would be")
    assert len(embedded(encoder_in(forms.FP32, monkeypatch), photos[:1])) == 1


def test_a_large_network_is_packed_when_it_has_embedded_some_photos(photos, monkeypatch):
    loaded = []
    load = onnx.load_network
    monkeypatch.setattr(onnx, "LARGEST_BYTES", 10)
    monkeypatch.setattr(onnx, "SIDE_BY_SIDE_BYTES", 10)
    monkeypatch.setattr(onnx, "PACKED_FROM", 4)
    monkeypatch.setattr(
        onnx,
        "load_network",
        lambda *args, **options: loaded.append(options) or load(*args, **options),
    )
    encoder = encoder_in(forms.FP32, monkeypatch)
    first = embedded(encoder, photos[:2])
    assert loaded == [{"packed": False}]
    again = embedded(encoder, photos[:2])
    assert loaded == [{"packed": False}, {}]
    assert np.abs(again - first).max() <= 1e-5
    embedded(encoder, photos)
    assert len(loaded) == 2


@pytest.mark.parametrize("form", forms.FORMS)
@pytest.mark.parametrize("cores", [1, 2, 5])
def test_embeddings_do_not_depend_on_the_cores(photos, form, cores, monkeypatch):
    expected = embedded(encoder_in(form, monkeypatch), photos)
    monkeypatch.setattr(onnx.machine, "cores", lambda: cores)
    found = embedded(encoder_in(form, monkeypatch), photos)
    assert np.abs(found - expected).max() <= (0.0 if form == forms.INT8 else 1e-5)
