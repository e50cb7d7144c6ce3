"""Write `languages.csv` and `currencies.csv` from CLDR, as the package Babel ships it.

    python geocells/data/make_languages.py

with Babel 2.17 or newer installed.
"""

from __future__ import annotations

import csv
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import get_territory_currencies

DATA = Path(__file__).parent

LEAST_PERCENT = 2.0
"""Languages that fewer people read are left out, unless they are official."""

OFFICIAL = {"official", "de_facto_official", "official_regional"}


def countries() -> list[str]:
    """Return the ISO codes of `countries.csv`."""
    with (DATA / "countries.csv").open(encoding="utf-8", newline="") as file:
        return [row["iso2"] for row in csv.DictReader(file)]


def languages() -> list[tuple[str, str, float, int, str, str]]:
    """Return country, language, percent who read it, whether official, script, English name."""
    english = Locale.parse("en").languages
    likely, rows = get_global("likely_subtags"), []
    for country in countries():
        for tag, facts in sorted(get_global("territory_languages").get(country, {}).items()):
            language, _, script = tag.partition("_")
            full = likely.get(f"{language}_{country}") or likely.get(language, "")
            script = script or next((p for p in full.split("_") if len(p) == 4), "Latn")
            official = facts["official_status"] in OFFICIAL
            if official or facts["population_percent"] >= LEAST_PERCENT:
                percent = facts["population_percent"]
                name = english.get(language, language)
                rows.append((country, language, percent, int(official), script, name))
    return rows


def currencies() -> list[tuple[str, str, str]]:
    """Return country, currency, and its symbols in the country's languages."""
    rows = []
    spoken: dict[str, list[str]] = {}
    for country, language, _, official, *_ in languages():
        if official:
            spoken.setdefault(country, []).append(language)
    for country in countries():
        for currency in get_territory_currencies(country):
            symbols = {currency}
            for language in spoken.get(country, []):
                symbols |= _symbols(f"{language}_{country}", currency)
                symbols |= _symbols(language, currency)
            rows.append((country, currency, " ".join(sorted(symbols))))
    return rows


def _symbols(locale: str, currency: str) -> set[str]:
    try:
        parsed = Locale.parse(locale)
    except UnknownLocaleError:
        return set()
    symbol = parsed.currency_symbols.get(currency, "")
    return {"".join(symbol.split())} - {""}


def write(name: str, header: str, rows: list[tuple[object, ...]]) -> None:
    """Write a table."""
    with (DATA / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split())
        writer.writerows(rows)


if __name__ == "__main__":
    write("languages.csv", "country language percent official script name", [*languages()])
    write("currencies.csv", "country currency symbols", [*currencies()])
