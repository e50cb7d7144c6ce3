"""What a sign or a caption says is shown in every output, and is code in none of them."""

import csv
import json
from dataclasses import replace

import pytest
from rich.console import Console

from geoloc.guess import Account, Finding
from geoloc.output import accounts, text
from geoloc.output.formats import Record
from geoloc.output.sinks import SINKS
from geoloc.photos.decode import printable
from tests.geoloc.output.records import make_guess, written

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FORMULA = '=HYPERLINK("http://evil.example","prices")'
ESCAPES = "\x1b[31mred\x1b[0m\x07\x9b2J"
REVERSED = "abc\u202egnp.exe\u2066\u2069"
MARKUP = "[link=http://evil.example]here[/link]"
HOSTILE = (SCRIPT, FORMULA, ESCAPES, REVERSED, MARKUP)


@pytest.fixture(scope="module")
def guess():
    """An answer as witnesses make it: readings are on one line."""
    findings = tuple(Finding("text", printable(each), "a sign") for each in HOSTILE)
    return replace(make_guess(), witnesses=(Account("text", findings, True, 3.0),))


@pytest.mark.parametrize("ending", sorted(SINKS))
def test_no_output_holds_raw_control_characters_or_markup(guess, tmp_path, ending):
    path = written(tmp_path / f"out{ending}", [Record(guess, {}, None)])
    content = path.read_bytes().decode("utf-8", "replace")
    if ending == ".parquet":
        return  # no viewer interprets it
    for raw in ("\x1b", "\x07", "\x9b", "\u202e", "\u2066"):
        assert raw not in content
    if ending in (".html", ".kml"):
        assert "<script>alert" not in content
        assert "<img src=x" not in content


def test_no_cell_of_a_table_is_a_formula(guess, tmp_path):
    path = written(tmp_path / "out.csv", [Record(guess, {}, None)])
    (row,) = csv.DictReader(path.open(encoding="utf-8-sig", newline=""))
    assert FORMULA in row["witnesses"]
    assert not any(cell.startswith(("=", "+", "@")) for cell in row.values())
    only = replace(guess.witnesses[0], findings=(Finding("text", "", FORMULA),))
    path = written(tmp_path / "bare.csv", [Record(replace(guess, witnesses=(only,)), {}, None)])
    (row,) = csv.DictReader(path.open(encoding="utf-8-sig", newline=""))
    assert not row["witnesses"].startswith("=")


def test_text_that_says_nothing_is_no_evidence(guess):
    silent = replace(guess.witnesses[0], bits=0.0, place_without=guess.place)
    assert accounts.effect(silent) == "no evidence about the place"
    told = accounts.effect(replace(silent, bits=3.6))
    assert told == f"evidence (3.6 bits); without it the answer would be {guess.place}"


def test_json_keeps_what_was_read(guess, tmp_path):
    path = written(tmp_path / "out.jsonl", [Record(guess, {}, None)])
    (answer,) = map(json.loads, path.read_text("utf-8").splitlines())
    readings = [finding["reading"] for finding in answer["witnesses"][0]["findings"]]
    assert readings == [printable(each) for each in HOSTILE]


def test_the_terminal_shows_readings_as_plain_text(guess):
    console = Console(force_terminal=True, width=200, record=True)
    with console.capture() as capture:
        console.print(text.render(guess))
    shown = capture.get()
    for raw in ("\x1b[31mred", "\x07", "\x9b", "\u202e"):
        assert raw not in shown
    assert MARKUP in shown
