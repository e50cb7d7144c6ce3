"""Simulated texts of photos with known places: what a sign there could say, without pictures of it.

Few development photos have text, so the calibration of answers with text needs more: words in a
language of the country, the name of a town nearby, a telephone number, an address on the web. Which
cues signs have, and how often they are about another place, is assumed.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from geocells.places import towns
from geocells.table import CellTable
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.ocr.tesseract import MODELS
from geoloc.belief.witnesses.text import vocabulary
from geoloc.belief.witnesses.text.reliability import fitted, log_likelihood
from geoloc.belief.witnesses.text.speakers import Spoken, script_codes, spoken
from geoloc.belief.witnesses.text.witness import find_clues
from geoloc.types import Float64Array
from training.calibrate.witnesses.simulated import Simulated, claimed_places

KINDS = {"words": 0.7, "town": 0.1, "words and town": 0.1, "telephone": 0.05, "web": 0.05}
"""Share of each kind of sign: about that of the cues in development photos with text."""

TOWN_ELSEWHERE = 0.6
"""Share of names of towns that are those of other places, as in development photos."""

NEARBY = 12
"""A sign names one of so many nearest towns."""

_BOX = (0.2, 0.4, 0.8, 0.5)


def simulated_texts(
    cells: CellTable, latlon: Float64Array, mistaken: float, rng: np.random.Generator
) -> Simulated:
    """Return the evidence of texts.

    Args:
        cells: C geocells.
        latlon: (N, 2) degrees of the photos.
        mistaken: share of texts that are about another place.
        rng: of signs and mistakes.
    """
    claimed, wrong = claimed_places(latlon, mistaken, rng)
    country = cells.country[cells.locate(claimed)]
    _, near = towns().points.query(claimed, NEARBY)
    rows = np.zeros((len(latlon), len(cells)), np.float32)
    for i, code in enumerate(country.tolist()):
        elsewhere = rng.random() < TOWN_ELSEWHERE
        row = int(rng.integers(len(towns().name)) if elsewhere else rng.choice(near[i]))
        town = towns().name[row].as_py()
        lines = sign_lines(code, town, rng)
        rows[i] = log_likelihood(find_clues(lines), cells, fitted())
    return Simulated("text", rows, wrong)


def sign_lines(country: str, town: str, rng: np.random.Generator) -> list[Line]:
    """Return the lines of a sign in a country, near a town."""
    kind = str(rng.choice([*KINDS], p=[*KINDS.values()]))
    if kind == "telephone" and (number := _telephone(country)):
        return [Line(f"Tel. {number}", 0.95, _BOX)]
    if kind == "web":
        code = {"GB": "uk"}.get(country, country.lower())
        return [Line(f"www.{town.split()[0].lower()}.{code}", 0.95, _BOX)]
    words = _words(country, rng) if kind.startswith("words") else []
    return words if words and kind == "words" else [*words, Line(town, 0.95, _BOX)]


def _words(country: str, rng: np.random.Generator) -> list[Line]:
    """Return words in a language of a country, or letters that could not be read."""
    own = [each for each in spoken() if each.country == country and each.rate >= 0.1]
    if not own:
        return []
    rate = np.array([each.rate for each in own])
    chosen = own[int(rng.choice(len(own), p=rate / rate.sum()))]
    words = _vocabulary().get(chosen.language, ())
    if words:
        return [Line(str(word).title(), 0.95, _BOX) for word in rng.choice(words, 2)]
    script = _script(chosen)
    return [Line("", 0.8, _BOX, script)] if script else []


@cache
def _vocabulary() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word, (_, languages) in vocabulary.words().items():
        for language in languages:
            found.setdefault(language, []).append(word)
    return {language: tuple(words) for language, words in found.items()}


def _script(language: Spoken) -> str:
    """Return the script of a language as `MODELS` names it; "" for Latin and others."""
    return next((name for name in MODELS if language.script in script_codes(name)), "")


@cache
def _telephone(country: str) -> str:
    import phonenumbers

    number = phonenumbers.example_number(country)
    if number is None:
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL))
