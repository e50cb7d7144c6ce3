"""Names of places in a text, against the embedded gazetteer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from geocells.borders.hierarchy import DATA, embedded_boundaries
from geocells.columns import read_parquet
from geocells.names import countries_by_name, find_towns, fold, regions_by_name
from geocells.places import towns
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Spot
from geoloc.belief.witnesses.text.vocabulary import street_words, words

MOST_WORDS = 4
"""Words of a name."""

FEWEST_LETTERS = 4
"""Letters of a name in an alphabet; two Chinese characters, kana or syllables suffice."""

FEWEST_KANA = 4
"""Kana of a name: the names of all towns abroad are written in them."""

SURE = 0.85
"""Confidence of a reading from which on its names count."""

LARGE, SMALL = 100_000, 5_000
"""People of a large town, and below which a place is a hamlet."""

DISTINCT = 0.5
"""Log10 of people minus log10 of the word's occurrences in a billion, from which on a town is more
likely to be meant than the word."""

FAMOUS, FAMOUS_DISTINCT = 500_000, -0.3
"""People of cities whose names are common words because the city is spoken of, and their limit."""

MOST_SPOTS = 12
"""Towns of one name; of more only the largest are considered."""

_BUSINESS = re.compile(
    r"(?i)\b(?:hotel|hôtel|pizz\w+|ristorante|restaurante?|café|cafe|bar|trattoria|grill|kebab|bistro"
    r"|bank|insurance|university|airlines?|museum|club|fc|team|tour|style|embassy|consulate)\b"
)


_KOREAN_ENDINGS = "시군구도역동읍면"
"""City, county, district, province, station... written together with the name."""


@dataclass(frozen=True)
class Name:
    """A name in a line, and the places that have it."""

    line: int
    text: str
    kind: str
    """ "country name", "region name", "large town", "town", "hamlet", "street name",
    "business name"."""
    countries: tuple[str, ...] = ()
    regions: tuple[tuple[str, str], ...] = ()
    spots: tuple[Spot, ...] = ()
    towns: tuple[int, ...] = ()
    """Rows of `geocells.places.towns` of the spots."""


def find(lines: Sequence[Line]) -> list[Name]:
    """Return the names of places in lines that are surely read, each name once."""
    found: dict[str, Name] = {}
    for row, line in enumerate(lines):
        if line.confidence >= SURE or (line.script and line.text):
            for name in _names(row, line.text):
                found.setdefault(fold(name.text), name)
    return [*found.values()]


def _names(row: int, text: str) -> Iterator[Name]:
    """Yield the longest names of a line, from the left."""
    odd = "street name" if street_words(text) else ""
    odd = odd or ("business name" if _BUSINESS.search(text) else "")
    if _syllabic(text):
        yield from _joined_names(row, text, odd)
        return
    tokens = re.findall(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*", text)
    at = 0
    while at < len(tokens):
        for size in range(min(MOST_WORDS, len(tokens) - at), 0, -1):
            name = _look_up(row, " ".join(tokens[at : at + size]), odd)
            if name is not None:
                yield name
                break
        at += size if name is not None else 1


def _joined_names(row: int, text: str, odd: str) -> Iterator[Name]:
    """Yield names in a script that writes without spaces, the longest first."""
    at = 0
    while at < len(text):
        name = None
        for size in range(min(8, len(text) - at), 1, -1):
            name = _look_up(row, text[at : at + size], odd)
            if name is not None:
                yield name
                break
        at += size if name is not None else 1


def _look_up(row: int, text: str, odd: str) -> Name | None:
    key = fold(text)
    if _hangul(text) and not find_towns(key) and text[-1] in _KOREAN_ENDINGS:
        key = fold(text[:-1])
    if text.casefold() in words():
        return None
    if len(key) < (2 if _syllabic(text) or _hangul(text) else FEWEST_LETTERS) or key.isdigit():
        return None
    if _kana(text) and len(text) < FEWEST_KANA:
        return None
    country = countries_by_name().get(key)
    if country is not None and (len(key) > FEWEST_LETTERS or not key.isascii() or _english(key)):
        code = str(embedded_boundaries().country.codes[country])
        return Name(row, text, odd or "country name", countries=(code,))
    rows = find_towns(key)[:MOST_SPOTS]
    regions = _regions(key) if _zipf(key) < 5.0 else ()
    people = int(towns().population[rows[0]]) if rows else 0
    if regions and people < LARGE:
        return Name(row, text, odd or "region name", regions=regions)
    needed = FAMOUS_DISTINCT if people >= FAMOUS else DISTINCT
    if not rows or np.log10(people + 1.0) - _zipf(key) < needed:
        return None
    if people < SMALL and " " not in key and len(key) < FEWEST_LETTERS + 2:
        return None  # misread words match hamlets
    kind = "large town" if people >= LARGE else "hamlet" if people < SMALL else "town"
    return Name(row, text, odd or kind, spots=tuple(map(_spot, rows)), towns=tuple(rows))


def _spot(row: int) -> Spot:
    gazetteer = towns()
    lat, lon = map(float, gazetteer.points.latlon[row])
    people = float(gazetteer.population[row])
    return Spot(lat, lon, 20.0 + 8.0 * np.log10(max(people, 1e3) / 1e3), (people + 1e3) ** 0.4)


@cache
def _regions(key: str) -> tuple[tuple[str, str], ...]:
    borders = embedded_boundaries()
    rows = regions_by_name().get(key, [])
    named = {(str(borders.region.codes[r])[:2], str(borders.region.names[r])) for r in rows}
    return tuple(sorted(named)) if len(named) <= 3 else ()


def _zipf(key: str) -> float:
    """Return how common a name is as a word: log10 of its occurrences in a billion words."""
    return _common().get(key, 0.0)


@cache
def _common() -> dict[str, float]:
    table = read_parquet(DATA / "words.parquet").to_pydict()
    return dict(zip(table["name"], table["zipf"], strict=True))


def _kana(text: str) -> bool:
    return all("\u3040" <= c <= "\u30ff" for c in text)


def _english(key: str) -> bool:
    return any(fold(str(name)) == key for name in embedded_boundaries().country.names)


def _hangul(text: str) -> bool:
    return "\uac00" <= text[:1] <= "\ud7a3"


def _syllabic(text: str) -> bool:
    """Return whether a text is in a script that writes no spaces between words."""
    names = [unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()]
    joined = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}
    return bool(names) and sum(name in joined for name in names) > len(names) / 2
