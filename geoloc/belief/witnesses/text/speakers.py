"""Where languages and scripts are read: rates of signs by country, from CLDR."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from geocells.borders.hierarchy import DATA, embedded_boundaries

ENGLISH_ABROAD = 0.25
"""Rate of English signs in countries where English is not official, relative to those where it
is."""

UNOFFICIAL = 0.2
"""Share of the readers of a language that is not official whose signs are in it."""

WORTH_NAMING = 0.15
"""Rate below which a country is not named."""

LANGUAGES_OF_SCRIPT = {"Han": ("Hans", "Hant", "Jpan"), "Kana": ("Jpan",), "Hangul": ("Kore",)}
"""Codes of ISO 15924 in CLDR by script of a line; else the first four letters of its name."""

_OTHER_CODES = {
    "Devanagari": "Deva", "Gujarati": "Gujr", "Gurmukhi": "Guru", "Kannada": "Knda",
    "Malayalam": "Mlym", "Khmer": "Khmr", "Lao": "Laoo", "Myanmar": "Mymr",
    "Tamil": "Taml", "Georgian": "Geor", "Armenian": "Armn", "Greek": "Grek", "Cyrillic": "Cyrl",
}  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """A language in a country."""

    country: str
    language: str
    rate: float
    """Of signs in the language, 0..1."""
    script: str
    """ISO 15924 code."""
    name: str
    """Of the language, in English."""


@cache
def spoken() -> tuple[Spoken, ...]:
    """Return all languages of all countries in `languages.csv`."""
    with (DATA / "languages.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Spoken(row["country"], row["language"], _rate(row), row["script"], row["name"])
            for row in csv.DictReader(file)
        )


@cache
def language_rates(language: str) -> Mapping[str, float]:
    """Return the rate of signs in a language by country, from 0 to 1; the rest have none."""
    return {each.country: each.rate for each in spoken() if each.language == language}


def official_in(language: str, country: str) -> bool:
    """Return whether a language is official in a country."""
    return (language, country) in _official()


@cache
def script_rates(script: str) -> Mapping[str, float]:
    """Return the rate of signs in a script by country, named as in `ocr.tesseract.MODELS`."""
    codes = script_codes(script)
    rates: dict[str, float] = {}
    for each in spoken():
        if each.script in codes:
            rates[each.country] = max(rates.get(each.country, 0.0), each.rate)
    return rates


def script_codes(script: str) -> tuple[str, ...]:
    """Return the ISO 15924 codes of a script that is named as in `ocr.tesseract.MODELS`."""
    return LANGUAGES_OF_SCRIPT.get(script, (_OTHER_CODES.get(script, script[:4]),))


@cache
def language_name(language: str) -> str:
    """Return the English name of a language, or its code if it is official nowhere."""
    return next((each.name for each in spoken() if each.language == language), language)


def name_countries(rates: Mapping[str, float], most: int = 3) -> str:
    """Return the countries of the highest rates: "Brazil, Portugal and 6 more countries"."""
    names = _country_names()
    ordered = sorted(rates, key=lambda code: (-rates[code] * _weight(code), code))
    shown = [names.get(code, code) for code in ordered if rates[code] >= WORTH_NAMING]
    return and_more(shown, most) + (" countries" if len(shown) > most + 1 else "")


def and_more(shown: Sequence[str], most: int = 3) -> str:
    """Return a list in words, shortened: "a, b and 2 more"."""
    if len(shown) > most + 1:
        return f"{', '.join(shown[:most])} and {len(shown) - most} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


@cache
def _country_names() -> Mapping[str, str]:
    country = embedded_boundaries().country
    return dict(zip(map(str, country.codes), map(str, country.names), strict=True))


@cache
def _weight(country: str) -> int:
    """Return the population of a country's largest town, to name known countries first."""
    from geocells.places import towns

    people = towns().population[towns().country == country]
    return int(people.max()) if len(people) else 0


@cache
def _official() -> frozenset[tuple[str, str]]:
    with (DATA / "languages.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return frozenset((r["language"], r["country"]) for r in rows if r["official"] == "1")


def _rate(row: Mapping[str, str]) -> float:
    share = float(row["percent"]) / 100.0
    if row["official"] == "1":
        return max(0.3, min(share, 1.0)) if share > 0.02 else 0.1
    if row["language"] == "en":
        return ENGLISH_ABROAD
    return UNOFFICIAL * share
