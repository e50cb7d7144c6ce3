"""`geoloc locate --read-text` explains signs in words that a journalist can quote."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageFilter

pytest.importorskip("rapidocr", reason="the networks that read text are not installed")
pytest.importorskip("phonenumbers")
pytest.importorskip("py3langid")

from geoloc.belief.witnesses.ocr.tesseract import ScriptModels
from training.witnesses import signs

SIGNS = {
    "hangul": "부산 해운대구",
    "phone": "Tel. +49 30 901820",
    "street": "Rua Augusta",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of a wall with a sign."""
    folder, rng = tmp_path_factory.mktemp("signs"), np.random.default_rng(3)
    for name, text in SIGNS.items():
        wall = Image.fromarray(rng.integers(90, 160, (600, 900, 3), np.uint8))
        wall = wall.filter(ImageFilter.GaussianBlur(6))
        if (sign := signs.line(text, rng, 56.0)) is None:
            pytest.skip(f"no font is installed that has {text}")
        wall.paste(sign, (120, 240))
        wall.save(folder / f"{name}.jpg", quality=92)
    return folder


def geoloc(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "geoloc", *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_german_telephone_number_and_a_portuguese_street_are_explained(photos):
    told = geoloc("locate", "--read-text", photos / "phone.jpg", photos / "street.jpg")
    assert '"+49 30 901820": a telephone number of Berlin, Germany' in told
    assert '"Rua Augusta": "Rua" is a word for a street or square in Portuguese, spoken in' in told
    assert "Brazil, Angola, Portugal and" in told
    assert told.count("text in the photo: ") == 2
    assert "without it the answer would be" in told


@pytest.mark.skipif("Hangul" not in ScriptModels().installed, reason="no model of Hangul")
def test_a_hangul_sign_is_explained_and_makes_korea_the_answer(photos):
    answer = json.loads(geoloc("locate", "--read-text", "--json", photos / "hangul.jpg"))
    meanings = [finding["meaning"] for finding in answer["witnesses"][0]["findings"]]
    assert "Korean script (Hangul), used in South Korea and North Korea" in meanings
    assert "names Busan (Busan, South Korea)" in meanings
    assert answer["candidates"][0]["place"]["country"] == "South Korea"


def test_batch_counts_what_locate_counts(photos, tmp_path):
    out = tmp_path / "answers.jsonl"
    geoloc("batch", photos / "phone.jpg", "-o", out, "--quiet", "--read-text")
    (answer,) = map(json.loads, out.read_text("utf-8").splitlines())
    located = json.loads(geoloc("locate", "--read-text", "--json", photos / "phone.jpg"))
    (mine,), (other,) = answer["witnesses"], located["witnesses"]
    assert mine["findings"] == other["findings"]
    assert mine["bits"] == pytest.approx(other["bits"], abs=1e-3)
