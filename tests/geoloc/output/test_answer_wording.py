"""What an answer says in words, and the one probability that every output shows."""

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console

from geoloc.guess import Guess
from geoloc.output import formats, text
from geoloc.output.map_page import write_map
from tests.geoloc.output.records import CELLS, make_guess

HEDGED = {"lat": 46.0, "lon": 8.0, "confidence": "not sure", "probability": 0.123}


def hedged(**changes) -> Guess:
    """Return an answer between the candidates, near none of them."""
    return replace(make_guess(), **HEDGED | changes)


def shown(guess: Guess) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(text.render(guess))
    return out.getvalue()


@pytest.mark.parametrize(
    ("within", "words"),
    [
        ("Peru", "In Peru, as given; not sure where in it: 8 of 10"),
        ("within 50 km of 1.0000, 2.0000", "Within 50 km of 1.0000, 2.0000, as given; not sure"),
        ("Peru or Chile", "In Peru or Chile, as given; not sure where in it"),
    ],
)
def test_a_constraint_is_named_as_given_and_not_claimed(within, words):
    assert text.sentence(make_guess(confidence="not sure", within=within)).startswith(words)


def test_a_claim_within_a_constraint_names_both():
    sentence = text.sentence(make_guess(confidence="region", within="France"))
    assert sentence.startswith("In France, as given. Sure of the region: Île-de-France, France;")


def test_contradictory_photos_are_called_so_with_the_rate_of_false_alarms():
    photos = tuple(f"{i}.jpg" for i in range(12))
    sentence = text.sentence(make_guess(confidence="not sure", photos=photos, contradictory=True))
    assert sentence.startswith("These 12 photos seem to show different places (fewer than one set")
    assert "answer and radius are those for one of them" in sentence
    assert "Sure" not in sentence


@pytest.mark.parametrize("confidence", ["city", "not sure"])
def test_uncalibrated_answers_say_so_in_one_sentence(confidence):
    note = "Radii and probabilities are not calibrated for this kind of question."
    assert text.sentence(make_guess(confidence=confidence, calibrated=False)).endswith(note)
    assert note not in text.sentence(make_guess(confidence=confidence))


def test_an_answer_that_is_not_the_first_place_has_its_own_line():
    assert text.best_guess(make_guess()) == ""
    lines = shown(hedged()).splitlines()
    (line,) = [line for line in lines if line.startswith("Best single guess: 46.0000, 8.0000")]
    assert "chosen for the smallest expected loss; 12.3 % within 25 km" in line
    assert "Best single guess" not in shown(make_guess())


def test_radii_are_of_the_best_guess_everywhere():
    for guess in (make_guess(), hedged(), hedged(within="Peru")):
        assert "of the best guess" in text.sentence(guess)
        assert "first place" not in shown(guess)


@pytest.mark.parametrize("guess", [make_guess(), hedged()], ids=["first place", "hedged"])
def test_every_output_shows_the_same_probability(guess, tmp_path):
    (row,) = csv.DictReader(io.StringIO(formats.to_csv([guess])))
    assert float(row["probability"]) == guess.probability
    assert json.loads(formats.to_json(guess))["probability"] == guess.probability
    points = [each["properties"] for each in formats.features(guess)]
    (answer,) = [each for each in points if each["answer"]]
    assert (answer["probability"], answer["radius_80_km"]) == (guess.probability, 42.0)
    placemark = ElementTree.fromstring(formats.placemark(guess))
    (stored,) = [d[0].text for d in placemark.iter("Data") if d.get("name") == "probability"]
    assert float(stored) == guess.probability
    page = write_map([guess], CELLS, tmp_path / "map.html").read_text("utf-8")
    for probability in [each.probability for each in guess.candidates]:
        assert text.percent(probability) in shown(guess)
        assert text.percent(probability) in page
    assert text.percent(guess.probability) in shown(guess)
    assert text.percent(guess.probability) in page


def test_geojson_numbers_the_places_and_not_an_answer_between_them():
    ranks = [each["properties"]["rank"] for each in formats.features(hedged())]
    assert ranks == [None, 1, 2]
    first = next(formats.features(hedged()))
    assert first["geometry"]["coordinates"] == [8.0, 46.0]
    assert [each["properties"]["rank"] for each in formats.features(make_guess())] == [1, 2]


def test_pages_define_the_probability(tmp_path):
    page = write_map([make_guess()], CELLS, tmp_path / "map.html").read_text("utf-8")
    definition = "calibrated probability that the photo was taken within 25 km"
    assert definition in re.sub(r"\s+", " ", page)
