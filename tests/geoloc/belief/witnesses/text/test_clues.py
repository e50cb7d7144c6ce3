"""What words, numbers and letters on signs say about the place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("phonenumbers")
pytest.importorskip("py3langid")

from geoloc.belief.witnesses.ocr.reader import Line, Reading
from geoloc.belief.witnesses.ocr.tesseract import MODELS
from geoloc.belief.witnesses.text.reliability import fitted, log_likelihood
from geoloc.belief.witnesses.text.script import han_form, script_of
from geoloc.belief.witnesses.text.speakers import script_rates
from geoloc.belief.witnesses.text.witness import TextWitness, find_clues
from geoloc.bundle.directory import load

WHOLE = (0.0, 0.0, 1.0, 1.0)


def clues(*texts: str):
    return find_clues([Line(text, 0.99, WHOLE) for text in texts])


def told(*texts: str) -> dict[str, str]:
    return {clue.cue: clue.meaning for clue in clues(*texts)}


@pytest.fixture(scope="module")
def cells():
    return load("starter").cells


def country_of(cells, *texts: str) -> tuple[str, float]:
    """Return the most probable country of a text alone, and its probability."""
    belief = (cells.count + 1.0) * np.exp(log_likelihood(clues(*texts), cells, fitted()))
    names = np.unique(cells.country)
    share = np.array([belief[cells.country == name].sum() for name in names]) / belief.sum()
    return str(names[share.argmax()]), float(share.max())


def test_a_hangul_sign_names_korea_and_its_city(cells):
    found = told("부산 해운대구")
    assert "South Korea" in found["script"]
    assert found["large town"] == "names Busan (Busan, South Korea)"
    assert country_of(cells, "부산 해운대구")[0] == "KR"


def test_a_german_telephone_number_names_its_town():
    assert told("Tel. +49 30 901820")["telephone"] == "a telephone number of Berlin, Germany"


def test_a_portuguese_street_is_explained_by_its_language():
    meaning = told("Rua Augusta")["street word"]
    assert meaning.startswith('"Rua" is a word for a street or square in Portuguese, spoken in')
    assert "Brazil" in meaning
    assert "Portugal" in meaning


@pytest.mark.parametrize(
    ("text", "cue", "word"),
    [
        ("www.rathaus-bremen.de", "web address", "Germany"),
        ("SW1A 1AA", "postal code", "United Kingdom"),
        ("〒100-0001", "postal code", "Japan"),
        ("1.200 zł", "price", "Poland"),
        ("SPEED LIMIT 30 MPH", "speed unit", "miles per hour"),
        ("AB-123-CD", "number plate", "France"),
        ("Öffnungszeiten", "word", "German"),
    ],
)
def test_formats_of_few_countries_are_recognised(text, cue, word):
    assert word in told(text)[cue]


@pytest.mark.parametrize(
    ("text", "form"),
    [("台灣銀行", "unsimplified"), ("中国银行", "simplified"), ("東京駅", "Japanese")],
)
def test_chinese_characters_are_told_apart_by_their_forms(text, form):
    assert han_form(text) == form


def test_every_script_has_countries_that_write_it():
    assert [script for script in MODELS if not script_rates(script)] == []


def test_a_line_with_kana_is_japanese_however_many_chinese_characters_it_has():
    assert script_of("真狩村観光情報センター") == "Kana"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("52.5200, 13.4050", "burnt-in position"),
        ("N 48°51'24\" E 2°21'03\"", "burnt-in position"),
        ("2019-03-04 12:30", "burnt-in date"),
        ("SHOT ON REDMI NOTE 8", "camera overlay"),
        ("© 2019 Maria Lisboa", "watermark"),
    ],
)
def test_overlays_are_shown_and_never_used(cells, text, kind):
    found = clues(text)
    assert [clue.cue for clue in found] == [kind]
    assert not found[0].used
    assert not log_likelihood(found, cells, fitted()).any()


def test_names_of_far_places_in_business_and_street_names_count_little(cells):
    assert told("Pizzeria Napoli")["business name"].startswith("names Naples")
    assert country_of(cells, "Pizzeria Napoli")[1] < 0.5


def test_two_names_of_one_area_count_more_than_one(cells):
    together = told("Rio de Janeiro", "Brasil")["names together"]
    assert "Rio de Janeiro" in together
    country, chance = country_of(cells, "Rio de Janeiro", "Brasil")
    assert country == "BR"
    assert chance > country_of(cells, "Rio de Janeiro")[1] - 0.01


def test_a_map_of_many_places_is_not_used():
    cities = ("London", "Madrid", "Warszawa", "Istanbul", "Helsinki", "Lisboa", "Budapest", "Oslo")
    found = {clue.cue: clue for clue in clues(*cities, "Roma", "Bucharest")}
    assert not found["map or list"].used
    assert "large town" not in found


def test_common_words_are_no_places():
    assert not {"town", "large town", "hamlet"} & {*told("nice reading como")}


def test_no_text_excludes_a_cell(cells):
    evidence = log_likelihood(
        clues("부산 해운대구", "+49 30 901820", "Rua Augusta"), cells, fitted()
    )
    assert np.isfinite(evidence).all()


def test_mixed_scripts_keep_both_countries_possible(cells):
    evidence = log_likelihood(clues("서울", "Αθήνα"), cells, fitted())
    korea, greece = (evidence[cells.country == code].max() for code in ("KR", "GR"))
    assert min(korea, greece) > np.median(evidence)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_any_text_is_read_without_an_error(texts):
    for clue in clues(*texts):
        assert clue.meaning
        assert 0 <= clue.line < len(texts)


def test_a_malicious_string_stays_on_one_line(cells, monkeypatch):
    monkeypatch.setattr("geoloc.belief.witnesses.text.witness.TextReader", lambda threads: None)
    reading = Reading((Line("<script>alert(1)</script>\n=cmd|' /C calc'!A0", 0.99, WHOLE),))
    observation = TextWitness(cells).observation(reading)
    assert all("\n" not in finding.reading for finding in observation.findings)


def test_two_thousand_words_are_read_quickly_and_bounded(cells, monkeypatch):
    monkeypatch.setattr("geoloc.belief.witnesses.text.witness.TextReader", lambda threads: None)
    lines = tuple(Line(f"Ausfahrt Nummer {i} nach Hamburg", 0.99, WHOLE) for i in range(120))
    observation = TextWitness(cells).observation(Reading(lines))
    assert len(observation.findings) < 60
    assert np.isfinite(observation.log_likelihood).all()


@pytest.mark.parametrize(
    ("text", "lat", "lon"),
    [
        ("52.5200, 13.4050", 52.52, 13.405),
        ("N 48°51'24\" E 2°21'03\"", 48.8567, 2.3508),
        ("Lat: -33.8688 Lon: 151.2093", -33.8688, 151.2093),
        ("33.8688S 151.2093E", -33.8688, 151.2093),
        ("N48.8566 W 2.3522", 48.8566, -2.3522),
    ],
)
def test_burnt_in_coordinates_are_evidence_on_request(cells, text, lat, lon):
    (found,) = find_clues([Line(text, 0.99, WHOLE)], use_overlays=True)
    assert (found.spots[0].lat, found.spots[0].lon) == pytest.approx((lat, lon), abs=1e-4)
    evidence = log_likelihood([found], cells, fitted())
    assert evidence.argmax() == cells.locate([[lat, lon]])[0]
    assert np.isfinite(evidence).all()


@pytest.mark.parametrize("text", ["N 48°51'24\" O 2°21'03\"", "lat 52.12", "95.1234, 13.4050"])
def test_ambiguous_or_impossible_coordinates_are_only_shown(text):
    (found,) = find_clues([Line(text, 0.99, WHOLE)], use_overlays=True)
    assert not found.used


@pytest.mark.parametrize(
    ("text", "cue", "country"),
    [
        ("Deutsche Bank", "country adjective", "Germany"),
        ("Banca Nazionale italiana", "country adjective", "Italy"),
        ("Magyar Posta", "country adjective", "Hungary"),
        ("American Legion", "country adjective", "United States"),
        ("Portuguese Tavern", "foreign adjective", "Portugal"),
        ("Thai massage", "foreign adjective", "Thailand"),
    ],
)
def test_adjectives_count_in_their_own_language(text, cue, country):
    assert country in told(text)[cue]


def test_an_adjective_in_another_language_hardly_counts(cells):
    assert country_of(cells, "Portuguese Tavern")[0] != "PT"
