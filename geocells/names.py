"""Places by name: countries, groups of countries, regions and towns, in many languages."""

from __future__ import annotations

import csv
import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from geocells.borders.hierarchy import DATA, country_table, embedded_boundaries
from geocells.columns import objects, read_parquet
from geocells.places import towns
from geocells.types import Int32Array

_LETTERS = {**str.maketrans("øłđðıə", "olddie", ".'’‘ʻʼ`´"), ord("æ"): "ae", ord("&"): " and "}
_NO_LETTERS = re.compile(r"[\W_]+")
_SAINT = re.compile(r"\bst (?=\w)")


def fold(name: str) -> str:
    """Return a name in lower case, without accents, punctuation and a leading article."""
    plain = name.casefold().translate(_LETTERS)
    if not plain.isascii():
        letters = unicodedata.normalize("NFKD", plain).casefold()
        plain = "".join(c for c in letters if not unicodedata.combining(c))
    words = _NO_LETTERS.sub(" ", plain).strip()
    return _SAINT.sub("saint ", words).removeprefix("the ")


@cache
def countries_by_name() -> dict[str, int]:
    """Return rows of `embedded_boundaries().country` by folded name and code.

    Codes are ISO 3166-1 alpha-2 and alpha-3. Names are those of the borders and of ISO 3166-1, and
    of CLDR in all languages where they mean one country.
    """
    country = embedded_boundaries().country
    row_of = {str(code): row for row, code in enumerate(country.codes)}
    rows = {name: row_of[code] for name, code in _other_names()["country"]}
    rows |= {iso3.casefold(): row_of[code] for code, (iso3, _, _) in country_table().items()}
    rows |= {fold(name): row for row, name in enumerate(country.names)}
    return rows | {code.casefold(): row for code, row in row_of.items()}


def find_countries(texts: npt.ArrayLike) -> Int32Array:
    """Return the countries that texts name.

    Args:
        texts: (N,) codes or names, see `countries_by_name`.

    Returns:
        (N,) rows of `embedded_boundaries().country`, -1 for an unknown name.
    """
    rows = countries_by_name()
    given = [str(text) for text in np.asarray(texts, object)]
    row_of = {text: rows.get(fold(text), -1) for text in set(given)}
    return np.array([row_of[text] for text in given], np.int32)


@cache
def groups() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return English name and ISO codes of groups of countries by code.

    They are continents, regions of the United Nations, the European Union, and others such as
    Scandinavia.
    """
    with (DATA / "groups.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["code"]: (row["name"], tuple(row["countries"].split()))
            for row in csv.DictReader(file)
        }


@cache
def groups_by_name() -> dict[str, str]:
    """Return codes of `groups` by folded name, in all languages of CLDR."""
    return dict(_other_names()["group"]) | {
        fold(name): code for code, (name, _) in groups().items()
    }


@cache
def regions_by_name() -> dict[str, list[int]]:
    """Return rows of `embedded_boundaries().region` by folded name.

    Names are those of the borders first, then other names of GeoNames, then the local part of ISO
    3166-2 codes ("ny" of US-NY), which is understood beside a country only.
    """
    region = embedded_boundaries().region
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(region.names):
        rows.setdefault(fold(name), []).append(row)
    row_of = {str(code): row for row, code in enumerate(region.codes)}
    for name, code in _other_names()["region"]:
        if row_of[code] not in rows.setdefault(name, []):
            rows[name].append(row_of[code])
    return rows


def regions_by_code(part: str) -> list[int]:
    """Return rows of regions whose ISO 3166-2 code ends in a part, such as "ny" for US-NY."""
    codes = embedded_boundaries().region.codes
    return [row for row, code in enumerate(codes) if code[2:3] == "-" and code[3:].lower() == part]


def find_towns(name: str) -> list[int]:
    """Return the rows of `towns()` with a name, in any spelling of case and accents, largest first.

    Towns of at least 100,000 people are also found by their names in other languages.
    """
    key, gazetteer = fold(name), towns()
    rows = {*_towns_by_name().get(key, ())}
    for other in _other_towns().get(key, ()):
        home, _, title = other.partition("|")
        same = [row for row in _towns_by_name()[fold(title)] if gazetteer.country[row] == home]
        rows.add(max(same, key=lambda row: int(gazetteer.population[row])))
    return sorted(rows, key=lambda row: -int(gazetteer.population[row]))


def town_names(min_population: int) -> list[str]:
    """Return the folded names of towns with at least so many people."""
    gazetteer = towns()
    large = np.flatnonzero(gazetteer.population >= min_population).tolist()
    return [fold(gazetteer.name[row].as_py()) for row in large]


def known_towns() -> set[str]:
    """Return the folded names of all towns, in all languages."""
    return {*_towns_by_name(), *_other_towns()}


@cache
def _towns_by_name() -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(towns().name.to_pylist()):
        rows.setdefault(fold(name), []).append(row)
    return rows


@cache
def _other_towns() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, code in _other_names()["town"]:
        found.setdefault(name, []).append(code)
    return found


@cache
def _other_names() -> dict[str, list[tuple[str, str]]]:
    """Return folded names and codes in `names.parquet` by kind."""
    table = read_parquet(DATA / "names.parquet")
    found: dict[str, list[tuple[str, str]]] = {}
    for name, kind, code in zip(*map(objects, table.columns), strict=True):
        found.setdefault(kind, []).append((name, code))
    return found
