"""Adjectives of countries: "Deutsche Post" stands in Germany, "Italian restaurant" anywhere.

An adjective in an official language of its own country is evidence for it. One in another language
names what is foreign where it is read, and counts next to nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.speakers import language_name, name_countries, official_in

LONGEST_ENDING = 4
"""Letters that a word marked by "*" may have at its end."""

MOST_CLUES = 3

_WORD = re.compile(r"[^\W\d_]{3,}")


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return a clue for each adjective, those in their own country's language first."""
    found: dict[str, Clue] = {}
    for row, line in enumerate(lines):
        for word in _WORD.findall(line.text):
            clue = _clue(row, word)
            if clue is not None:
                found.setdefault(clue.reading.lower(), clue)
    ordered = sorted(found.values(), key=lambda clue: clue.cue == "foreign adjective")
    return ordered[:MOST_CLUES]


def _clue(row: int, word: str) -> Clue | None:
    named = _named(word.lower())
    if not named:
        return None
    own = [each for each in named if official_in(*each)]
    rates = dict.fromkeys((country for _, country in own or named), 1.0)
    languages = " or ".join(dict.fromkeys(language_name(name) for name, _ in (own or named)[:3]))
    meaning = f'"{word}" is an adjective for {name_countries(rates)} in {languages}'
    if own:
        return Clue("country adjective", row, word, meaning, rates)
    return Clue(
        "foreign adjective", row, word, f"{meaning}, as things from abroad are called", rates
    )


def _named(word: str) -> list[tuple[str, str]]:
    """Return the language and the country of each adjective that a word in lower case is."""
    exact, stems = _table()
    if word in exact:  # "Portuguese" is English, however much it looks like "portugues"
        return exact[word]
    sizes = range(max(3, len(word) - LONGEST_ENDING), len(word) + 1)
    return [each for size in sizes for each in stems.get(word[:size], ())]


@cache
def _table() -> tuple[dict[str, list[tuple[str, str]]], dict[str, list[tuple[str, str]]]]:
    """Return language and country of whole words, and of words that may have endings."""
    listed = tomllib.loads(Path(__file__).with_name("adjectives.toml").read_text("utf-8"))
    exact: dict[str, list[tuple[str, str]]] = {}
    stems: dict[str, list[tuple[str, str]]] = {}
    for language, text in listed.items():
        for entry in text.split(","):
            country, *words = entry.split()
            for word in words:
                table = stems if word.endswith("*") else exact
                table.setdefault(word.rstrip("*"), []).append((language, country))
    return exact, stems
