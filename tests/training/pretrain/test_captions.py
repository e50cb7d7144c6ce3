"""Captions contain known metadata only, with the published probabilities."""

import string
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training.pretrain.captions
from geocells.attributes import KOPPEN_CLASSES
from training.pretrain.captions import Captioner, CaptionError

FILE = Path(training.pretrain.captions.__file__).with_name("captions.toml")
DATA = tomllib.loads(FILE.read_text("utf-8"))
STYLES, LANGUAGES = list(DATA["styles"]), list(DATA["languages"])


def table_of(count: int, **changed: object) -> pa.Table:
    columns = {
        "photo_id": [f"p{i}" for i in range(count)], "country": ["Sweden"] * count,
        "region": ["Skåne"] * count, "town": ["Lund"] * count, "koppen": ["Dfb"] * count,
        "driving_side": ["right"] * count, "heading": [10.0] * count, "month": [7] * count,
    }  # fmt: skip
    return pa.table(columns | {name: [value] * count for name, value in changed.items()})


COUNT = 20_000


@pytest.fixture(scope="module", params=["pigeon", "pigeotto"])
def captions(request):
    table = table_of(COUNT)
    return request.param, Captioner(request.param).batch(table, np.arange(COUNT), 0, 0)


def share(captions: list[str], *words: str) -> float:
    return float(np.mean([any(word in caption for word in words) for caption in captions]))


def test_sentences_have_the_published_probabilities(captions):
    style, captions = captions
    climate, place_with_climate = {"pigeon": (0.4, 0.7), "pigeotto": (0.45, 0.8)}[style]
    side = {"pigeon": 0.3, "pigeotto": 0.2}[style]
    place = 1 - climate * (1 - place_with_climate)
    assert share(captions, "climate") == pytest.approx(climate, abs=0.015)
    assert share(captions, "Sweden") == pytest.approx(place, abs=0.015)
    assert share(captions, "right") == pytest.approx(side * (1 - climate), abs=0.015)
    with_place = [caption for caption in captions if "Sweden" in caption]
    if style == "pigeon":
        assert share(with_place, "Skåne") == pytest.approx(0.6, abs=0.015)
        assert share(with_place, "Lund") == pytest.approx(0.4, abs=0.015)
        assert share(captions, "looks north") == pytest.approx(0.3, abs=0.015)
        assert share(captions, "July") == pytest.approx(0.3, abs=0.015)
    else:
        assert share(with_place, "Lund") == share(with_place, "Skåne") == 1.0
        assert share(captions, "north", "July") == 0.0


def test_climate_and_driving_side_never_occur_together(captions):
    assert not any("climate" in text and "right" in text for text in captions[1])


def test_place_comes_first_and_other_sentences_in_random_order(captions):
    style, captions = captions
    assert all("Sweden" in caption.split(".")[0] for caption in captions if "Sweden" in caption)
    if style == "pigeon":
        both = [c for c in captions if "July" in c and "north" in c]
        before = np.mean([c.index("July") < c.index("north") for c in both])
        assert before == pytest.approx(0.5, abs=0.05)


@given(st.permutations(range(12)), st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_caption_does_not_depend_on_the_batch(order, seed, epoch):
    table, captioner = table_of(12), Captioner("pigeon")
    straight = captioner.batch(table, np.arange(12), seed, epoch)
    mixed = captioner.batch(table, np.array(order), seed, epoch)
    assert mixed == [straight[row] for row in order]


def test_epochs_and_seeds_give_other_captions():
    table, captioner = table_of(200), Captioner("pigeon")
    first, *others = (
        captioner.batch(table, np.arange(200), seed, epoch)
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    )
    assert all(np.mean([a == b for a, b in zip(first, o, strict=True)]) < 0.5 for o in others)


def test_captions_are_equal_in_another_process():
    """Python's own hash differs between processes."""
    code = (
        "import pyarrow as pa; from training.pretrain.captions import Captioner;"
        "t = pa.table({'photo_id': ['a', 'b'], 'country': ['Chile', 'Japan'], 'month': [1, 2]});"
        "print(Captioner('pigeon').batch(t, [0, 1], 3, 4))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    table = pa.table({"photo_id": ["a", "b"], "country": ["Chile", "Japan"], "month": [1, 2]})
    assert done.stdout.strip() == str(Captioner("pigeon").batch(table, [0, 1], 3, 4))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_unknown_metadata_is_left_out(style, language):
    captioner = Captioner(style, language)
    some = {"region": None, "town": "", "heading": float("nan"), "month": None}
    for changed in ({}, some, {**some, "koppen": "", "driving_side": None}):
        for caption in captioner.batch(table_of(60, **changed), np.arange(60)):
            assert caption.endswith(".")
            assert not set("{}") & set(caption)
            assert not any(word in caption for word in ("nan", "None", "  ", " ,", " ."))


@pytest.mark.parametrize("style", [style for style in STYLES if style not in ("generic", "scene")])
def test_photo_without_metadata_has_no_caption(style):
    nothing = table_of(
        5, country=None, region="", koppen="", driving_side="", heading=None, month=None
    )
    assert Captioner(style).batch(nothing, np.arange(5)) == [""] * 5
    assert Captioner(style).batch(nothing.select(["photo_id"]), np.arange(5)) == [""] * 5


def test_generic_captions_are_all_equal():
    assert len(set(Captioner("generic").batch(table_of(50), np.arange(50)))) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_are_complete(language):
    words = DATA["languages"][language]
    assert set(words["climates"]) == set(KOPPEN_CLASSES)
    assert len(set(words["climates"].values())) == len(KOPPEN_CLASSES)
    assert len(words["months"]) == len(set(words["months"])) == 12
    assert len(words["headings"]) == 4
    slots = {"country": {"country"}, "region": {"region", "country"}, "town": {"town", "country"},
             "town_region": {"town", "region", "country"}}  # fmt: skip
    for kind in ("street", "photo"):
        for named, template in words["place"][kind].items():
            used = {field for _, field, _, _ in string.Formatter().parse(template) if field}
            assert used == slots[named]


@pytest.mark.parametrize(
    ("degrees", "word"),
    [(0, "north"), (45, "north"), (46, "east"), (135, "east"), (136, "south"), (225, "south"),
     (226, "west"), (315, "west"), (316, "north"), (359.9, "north")],
)  # fmt: skip
def test_headings_have_the_published_bins(degrees, word):
    captions = Captioner("pigeon").batch(table_of(100, heading=float(degrees)), np.arange(100))
    with_heading = [caption for caption in captions if "looks" in caption]
    assert with_heading
    assert all(f"looks {word}." in caption for caption in with_heading)


def test_countries_get_their_article():
    prompts = Captioner("pigeon").country_prompts(["Netherlands", "Chile"])
    assert prompts == ["A street scene in the Netherlands.", "A street scene in Chile."]


def test_unknown_style_and_language_are_refused():
    with pytest.raises(CaptionError, match=r"no style 'poem'; choose one of pigeon, pigeotto"):
        Captioner("poem")
    with pytest.raises(CaptionError, match=r"no language 'xx'; choose one of en, de"):
        Captioner("pigeon", "xx")
