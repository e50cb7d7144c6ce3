import pytest

from demo.map.place_search import search
from demo.page import constraint_form
from geoloc.belief.constraints import parse
from geoloc.errors import ConstraintError


def name(text):
    return {"kind": "name", "text": text}


def test_places_and_drawn_areas_become_constraints_that_are_searched_together():
    areas = [
        name(" Peru "),
        {"kind": "circle", "lat": 48.86, "lon": -2.35, "radius_km": 50},
        {"kind": "box", "south": -10, "west": 170, "north": 10, "east": 190},
        {"kind": "polygon", "ring": [[365, 0], [370, 0], [370, 5]]},
    ]
    texts = constraint_form.within(areas, ["Left-hand traffic", "no such chip"])
    assert texts[0] == "Peru"
    assert parse(texts[1]).name == "within 50 km of 48.8600, -2.3500"
    assert parse(texts[2]).name == "the box -10, 170 to 10, -170"
    assert parse(texts[3]).contains([(1.0, 9.0), (1.0, 5.1)]).tolist() == [True, False]
    assert texts[4:] == ("left-hand traffic",)
    assert parse(texts).name.startswith("Peru or within 50 km")
    assert constraint_form.within([]) == constraint_form.within(None) == ()


@pytest.mark.parametrize(
    "area",
    [
        name(""), name("/etc/passwd.json"), name("x.GeoJSON"), name('{"type": "Polygon"}'),
        name(" POLYGON((0 0, 1 1, 1 0, 0 0))"), name("a" * 101), {"kind": "file"}, "Peru", None,
        {"kind": "circle", "lat": "1", "lon": 2, "radius_km": 3},
        {"kind": "circle", "lat": float("nan"), "lon": 2, "radius_km": 3},
        {"kind": "polygon", "ring": [[0, 0], [1, 1]]}, {"kind": "polygon", "ring": [[]] * 5},
        {"kind": "polygon", "ring": "abc"}, {"kind": "polygon", "ring": [7, 8, 9]},
        {"kind": "polygon", "ring": [[0, 0]] * 201},
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(area):
    with pytest.raises(ConstraintError) as error:
        constraint_form.within([area])
    assert "\n" not in str(error.value)
    assert constraint_form.named(area)["problem"]


def test_too_many_places_are_refused():
    with pytest.raises(ConstraintError, match="at most 10"):
        constraint_form.within([name("Peru")] * 11)


def test_chosen_places_get_names_for_people():
    lisbon, lilliput = map(constraint_form.named, (name("Lisboa"), name("Lilliput")))
    assert (lisbon["label"], lisbon["problem"]) == (parse("Lisboa").name, "")
    assert lilliput["problem"] == (
        '"Lilliput" is no country, region or town; choose one of the list, or draw an area on the'
        " map"
    )
    assert constraint_form.within([lisbon, lilliput]) == ("Lisboa",)


def test_chips_are_conditions_that_the_constraint_parser_knows():
    for chip, text in constraint_form.CHIPS.items():
        assert constraint_form.within([], [chip]) == (text,)
        assert parse(text).name


@pytest.mark.parametrize("text", ["", "north", "nan", "inf", "1e999", "0x10", None])
def test_what_is_no_number_is_none(text):
    assert constraint_form.number(text) is None


@pytest.mark.parametrize(
    ("typed", "found", "kind"),
    [
        ("ital", "Italy", "country"),
        ("Deutschl", "Germany", "country"),
        ("münchen", "Munich, Bavaria, Germany", "town"),
        ("Paris", "Paris, Île-de-France, France", "town"),
        ("bavar", "Bavaria, Germany", "region"),
        ("southern eur", "Southern Europe", "several countries"),
    ],
)
def test_places_are_found_by_english_and_local_names(typed, found, kind):
    suggested = search(typed)
    assert {"text": found, "kind": kind} in suggested
    for each in suggested:
        assert parse(each["text"]).name  # every suggestion can be searched in


@pytest.mark.parametrize("typed", ["", "x", "xqzw", None, 7, ["Italy"], "a" * 10_000])
def test_a_search_for_nothing_finds_nothing(typed):
    assert search(typed) == []
