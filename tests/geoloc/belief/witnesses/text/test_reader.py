"""Lines of text in photos: found, read, turned, missing models, damaged and huge pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("rapidocr", reason="the networks that read text are not installed")
pytest.importorskip("phonenumbers")
pytest.importorskip("py3langid")

from geoloc.belief.witnesses.ocr import networks, tesseract
from geoloc.belief.witnesses.ocr.boxes import line_boxes
from geoloc.belief.witnesses.ocr.reader import TextReader
from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.belief.witnesses.text.witness import TextWitness
from geoloc.bundle.directory import load
from geoloc.photos import decode


def sign(text: str, size: tuple[int, int] = (640, 400)) -> Image.Image:
    """Return a blue board on grey."""
    photo = Image.new("RGB", size, (120, 130, 120))
    board = Image.new("RGB", (420, 90), (20, 40, 120))
    font = ImageFont.load_default(48)
    ImageDraw.Draw(board).text((20, 12), text, font=font, fill="white")
    photo.paste(board, (100, 150))
    return photo


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader()


def test_a_sign_is_read_with_its_box(reader):
    (line,) = reader.read(sign("Rua Augusta")).lines
    assert line.text.replace(" ", "") == "RuaAugusta"
    left, top, right, bottom = line.box
    assert 100 / 640 - 0.05 < left < right < 520 / 640 + 0.05
    assert 150 / 400 - 0.05 < top < bottom < 240 / 400 + 0.05


def test_a_line_upside_down_is_read(reader):
    turned = sign("Rua Augusta").transpose(Image.Transpose.ROTATE_180)
    assert [line.text.replace(" ", "") for line in reader.read(turned).lines] == ["RuaAugusta"]


def test_a_photo_without_text_is_left_after_its_sketch(reader, monkeypatch):
    seen = []
    heat = reader.networks.heat
    monkeypatch.setattr(reader.networks, "heat", lambda im: seen.append(im.size) or heat(im))
    tower = Path(__file__).parents[5] / "demo/examples/tower.jpg"
    assert not reader.read(Image.open(tower).convert("RGB")).lines
    assert seen == [(480, 361)]


def test_boxes_of_a_tilted_line_follow_it():
    heat = Image.new("L", (200, 100))
    ImageDraw.Draw(heat).polygon([(20, 30), (180, 60), (177, 74), (17, 44)], fill=255)
    (box,) = line_boxes(np.asarray(heat, np.float32) / 255.0, 10)
    along = box[1] - box[0]
    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(10.6, abs=2.0)


def test_missing_networks_are_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    with pytest.raises(networks.TextModelsError, match="pip install --no-deps rapidocr"):
        WitnessOptions(read_text=True).witnesses(load("starter").cells)


def test_without_tesseract_a_script_names_its_package(monkeypatch):
    monkeypatch.setattr(tesseract.shutil, "which", lambda name: None)
    models = tesseract.ScriptModels()
    assert models.read([Image.new("RGB", (80, 20))], "Hangul") == [("", 0.0)]
    assert models.remedy("Hangul") == "apt install tesseract-ocr tesseract-ocr-script-hang"


def test_a_photo_of_100_megapixels_is_read(reader):
    large = Image.new("RGB", (12_000, 8_400), (120, 130, 120))
    large.paste(sign("Apotheke").crop((100, 150, 520, 240)).resize((5040, 1080)), (3000, 3000))
    assert [line.text for line in reader.read(large).lines] == ["Apotheke"]


def test_a_sign_is_evidence_and_is_explained():
    cells = load("starter").cells
    file = io.BytesIO()
    sign("Rua Augusta").save(file, "PNG")
    found = TextWitness(cells).evidence(decode.load(file.getvalue(), name="sign.png"))
    assert found is not None
    assert found.findings[0].kind == "street word"
    assert found.findings[0].box is not None
    portugal, france = (found.log_likelihood[cells.country == c].mean() for c in ("PT", "FR"))
    assert portugal > france + 1.0
