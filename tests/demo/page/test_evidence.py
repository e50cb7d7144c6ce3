"""The page shows what files and shadows say, and counts them when the visitor asks."""

from dataclasses import replace

import pytest

from demo.page import explanation, view
from demo.page.controller import Controller
from demo.page.locate_events import _read_form
from demo.page.session import Asked
from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.errors import WitnessError
from geoloc.geolocator import Geolocator
from geoloc.guess import Account, Finding
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


def test_the_form_becomes_evidence():
    assert _read_form(*EMPTY, False, False, "", None) == Asked()
    read = _read_form(*EMPTY, False, True, " 37° ", "2024-06-01T10:30Z")
    assert read.evidence == WitnessOptions(True, "37°", "2024-06-01T10:30Z")
    with pytest.raises(WitnessError, match="--time"):
        _read_form(*EMPTY, True, True, "37°", "")


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
