"""Captions say what is known, as often as published, and nothing else."""

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


def photos(count: int, **changed: object) -> pa.Table:
    columns = {
        "photo_id": [f"p{i}" for i in range(count)], "country": ["Sweden"] * count,
        "region": ["Skåne"] * count, "town": ["Lund"] * count, "koppen": ["Dfb"] * count,
        "driving_side": ["right"] * count, "heading": [10.0] * count, "month": [7] * count,
    }  # fmt: skip
    return pa.table(columns | {name: [value] * count for name, value in changed.items()})


COUNT = 20_000


@pytest.fixture(scope="module", params=["pigeon", "pigeotto"])
def written(request):
    table = photos(COUNT)
    return request.param, Captioner(request.param).batch(table, np.arange(COUNT), 0, 0)


def share(captions: list[str], *words: str) -> float:
    return float(np.mean([any(word in caption for word in words) for caption in captions]))


def test_sentences_are_as_frequent_as_published(written):
    style, captions = written
    climate, beside = {"pigeon": (0.4, 0.7), "pigeotto": (0.45, 0.8)}[style]
    side = {"pigeon": 0.3, "pigeotto": 0.2}[style]
    place = 1 - climate * (1 - beside)
    assert share(captions, "climate") == pytest.approx(climate, abs=0.015)
    assert share(captions, "Sweden") == pytest.approx(place, abs=0.015)
    assert share(captions, "right") == pytest.approx(side * (1 - climate), abs=0.015)
    told = [caption for caption in captions if "Sweden" in caption]
    if style == "pigeon":
        assert share(told, "Skåne") == pytest.approx(0.6, abs=0.015)
        assert share(told, "Lund") == pytest.approx(0.4, abs=0.015)
        assert share(captions, "looks north") == pytest.approx(0.3, abs=0.015)
        assert share(captions, "July") == pytest.approx(0.3, abs=0.015)
    else:
        assert share(told, "Lund") == share(told, "Skåne") == 1.0
        assert share(captions, "north", "July") == 0.0


def test_climate_and_traffic_are_never_told_together(written):
    assert not any("climate" in text and "right" in text for text in written[1])


def test_the_place_comes_first_and_the_rest_in_any_order(written):
    style, captions = written
    assert all("Sweden" in caption.split(".")[0] for caption in captions if "Sweden" in caption)
    if style == "pigeon":
        both = [c for c in captions if "July" in c and "north" in c]
        before = np.mean([c.index("July") < c.index("north") for c in both])
        assert before == pytest.approx(0.5, abs=0.05)


@given(st.permutations(range(12)), st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_a_caption_is_that_of_its_photo(order, seed, epoch):
    table, captioner = photos(12), Captioner("pigeon")
    straight = captioner.batch(table, np.arange(12), seed, epoch)
    mixed = captioner.batch(table, np.array(order), seed, epoch)
    assert mixed == [straight[row] for row in order]


def test_epochs_and_seeds_tell_something_else():
    table, captioner = photos(200), Captioner("pigeon")
    first, *others = (
        captioner.batch(table, np.arange(200), seed, epoch)
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    )
    assert all(np.mean([a == b for a, b in zip(first, o, strict=True)]) < 0.5 for o in others)


def test_other_processes_write_the_same():
    code = (
        "import pyarrow as pa; from training.pretrain.captions import Captioner;"
        "t = pa.table({'photo_id': ['a', 'b'], 'country': ['Chile', 'Japan'], 'month': [1, 2]});"
        "print(Captioner('pigeon').batch(t, [0, 1], 3, 4))"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_nothing_unknown_is_said(style, language):
    captioner = Captioner(style, language)
    some = {"region": None, "town": "", "heading": float("nan"), "month": None}
    for changed in ({}, some, {**some, "koppen": "", "driving_side": None}):
        for caption in captioner.batch(photos(60, **changed), np.arange(60)):
            assert caption.endswith(".")
            assert not set("{}") & set(caption)
            assert not any(word in caption for word in ("nan", "None", "  ", " ,", " ."))


@pytest.mark.parametrize("style", [style for style in STYLES if style not in ("generic", "scene")])
def test_a_photo_of_which_nothing_is_known_has_no_caption(style):
    nothing = photos(
        5, country=None, region="", koppen="", driving_side="", heading=None, month=None
    )
    assert Captioner(style).batch(nothing, np.arange(5)) == [""] * 5
    assert Captioner(style).batch(nothing.select(["photo_id"]), np.arange(5)) == [""] * 5


def test_generic_captions_tell_nothing_of_the_place():
    assert len(set(Captioner("generic").batch(photos(50), np.arange(50)))) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_are_whole(language):
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
def test_the_compass_has_the_published_bins(degrees, word):
    captions = Captioner("pigeon").batch(photos(100, heading=float(degrees)), np.arange(100))
    told = [caption for caption in captions if "looks" in caption]
    assert told
    assert all(f"looks {word}." in caption for caption in told)


def test_countries_have_their_article():
    prompts = Captioner("pigeon").country_prompts(["Netherlands", "Chile"])
    assert prompts == ["A street scene in the Netherlands.", "A street scene in Chile."]


def test_what_there_is_not_is_named():
    with pytest.raises(CaptionError, match=r"no style 'poem'; choose one of pigeon, pigeotto"):
        Captioner("poem")
    with pytest.raises(CaptionError, match=r"no language 'xx'; choose one of en, de"):
        Captioner("pigeon", "xx")
