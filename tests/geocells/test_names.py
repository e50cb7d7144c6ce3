"""Names of countries, groups of countries, regions and towns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells.borders.hierarchy import country_table, embedded_boundaries
from geocells.names import (
    countries_by_name,
    find_countries,
    find_towns,
    fold,
    groups,
    groups_by_name,
    regions_by_code,
    regions_by_name,
)
from geocells.places import towns


def codes_of(texts):
    rows = find_countries(texts)
    return ["" if row < 0 else embedded_boundaries().country.codes[row] for row in rows]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("FR", "fr|FRA| France|Frankreich|Francia|Франция|フランス|French Republic"),
        ("VN", "Vietnam|Viet Nam|Việt Nam|Socialist Republic of Viet Nam|VNM"),
        ("KR", "South Korea|Korea|Republic of Korea|Korea, Republic of|대한민국|KOR"),
        ("DE", "Germany|Deutschland|Allemagne|Alemania|Germania|DEU|Federal Republic of Germany"),
        ("NA", "NA|Namibia"),
        ("TR", "Turkey|Türkiye|Turkiye|TUR"),
        ("CD", "DR Congo|Congo, The Democratic Republic of the|Congo - Kinshasa"),
        ("JP", "Japan|日本|Nippon|Nihon|Japon"),
        ("GR", "Greece|Ελλάδα|Hellas|GRC"),
        ("US", "USA|US|United States of America|Estados Unidos"),
        ("CI", "Ivory Coast|Côte d’Ivoire|Cote d'Ivoire"),
        ("", "Atlantis||Congo|America|England|Salvador"),
    ],
)
def test_countries_are_found_by_codes_and_by_names_in_many_languages(code, names):
    assert set(codes_of(names.split("|"))) == {code}


def test_every_country_is_found_by_its_codes_and_name():
    for code, (iso3, name, _) in country_table().items():
        assert codes_of([code, iso3, name]) == [code] * 3


def test_no_name_of_a_region_means_its_country_or_another():
    country, region = embedded_boundaries().country, embedded_boundaries().region
    own = {fold(name) for name in country.names} | {code.lower() for code in country.codes}
    confused = {
        fold(name)
        for name in region.names
        if countries_by_name().get(fold(name)) is not None and fold(name) not in own
    }
    assert len(confused) < 10, confused
    assert "england" not in confused


def test_groups_are_those_of_the_united_nations():
    assert set(groups()["EU"][1]) >= {"FR", "DE", "IE"}
    assert len(groups()["EU"][1]) == 27
    assert groups()["039"][0] == "Southern Europe"
    parts = [set(groups()[code][1]) for code in ("151", "154", "155", "039")]
    assert set.union(*parts) == set(groups()["150"][1])
    assert sum(map(len, parts)) == len(groups()["150"][1])
    continents = [set(groups()[code][1]) for code in ("002", "009", "019", "142", "150")]
    assert set(country_table()) - set.union(*continents) == {"AQ"}
    known = set(country_table())
    assert all(set(codes) <= known for _, codes in groups().values())
    for name in (
        "Europe",
        "Southern Europe",
        "South Europe",
        "Südeuropa",
        "West Africa",
        "Nordics",
    ):
        assert fold(name) in groups_by_name()


def test_regions_are_found_by_english_and_local_names_and_codes():
    region = embedded_boundaries().region
    for name, title in [("Tuscany", "Toscana"), ("Bayern", "Bavaria"), ("Sicily", "Sicilia"),
                        ("Flanders", "Vlaams Gewest")]:  # fmt: skip
        assert [region.names[row] for row in regions_by_name()[fold(name)]] == [title]
    assert "US-NY" in [region.codes[row] for row in regions_by_code("ny")]


def test_towns_are_found_in_any_spelling_largest_first():
    gazetteer = towns()
    for name in ("Munich", "München", "MUNCHEN", "Monaco di Baviera"):
        row = find_towns(name)[0]
        assert (gazetteer.name[row].as_py(), gazetteer.country[row]) == ("Munich", "DE")
    people = gazetteer.population[find_towns("Springfield")]
    assert len(people) > 10
    assert (people[:-1] >= people[1:]).all()
    assert find_towns("Lilliput") == []


@given(st.text(max_size=30))
def test_any_text_folds_to_words_and_names_a_country_or_none(text):
    words = fold(text)
    assert words == " ".join(words.split())
    assert fold(text.upper()) == fold(text.upper().casefold())
    assert codes_of([text])[0] in {"", *country_table()}
