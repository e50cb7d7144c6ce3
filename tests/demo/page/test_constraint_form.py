import pytest

from demo.page import constraint_form
from geoloc.belief.constraints import parse
from geoloc.errors import ConstraintError

NOTHING = ["", "", "", ""]


def test_fields_become_a_constraint():
    assert (
        constraint_form.within(constraint_form.ANYWHERE, "Peru", ["1", "2", "3"], NOTHING) is None
    )
    assert constraint_form.within(constraint_form.NAMED, " Peru ", NOTHING[:3], NOTHING) == "Peru"
    circle = constraint_form.within(
        constraint_form.CIRCLE, None, ["48,86", "−2.35", " 50 "], NOTHING
    )
    assert parse(circle).name == "within 50 km of 48.8600, -2.3500"
    box = constraint_form.within(
        constraint_form.BOX, None, NOTHING[:3], ["-10", "170", "10", "-170"]
    )
    assert parse(box).name == "the box -10, 170 to 10, -170"


@pytest.mark.parametrize("text", ["", "north", "nan", "inf", "1e999", "0x10", None])
def test_invalid_numbers_are_reported(text):
    assert constraint_form.number(text) is None
    with pytest.raises(ConstraintError, match="Fill in latitude"):
        constraint_form.within(constraint_form.CIRCLE, None, ["1", "2", text], NOTHING)


@pytest.mark.parametrize(
    "text",
    ["/etc/passwd.json", "x.GeoJSON", '{"type": "Polygon"}', " POLYGON((0 0, 1 1, 1 0, 0 0))"],
)
def test_file_names_and_polygons_are_refused(text):
    with pytest.raises(ConstraintError, match="not the name of a country"):
        constraint_form.within(constraint_form.NAMED, text, NOTHING[:3], NOTHING)


def test_every_offered_country_is_understood():
    offered = constraint_form.countries()
    assert len(offered) > 200
    for name in offered:
        assert constraint_form.within(constraint_form.NAMED, name, NOTHING[:3], NOTHING) == name
        assert parse(name).name == name


def test_chips_are_conditions_that_the_constraint_parser_knows():
    named = (constraint_form.NAMED, "Africa", NOTHING[:3], NOTHING)
    chosen = ["Left-hand traffic", "Above 2,000 m", "no such chip"]
    assert constraint_form.within(*named, chosen) == "Africa; left-hand traffic; above 2,000 m"
    anywhere = (constraint_form.ANYWHERE, None, NOTHING[:3], NOTHING)
    for chip, text in constraint_form.CHIPS.items():
        assert constraint_form.within(*anywhere, [chip]) == text
        assert parse(text).name
