"""Attribution maps on the page, with the geolocator of the real service."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from demo.api.inference import ConcurrentGeolocator
from demo.page import rendering
from demo.page.controller import Controller
from demo.page.session import Asked
from geoloc.bundle import directory as bundles
from geoloc.encoders.base import EncoderSpec, Preprocessing
from geoloc.encoders.registry import build_encoder
from geoloc.geolocator import Geolocator

CLIP = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, resize="clip")


@pytest.fixture(scope="module")
def starter():
    return bundles.load("starter")


@pytest.fixture(scope="module")
def vit(tmp_path_factory, starter):
    """A vision transformer with CLIP's crop, random weights and the starter's dimension."""
    torch, open_clip = pytest.importorskip("torch"), pytest.importorskip("open_clip")
    folder, dim = tmp_path_factory.mktemp("towers"), starter.encoder_spec.dim
    vision = {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "image_size": CLIP.size}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": dim, "vision_cfg": vision, "text_cfg": text}
    (folder / "page_vit.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns of random weights
    encoder = build_encoder(EncoderSpec("open_clip", "page_vit", "", dim, CLIP))
    logging.getLogger().setLevel(level)
    return encoder


@pytest.fixture
def landscape(tmp_path):
    """A wide photo."""
    path = tmp_path / "landscape.png"
    pixels = np.random.default_rng(0).integers(0, 255, (6, 15, 3), np.uint8)
    Image.fromarray(pixels).resize((600, 240)).save(path)
    return path


def test_the_service_explains_its_answers_and_respects_the_constraint(starter, vit, landscape):
    service, library = ConcurrentGeolocator(starter, vit), Geolocator(starter, vit)
    maps = [service.attribution(landscape, within) for within in (None, "Australia")]
    assert maps[0].shape == (4, 4)
    assert np.ptp(maps[0]) > 1e-6
    assert maps[0] == pytest.approx(library.attribution(landscape), rel=1e-3, abs=1e-6)
    assert maps[1] == pytest.approx(library.attribution(landscape, "Australia"), rel=1e-3, abs=1e-6)
    assert np.abs(maps[0] - maps[1]).max() > 1e-2 * np.ptp(maps[0])


def test_the_page_shows_the_map_of_the_answer_inside_the_constraint(
    starter, vit, landscape, monkeypatch
):
    service, overlays = ConcurrentGeolocator(starter, vit), []
    monkeypatch.setattr(
        rendering, "attribution_overlay", lambda *shown: overlays.append(shown) or shown[0]
    )
    controller = Controller({"starter": service}, lambda guess: guess)
    for within in (None, "Australia"):
        session = controller.locate([landscape], "starter", False, lambda w=within: Asked(w))[
            "session"
        ]
        assert "data:image/jpeg" in controller.explain(session)["attribution"]
        _, _, patches = overlays.pop()
        assert patches == pytest.approx(service.attribution(landscape, within), rel=1e-3, abs=1e-6)


def test_the_starter_has_no_map_and_decodes_no_photo_for_it(starter, landscape, monkeypatch):
    service = ConcurrentGeolocator(starter)
    controller = Controller({"starter": service}, lambda guess: guess)
    session = controller.locate([landscape], "starter", False, Asked)["session"]
    monkeypatch.setattr(service, "load", None)
    assert controller.explain(session)["attribution"] == ""


@pytest.mark.parametrize("resize", ["squash", "crop", "clip"])
@pytest.mark.parametrize("size", [(300, 200), (200, 301), (640, 64), (77, 77)])
def test_the_overlay_covers_what_the_encoder_sees(resize, size):
    """A bright spot lies at the same place in the network's input and in the overlay's photo."""
    at = np.mgrid[: size[1], : size[0]] / np.array(size[::-1])[:, None, None]
    spot = np.exp(-50 * ((at[0] - 0.4) ** 2 + (at[1] - 0.52) ** 2))
    photo = Image.fromarray((255 * spot).astype(np.uint8)).convert("RGB")
    preprocessing = replace(CLIP, resize=resize)
    seen = (preprocessing(photo)[0] + 1) / 2
    overlay = rendering.attribution_overlay(photo, preprocessing, np.zeros((4, 4), np.float32))
    shown = np.asarray(overlay.convert("L").resize((32, 32)), np.float32) / 255
    assert np.abs(shown - seen).max() < 0.12
