"""Build the names of places that are understood beside the embedded ones.

`names.parquet`: names of countries and of groups of countries in all languages of CLDR, names of
ISO 3166-1, and other names of regions and large towns by GeoNames. `groups.csv`: continents, the
regions of the United Nations, the European Union and common groups.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from geocells.borders.hierarchy import DATA, country_table, embedded_boundaries
from geocells.names import fold
from geocells.places import towns

MIN_POPULATION = 100_000
"""Towns with fewer people are known by one name."""

OTHER_GROUPS = {
    "Scandinavia": "DK NO SE",
    "Nordic countries": "AX DK FI FO GL IS NO SE SJ",
    "Benelux": "BE LU NL",
    "Baltic states": "EE LT LV",
    "Balkans": "AL BA BG GR HR ME MK RO RS SI XK",
    "Central Europe": "AT CH CZ DE HU LI PL SI SK",
    "Middle East": "AE BH CY EG IL IQ IR JO KW LB OM PS QA SA SY TR YE",
    "Maghreb": "DZ EH LY MA MR TN",
    "Iberian Peninsula": "AD ES GI PT",
    "British Isles": "GB GG IE IM JE",
    "South Caucasus": "AM AZ GE",
    "Indochina": "KH LA VN",
    "Korean Peninsula": "KP KR",
}
GROUP_NAMES = {
    "EU": ["EU"], "Middle East": ["Near East"], "Iberian Peninsula": ["Iberia"],
    "Nordic countries": ["Nordics", "Nordic"], "Baltic states": ["Baltics", "Baltic countries"],
    "South Caucasus": ["Caucasus"], "Balkans": ["Balkan Peninsula"], "035": ["South-Eastern Asia"],
    "053": ["Australia and New Zealand"], "419": ["Latin America and the Caribbean"],
}  # fmt: skip
NOT_GROUPS = ["001", "QO", "UN"]  # the world, islands around Antarctica, the United Nations
AMBIGUOUS = ["congo", "america"]
COUNTRY_NAMES = {
    "US": ["USA", "United States of America"], "GB": ["UK", "Britain", "Great Britain"],
    "AE": ["UAE"], "KR": ["Korea"], "CZ": ["Czech Republic"], "NL": ["Holland"], "BA": ["Bosnia"],
    "MK": ["Macedonia"], "CD": ["DRC", "DR Congo"], "CG": ["Congo Brazzaville"], "VA": ["Vatican"],
    "IE": ["Republic of Ireland"], "TL": ["East Timor"], "CI": ["Ivory Coast"], "SZ": ["Swaziland"],
    "MM": ["Burma"], "TR": ["Türkiye"], "CV": ["Cabo Verde"],
    "RU": ["Russian Federation", "Rossiya"],
    "IN": ["Bharat"], "JP": ["Nippon", "Nihon"], "CN": ["Zhongguo"], "AL": ["Shqipëria"],
    "GE": ["Sakartvelo"], "AM": ["Hayastan"],
}  # fmt: skip


def main(source: Path) -> None:
    """Write both files."""
    groups = list(_groups(source / "cldr"))
    table = pd.DataFrame(groups, columns=["code", "name", "countries"])
    table.to_csv(DATA / "groups.csv", index=False)
    rows = [
        *_territories(source, [code for code, _, _ in groups]),
        *_regions(source / "geonames_subdivisions.parquet"),
        *_towns(source / "cities15000.json"),
    ]
    names = pd.DataFrame(rows, columns=["name", "kind", "code"]).drop_duplicates()
    names = names.sort_values(["kind", "code", "name"])
    pq.write_table(
        pa.table({name: pa.array(names[name].tolist(), pa.string()) for name in names}),
        DATA / "names.parquet",
        compression="zstd",
        compression_level=19,
    )
    print(names.kind.value_counts().to_dict())


def _groups(cldr: Path) -> Iterator[tuple[str, str, str]]:
    """Yield code, English name and ISO codes of the countries of each group."""
    tree = ElementTree.parse(cldr / "supplemental/supplementalData.xml")
    inside: dict[str, list[str]] = {}
    for group in tree.iterfind("territoryContainment/group"):
        if group.get("status") != "deprecated":
            inside.setdefault(group.get("type", ""), []).extend(group.get("contains", "").split())
    english = {
        node.get("type"): node.text
        for node in ElementTree.parse(cldr / "main/en.xml").iterfind(".//territory")
        if node.get("alt") is None
    }

    def members(code: str) -> set[str]:
        if code in country_table() or code in NOT_GROUPS:
            return {code} - set(NOT_GROUPS)
        return {each for part in inside.get(code, ()) for each in members(part)}

    for code in sorted(set(inside) - set(NOT_GROUPS)):
        if code in english and code not in country_table():
            yield code, str(english[code]), " ".join(sorted(members(code)))
    for name, countries in OTHER_GROUPS.items():
        yield name, name, countries


def _territories(source: Path, groups: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield folded name, kind and code of countries and groups; English names first.

    Other languages give no name that means two places, or a region or large town elsewhere.
    """
    elsewhere = _regions_and_towns()
    sure: dict[str, str] = {}
    for item in json.loads((source / "iso3166-1.json").read_text(encoding="utf-8"))["3166-1"]:
        for key in ("name", "official_name", "common_name"):
            text = item.get(key, "")
            sure.setdefault(fold(text), item["alpha_2"])
            sure.setdefault(fold(" ".join(reversed(text.split(", ", 1)))), item["alpha_2"])
    for code, names in [*COUNTRY_NAMES.items(), *GROUP_NAMES.items()]:
        sure |= {fold(name): code for name in names}
    for code in OTHER_GROUPS:
        sure[fold(code)] = code
    wanted = {*country_table(), *groups}
    foreign: dict[str, set[str]] = {}
    for path in sorted((source / "cldr/main").glob("*.xml")):
        for node in ElementTree.parse(path).iterfind(".//territory"):
            name, code = fold(node.text or ""), node.get("type", "")
            if code not in wanted or not name:
                continue
            if path.stem == "en":
                for each in (name, re.sub(r"(?<=[th])ern\b", "", name)):
                    sure.setdefault(each, code)
            foreign.setdefault(name, set()).add(code)
    clear = {
        name: code
        for name, codes in foreign.items()
        for code in codes
        if len(codes) == 1 and elsewhere.get(name, {code}) <= {code}
    }
    for name, code in (clear | sure).items():
        if code in wanted and len(name) > 1 and name not in AMBIGUOUS:
            yield name, "country" if code in country_table() else "group", code


def _regions_and_towns() -> dict[str, set[str]]:
    """Return where regions ("a part of" a country) and large towns (countries) are, by folded name.

    A region is no other name of its country: England is not the United Kingdom.
    """
    region, gazetteer = embedded_boundaries().region, towns()
    found: dict[str, set[str]] = {}
    for code, name in zip(region.codes, region.names, strict=True):
        found.setdefault(fold(name), set()).add(f"a part of {code[:2]}")
    for row in (gazetteer.population >= MIN_POPULATION).nonzero()[0].tolist():
        found.setdefault(fold(gazetteer.name[row].as_py()), set()).add(gazetteer.country[row])
    return found


def _regions(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield folded name, kind and code of regions by GeoNames and ISO 3166-2."""
    divisions = pd.read_parquet(path)
    by_code = {
        code: division
        for division in divisions.itertuples()
        for code in (division.gn, division.iso)
        if code
    }
    region = embedded_boundaries().region
    for code, title in zip(region.codes, region.names, strict=True):
        if division := by_code.get(code):
            for name in (division.name, *division.alt.split("|")):
                plain = " ".join(reversed(name.split(", ")))
                if len(fold(plain)) > 2 and fold(plain) != fold(title):
                    yield fold(plain), "region", code


def _towns(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield folded name, kind and "country|name" of other names of large towns."""
    cities = json.loads(path.read_text(encoding="utf-8")).values()
    gazetteer = towns()
    known = set(zip(gazetteer.country, gazetteer.name.to_pylist(), strict=True))
    for city in cities:
        key = (city["countrycode"], city["name"])
        if city["population"] < MIN_POPULATION or key not in known:
            continue
        for name in {fold(other) for other in city["alternatenames"]} - {fold(city["name"])}:
            if len(name) > 3 or not name.isascii():
                yield name, "town", "|".join(key)
