"""Formats of one country: postal codes, plates, road numbers, prices, addresses on the web."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from geocells.borders.hierarchy import DATA, embedded_boundaries
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue
from geoloc.belief.witnesses.text.speakers import name_countries

GENERIC = frozenset(
    "ac ad ag ai am as bz cc cd co fm gg gs io is la ly me ms mu nu sc sh st tk to tv vc ws".split()
)
"""Top-level domains of countries that are sold all over the world."""

MOST_COUNTRIES = 40
"""A currency of more countries is not shown."""

_DOMAIN = re.compile(r"(?i)\b[a-z0-9][a-z0-9-]+(?:\.[a-z0-9-]+)*\.([a-z]{2})\b(?!\.)")
_WEB = re.compile(r"(?i)www\.|https?:|@|\.(?:com?|org|gov|gob|gov|ac|net)\.[a-z]{2}\b|/")
_AMBIGUOUS = frozenset("$ £ kr Fr. K L T R Rs E P D".split())
"""Symbols that are used by several currencies, or are read by mistake."""


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return the clues of formats, prices and domains."""
    return [
        clue
        for row, line in enumerate(lines)
        for clue in (*_formats(row, line.text), *_domains(row, line.text), *_prices(row, line.text))
    ]


def _formats(row: int, text: str) -> Iterator[Clue]:
    for kind, pattern, countries in _table():
        if match := pattern.search(text):
            names = name_countries(countries)
            meaning = f"a {kind} as in {names}"
            if kind == "speed unit":
                meaning = f"speeds in miles per hour, as in {names}"
            yield Clue(kind, row, match.group().strip(), meaning, countries)


def _domains(row: int, text: str) -> Iterator[Clue]:
    """Yield addresses on the web; without "www" a full stop may be one between sentences."""
    for match in _DOMAIN.finditer(text):
        code = match[1].lower()
        code = {"uk": "gb"}.get(code, code)
        if code in _codes() and code not in GENERIC and (_WEB.search(text) or text == match[0]):
            countries = {code.upper(): 1.0}
            meaning = f"an address on the web of {name_countries(countries)}"
            yield Clue("web address", row, match[0], meaning, countries)


def _prices(row: int, text: str) -> Iterator[Clue]:
    if not any(c.isdigit() for c in text):
        return
    for symbol, (currency, countries) in _currencies().items():
        quoted = re.escape(symbol)
        if symbol in text and re.search(rf"(?<!\w){quoted} ?\d|\d ?{quoted}(?!\w)", text):
            rates = dict.fromkeys(countries, 1.0)
            meaning = f"a price in {currency}, money of {name_countries(rates)}"
            yield Clue("price", row, text, meaning, rates)


@cache
def _table() -> list[tuple[str, re.Pattern[str], dict[str, float]]]:
    listed = tomllib.loads(Path(__file__).with_name("formats.toml").read_text("utf-8"))["format"]
    return [
        (one["kind"], re.compile(one["pattern"]), dict.fromkeys(one["countries"].split(), 1.0))
        for one in listed
    ]


@cache
def _codes() -> frozenset[str]:
    return frozenset(str(code).lower() for code in embedded_boundaries().country.codes)


@cache
def _currencies() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return currency and countries of each symbol that means one currency."""
    found: dict[str, dict[str, list[str]]] = {}
    with (DATA / "currencies.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for symbol in row["symbols"].split():
                found.setdefault(symbol, {}).setdefault(row["currency"], []).append(row["country"])
    return {
        symbol: (next(iter(by)), tuple(next(iter(by.values()))))
        for symbol, by in found.items()
        if len(by) == 1 and symbol not in _AMBIGUOUS and not (len(symbol) == 1 and symbol.isalpha())
        and len(next(iter(by.values()))) <= MOST_COUNTRIES
    }  # fmt: skip
