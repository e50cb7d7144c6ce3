"""The page shows what files and shadows say, and counts them when the visitor asks."""

from dataclasses import replace

import pytest

from demo.page import explanation, view
from demo.page.controller import Controller
from demo.page.locate_events import _read_form
from demo.page.session import Asked
from geocells.sphere import haversine_km
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.belief.witnesses.text import overlays
from geoloc.belief.witnesses.text.reliability import fitted, log_likelihood
from geoloc.errors import WitnessError
from geoloc.geolocator import Geolocator
from geoloc.guess import Account, Finding
from geoloc.observation import Observation
from tests.demo.guesses import make_guess
from tests.scenes import write_dated_photo

EMPTY = (None, [])


@pytest.fixture(scope="module")
def controller():
    return Controller({"starter": Geolocator.from_bundle("starter")}, lambda guess: guess)


@pytest.fixture
def dated(tmp_path):
    return write_dated_photo(tmp_path / "dated.jpg")


def test_evidence_is_counted_without_encoding_again(controller, dated):
    shown = controller.locate([dated], "starter", False, Asked)
    assert "shown, not used for the answer" in shown["witnesses"]
    assert "as in" in shown["witnesses"]
    session = shown["session"]
    counted = controller.rerank(
        session, False, lambda: Asked(evidence=WitnessOptions(use_metadata=True))
    )
    assert "bits); without it the answer would be" in counted["witnesses"]
    sun = WitnessOptions(shadow="1.8:2.4±5%", time="2024-06-01T10:30Z")
    told = controller.rerank(counted["session"], False, lambda: Asked(evidence=sun))
    (file, shadow) = told["session"].guesses[0].witnesses
    assert (file.counted, shadow.counted) == (False, True)
    assert controller.form_changed(told["session"], Asked)
    assert not controller.form_changed(told["session"], lambda: Asked(evidence=sun))


def test_a_position_written_on_the_photo_counts_on_request_alone(controller, dated, monkeypatch):
    """What is read is given here: reading is tested with its networks elsewhere."""
    read = []

    def with_text(photo, content, cells, *, use_overlays):
        read.append(use_overlays)
        lines = [Line("35.01160 N 135.76811 E", 1.0, (0.1, 0.8, 0.9, 0.9))]
        clues = overlays.find(lines, used=use_overlays)
        findings = tuple(Finding(c.cue, c.reading, c.meaning, used=c.used) for c in clues)
        evidence = log_likelihood(clues, cells, fitted())
        return replace(photo, observations=(Observation("text", findings, evidence),))

    monkeypatch.setattr("demo.page.session.with_text", with_text)
    reading = WitnessOptions(read_text=True)
    shown = controller.locate([dated], "starter", False, lambda: Asked(evidence=reading))
    assert "shown, not used as evidence" in shown["witnesses"]
    assert 'data-overlays aria-pressed="false"' in shown["witnesses"]
    trusted = replace(reading, use_overlays=True)
    used = controller.rerank(shown["session"], False, lambda: Asked(evidence=trusted))
    assert 'data-overlays aria-pressed="true"' in used["witnesses"]
    guess = used["session"].guesses[0]
    assert haversine_km((guess.lat, guess.lon), (35.0116, 135.76811)) < 200
    again = controller.rerank(used["session"], False, lambda: Asked(evidence=reading))
    assert again["session"].guesses[0].lat == shown["session"].guesses[0].lat
    controller.rerank(again["session"], True, lambda: Asked(("Japan",), reading))
    assert read == [False, True, False]
    assert "data-overlays" not in explanation.witnesses(make_guess())


def test_the_form_becomes_evidence():
    assert _read_form(*EMPTY, False, False, False, "", None) == Asked()
    read = _read_form(*EMPTY, False, True, True, " 37° ", "2024-06-01T10:30Z")
    assert read.evidence == WitnessOptions(True, "37°", "2024-06-01T10:30Z", use_overlays=True)
    with pytest.raises(WitnessError, match="needs the time"):
        _read_form(*EMPTY, True, False, True, "37°", "")


def test_a_malicious_reading_is_escaped():
    nasty = "<script>alert(1)</script>"
    account = Account("text", (Finding("sign", nasty, f"a sign {nasty}"),), True, 3.0)
    html = explanation.witnesses(replace(make_guess(), witnesses=(account,)))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert explanation.witnesses(make_guess()) == ""


def test_boxes_mark_what_was_read_and_titles_are_escaped(controller, dated):
    session = controller.locate([dated], "starter", False, Asked)["session"]
    sign = Finding("sign", '"><script>', "a sign", (0.1, 0.2, 0.5, 1.4))
    told = replace(session.guesses[0], witnesses=(Account("text", (sign,), True),))
    html = view.photo(replace(session, guesses=(told,)))
    assert "left:10.00%;top:20.00%;width:40.00%;height:80.00%" in html
    assert "<script>" not in html
