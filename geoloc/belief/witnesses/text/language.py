"""The language cue: how likely the words of a photo are in each language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from geoloc.belief.heads import softmax
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.speakers import language_name, language_rates, name_countries
from geoloc.errors import MissingExtraError

FEWEST_LETTERS = 14
"""Texts with fewer letters say nothing about their language."""

TEMPER = 0.15
"""Exponent of the likelihoods: the identifier takes overlapping letters for independent."""

NAMED = 0.6
"""Probability from which on a language is named."""

FEWEST_LETTERS_OF_CAPTION, SURE = 20, 0.35
"""Of captions: on short ones the right language has 0.4 to 0.9, and names of places, which could be
of any language, below 0.3."""

_OTHER_CODES = {"tl": "fil"}
"""Languages whose code in CLDR is another."""

_WORD = re.compile(r"[^\W\d_]{3,}")


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return at most one clue, from all lines together."""
    words = [word for line in lines for word in _WORD.findall(line.text)]
    text = " ".join(words).lower()
    if sum(map(len, words)) < FEWEST_LETTERS:
        return []
    chances = likelihoods(text)
    language, chance = max(chances.items(), key=lambda one: one[1])
    if chance < NAMED:
        return []
    rates: dict[str, float] = {}
    for name, weight in chances.items():
        for country, rate in language_rates(name).items():
            rates[country] = rates.get(country, 0.0) + weight * rate
    row = max(range(len(lines)), key=lambda at: len(lines[at].text))
    meaning = (
        f"words in {language_name(language)}, spoken in {name_countries(language_rates(language))}"
    )
    return [Clue("language", row, text[:80], meaning, rates)]


def language_of(text: str) -> str | None:
    """Return the language of a caption; None if it is short, unsure, or cannot be told here."""
    words = _WORD.findall(text)
    if sum(map(len, words)) < FEWEST_LETTERS_OF_CAPTION or text.isupper():
        return None  # cameras write their names in capitals: OLYMPUS DIGITAL CAMERA
    try:
        chances = likelihoods(" ".join(words).lower())
    except MissingExtraError:
        return None
    language, chance = max(chances.items(), key=lambda one: one[1])
    return language if chance >= SURE else None


def likelihoods(text: str) -> dict[str, float]:
    """Return the likelihood of a text in lower case in each language, with a sum of 1.

    Languages that no country reads, such as Latin, are left out.
    """
    named = ((_OTHER_CODES.get(name, name), score) for name, score in _identifier().rank(text))
    ranked = [(name, score) for name, score in named if language_rates(name)]
    score = np.array([float(each) for _, each in ranked])
    chance = softmax((TEMPER * (score - score.max()))[None])[0]
    kept = [(name, float(p)) for (name, _), p in zip(ranked, chance, strict=True) if p > 0.01]
    return dict(kept)


def check_installed() -> None:
    """Raise MissingExtraError if the library is not installed."""
    _identifier()


@cache
def _identifier() -> Any:  # noqa: ANN401
    try:
        from py3langid import langid
    except ImportError as error:
        raise MissingExtraError("py3langid", "text") from error
    return langid
