"""Cameras that are sold in one region, and scripts that captions are written in.

Only names that makers themselves give to one market: Canon calls one camera EOS Rebel in the
Americas, EOS Kiss in Japan and by a number elsewhere; Samsung ends the models of a market with its
letter. The photographer's home is more often where the photo was taken than any other country.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

AMERICAS = frozenset("US CA MX BR AR CL CO PE EC CR PA GT DO PR".split())

MARKETS = tuple(
    (re.compile(pattern, re.IGNORECASE), name, frozenset(codes))
    for pattern, name, codes in (
        (r"EOS (DIGITAL )?REBEL", "the Americas", AMERICAS),
        (r"EOS Kiss", "Japan", ["JP"]),
        (r"PowerShot .*\bELPH\b", "North America", ["US", "CA"]),
        (r"\bIXY\b", "Japan", ["JP"]),
        (r"SM-[A-Z]\d{3}[NKLS]$", "South Korea", ["KR"]),
        (r"SM-[A-Z]\d{3}[UVPAT]1?$", "the United States", ["US"]),
        (r"SM-[A-Z]\d{3}W$", "Canada", ["CA"]),
        (r"^(SC|SCV|SCG|SO|SOV|SOG|SH|SHV|SHG|F)-?\d\d[A-Z]?$", "Japan", ["JP"]),
    )
)
"""Model names, the market they are sold in, and its countries."""

SCRIPTS = {
    "CYRILLIC": ("Cyrillic", "RU UA BY BG RS MK MN KZ KG TJ BA ME"),
    "GREEK": ("Greek", "GR CY"),
    "ARMENIAN": ("Armenian", "AM"),
    "GEORGIAN": ("Georgian", "GE"),
    "HEBREW": ("Hebrew", "IL PS"),
    "ARABIC": ("Arabic", "SA AE EG MA DZ TN LY SD IQ SY JO LB OM YE QA KW BH PS IR AF PK"),
    "DEVANAGARI": ("Devanagari", "IN NP"),
    "BENGALI": ("Bengali", "BD IN"),
    "GURMUKHI": ("Gurmukhi", "IN"),
    "GUJARATI": ("Gujarati", "IN"),
    "TAMIL": ("Tamil", "IN LK SG MY"),
    "TELUGU": ("Telugu", "IN"),
    "KANNADA": ("Kannada", "IN"),
    "MALAYALAM": ("Malayalam", "IN"),
    "SINHALA": ("Sinhala", "LK"),
    "THAI": ("Thai", "TH"),
    "LAO": ("Lao", "LA"),
    "MYANMAR": ("Burmese", "MM"),
    "KHMER": ("Khmer", "KH"),
    "TIBETAN": ("Tibetan", "CN BT NP IN"),
    "ETHIOPIC": ("Ethiopic", "ET ER"),
    "HANGUL": ("Hangul", "KR KP"),
    "HIRAGANA": ("Japanese kana", "JP"),
    "KATAKANA": ("Japanese kana", "JP"),
    "CJK": ("Chinese characters", "CN TW HK MO SG JP"),
}
"""First word of the Unicode names of letters, the script, and the countries that use it."""

FEWEST_LETTERS = 3


def market_of(model: str) -> tuple[str, frozenset[str]] | None:
    """Return the market of a camera model and its countries, None for models sold everywhere."""
    for pattern, name, countries in MARKETS:
        if pattern.search(model):
            return name, countries
    return None


def script_of(text: str) -> tuple[str, frozenset[str]] | None:
    """Return the script of most letters of a text and its countries; None for Latin and others.

    Kana beside Chinese characters are Japanese.
    """
    names = (unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    count = Counter(name.partition("-")[0] for name in names)
    if count["HIRAGANA"] + count["KATAKANA"]:
        count["HIRAGANA"] += count.pop("CJK", 0) + count.pop("KATAKANA", 0)
    if not count:
        return None
    first, letters = count.most_common(1)[0]
    if first not in SCRIPTS or letters < FEWEST_LETTERS:
        return None
    name, countries = SCRIPTS[first]
    return name, frozenset(countries.split())
