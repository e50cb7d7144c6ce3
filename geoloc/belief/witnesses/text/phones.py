"""Telephone numbers: the country of an international one, the town of a local one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from geocells.names import find_countries, find_towns
from geocells.places import towns
from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue, Spot
from geoloc.belief.witnesses.text.speakers import name_countries
from geoloc.errors import MissingExtraError

TOWN_KM = 25.0

MOST_COUNTRIES = 12
"""A number that is valid in more countries says nothing."""

_NUMBER = re.compile(r"(?<![\w.,])(?:\+|00|\(?0)?[\d(][\d\s().\-/–]{6,18}\d(?![\w,])")
_CALLED = re.compile(
    r"(?i)\b(tel|tél|telefon|telefono|teléfono|phone|fax|call|fon|mob|ph)\b|☎|電話|전화"
)
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{4}-\d{4}")


def clues(lines: Sequence[Line]) -> list[Clue]:
    """Return a clue for each telephone number."""
    found = []
    for row, line in enumerate(lines):
        for match in _NUMBER.finditer(line.text):
            text = match.group().strip()
            if not _DATE.fullmatch(text):
                said = bool(_CALLED.search(line.text[: match.start()]))
                clue = _international(row, text)
                if clue is None and (said or _grouped(text)):
                    clue = _local(row, text)
                if clue is not None:
                    found.append(clue)
    return found


def _international(row: int, text: str) -> Clue | None:
    if not text.startswith(("+", "00")):
        return None
    library = _phonenumbers()
    try:
        number = library.parse("+" + re.sub(r"^(\+|00)", "", text), None)
    except library.NumberParseException:
        return None
    country = library.region_code_for_number(number)
    if not country or not library.is_valid_number(number):
        return None
    return _clue(row, text, {country: number})


def _local(row: int, text: str) -> Clue | None:
    """Return a clue for a number without country code: the countries in which it is valid."""
    library, valid = _phonenumbers(), {}
    for country in sorted(library.SUPPORTED_REGIONS):
        try:
            number = library.parse(text, country)
        except library.NumberParseException:
            continue
        own = library.is_valid_number_for_region(number, country)
        if own and library.number_type(number) in _GEOGRAPHIC and _written(number, text):
            valid[country] = number
    return _clue(row, text, valid) if 0 < len(valid) <= MOST_COUNTRIES else None


def _clue(row: int, text: str, numbers: dict[str, Any]) -> Clue:
    from phonenumbers import geocoder

    countries = dict.fromkeys(numbers, 1.0)
    names = name_countries(countries)
    spots: list[Spot] = []
    meaning = f"a telephone number of {names}"
    if len(numbers) == 1:
        country, number = next(iter(numbers.items()))
        town = geocoder.description_for_number(number, "en")
        if town and find_countries([town])[0] < 0:
            meaning = f"a telephone number of {town}, {names}"
            spots = _spots(town, country)
    cue = "telephone" if text.startswith(("+", "00")) else "local telephone"
    near = dict.fromkeys(countries, 0.2) if spots else countries
    return Clue(cue, row, text, meaning, near, spots=tuple(spots))


def _spots(town: str, country: str) -> list[Spot]:
    """Return the largest town of a name in a country."""
    gazetteer = towns()
    rows = [row for row in find_towns(town.split(",")[0]) if gazetteer.country[row] == country]
    latlon = gazetteer.points.latlon
    return [Spot(float(latlon[r, 0]), float(latlon[r, 1]), TOWN_KM) for r in rows[:1]]


def _written(number: Any, text: str) -> bool:  # noqa: ANN401
    """Return whether a number begins as it is dialled at home: 030 in Germany."""
    library = _phonenumbers()
    home = library.format_number(number, library.PhoneNumberFormat.NATIONAL)
    return re.sub(r"\D", "", home) == re.sub(r"\D", "", text)


def _grouped(text: str) -> bool:
    return len(re.findall(r"\d+", text)) >= 2 and len(re.sub(r"\D", "", text)) >= 9


def check_installed() -> None:
    """Raise MissingExtraError if the library is not installed."""
    _phonenumbers()


@cache
def _phonenumbers() -> Any:  # noqa: ANN401
    try:
        import phonenumbers
    except ImportError as error:
        raise MissingExtraError("phonenumbers", "text") from error
    return phonenumbers


_GEOGRAPHIC = (0, 1, 2)
"""Fixed line, mobile, and either, in `phonenumbers.PhoneNumberType`."""
