"""Words and letters that signs of one language have: "Rua", "Apotheke", "Ausfahrt", "ő"."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.speakers import language_name, language_rates, name_countries

MOST_CLUES = 8

_MEANINGS = {
    "street": "a word for a street or square",
    "pharmacy": "a word for a pharmacy",
    "road sign": "a word of road signs",
    "opening hours": "a word of opening hours",
    "shop": "a word of shops and public buildings",
}

_ENDINGS = ("straße", "strasse", "platz", "gasse", "allee", "straat", "plein", "gracht", "laan",
            "gatan", "vägen", "torget", "veien", "gata", "katu", "utca", "vej", "gade")  # fmt: skip
"""Words for streets that are joined to the name."""


@cache
def words() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the kind and the languages of each word, in lower case."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for kind, languages in _table().items():
        for language, listed in languages.items() if kind != "letters" else ():
            for word in listed:
                found[word] = (kind, (*found.get(word, ("", ()))[1], language))
    return found


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return a clue for each word and for the letters of each language, most telling first."""
    found: dict[str, Clue] = {}
    for row, line in enumerate(lines):
        for clue in (*_words(row, line.text), *_letters(row, line.text)):
            found.setdefault(clue.reading.lower(), clue)
    ordered = sorted(found.values(), key=lambda clue: sum(clue.countries.values()))
    return ordered[:MOST_CLUES]


def street_words(text: str) -> bool:
    """Return whether a text holds a word for a street: its names may be of far places."""
    return any(clue.cue == "street word" for clue in _words(0, text))


def _words(row: int, text: str) -> Iterator[Clue]:
    lower = text.lower()
    pattern = _pattern()
    spans = [match.span() for match in pattern.finditer(lower)]
    spans += [(m.start(1), m.end(1)) for m in _ENDING.finditer(lower)]
    for start, end in spans:
        kind, languages = words()[lower[start:end]]
        rates: dict[str, float] = {}
        for language in languages:
            for country, rate in language_rates(language).items():
                rates[country] = max(rates.get(country, 0.0), rate)
        names = " or ".join(map(language_name, languages[:3]))
        meaning = f'"{text[start:end]}" is {_MEANINGS[kind]} in {names}'
        meaning += f", spoken in {name_countries(rates)}"
        reading = text if kind == "street" else text[start:end]
        cue = "street word" if kind == "street" else "word"
        yield Clue(cue, row, reading, meaning, rates)


def _letters(row: int, text: str) -> Iterator[Clue]:
    lower = text.lower()
    for letter in sorted(set(lower) & {*_by_letter()}):
        languages = _by_letter()[letter]
        rates: dict[str, float] = {}
        for language in languages:
            rates |= language_rates(language)
        names = " and ".join(map(language_name, languages[:4]))
        meaning = f'the letter "{letter}" belongs to {names}, spoken in {name_countries(rates)}'
        yield Clue("letter", row, letter, meaning, rates)


@cache
def _by_letter() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for language, letters in _table()["letters"].items():
        for letter in letters:
            found[letter] = (*found.get(letter, ()), language)
    return {letter: languages for letter, languages in found.items() if len(languages) <= 4}


@cache
def _pattern() -> re.Pattern[str]:
    """Match any word, between other letters of its script only where it writes no spaces."""
    spaced = sorted((w for w in words() if not _unspaced(w)), key=len, reverse=True)
    joined = sorted((w for w in words() if _unspaced(w)), key=len, reverse=True)
    return re.compile(
        rf"(?<![^\W_])(?:{'|'.join(map(re.escape, spaced))})(?![^\W_])|{'|'.join(joined)}"
    )


def _unspaced(word: str) -> bool:
    return any("\u0e00" <= c <= "\u0eff" or "\u3040" <= c <= "\ud7ff" for c in word)


_ENDING = re.compile(rf"\w{{3,}}({'|'.join(_ENDINGS)})(?!\w)")


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text("utf-8"))
