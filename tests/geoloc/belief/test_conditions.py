"""Conditions of --within: traffic, coast, height and script, alone, combined and within places."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.attributes import elevation_m
from geocells.table import CellTable
from geoloc.belief.conditions import near_sea, parse_condition
from geoloc.belief.constraints import parse
from geoloc.belief.named_areas import named
from geoloc.errors import ConstraintError
from geoloc.geolocator import Geolocator

STARTER = Path(__file__).parents[3] / "geoloc/bundles/starter/cells.parquet"

LONDON, PARIS, NICE, SOFIA = (51.5, -0.12), (48.86, 2.35), (43.7, 7.26), (42.7, 23.3)
GENEVA, TAMANRASSET, MIDDLE_OF_LAKE_SUPERIOR = (46.21, 6.16), (22.79, 5.52), (47.6, -87.5)
LA_PAZ = (-16.5, -68.15)


@pytest.fixture(scope="module")
def table():
    return CellTable.read(STARTER)


@pytest.mark.parametrize(
    ("text", "name", "inside", "outside"),
    [
        ("left-hand traffic", "left-hand traffic", LONDON, PARIS),
        ("in the country with left-hand traffic", "left-hand traffic", LONDON, PARIS),
        ("drives on the right", "right-hand traffic", PARIS, LONDON),
        ("near the sea", "within 10 km of the sea", NICE, PARIS),
        ("near water", "within 10 km of the sea or 5 km of a lake or river", PARIS, TAMANRASSET),
        ("within 20 km of water", "within 20 km of water", NICE, TAMANRASSET),
        ("near a river", "within 5 km of a river", PARIS, NICE),
        ("on a lake", "within 5 km of a lake", GENEVA, PARIS),
        ("within 3 km of a lake", "within 3 km of a lake", MIDDLE_OF_LAKE_SUPERIOR, NICE),
        ("within 300 km of the sea", "within 300 km of the sea", PARIS, LA_PAZ),
        ("above 2,000 m", "above 2,000 m", LA_PAZ, PARIS),
        ("above 6,000 ft", "above 1,829 m", LA_PAZ, NICE),
        ("below 500 m", "below 500 m", PARIS, LA_PAZ),
        ("a language written in Cyrillic", "a language written in Cyrillic", SOFIA, PARIS),
        ("Cyrillic script", "a language written in Cyrillic", SOFIA, PARIS),
    ],
)  # fmt: skip
def test_conditions_in_words(text, name, inside, outside):
    constraint = parse(text)
    assert constraint.name == name
    assert constraint.contains(np.array([inside, outside])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Africa; left-hand traffic", {"KE", "ZA"}),
        ("left-hand traffic and Africa", {"KE", "ZA"}),
        ("Bosnia and Herzegovina and above 200 m", {"BA"}),
        ("Europe; a language written in Greek; near the sea", {"GR"}),
    ],
)
def test_conditions_and_places_combine(table, text, codes):
    mask = parse(text).mask(table, np.zeros((0, 2)))
    assert codes <= set(table.country[mask.share > 0])
    assert not {"FR", "US"} & set(table.country[mask.share > 0])


def test_points_and_shares_of_cells_satisfy_the_condition(table):
    constraint = parse("above 2,000 m")
    mask = constraint.mask(table, np.array([LA_PAZ, PARIS]))
    assert mask.clusters.tolist() == [True, False]
    inside = mask.share > 0
    assert 0.01 < inside.mean() < 0.5
    assert (elevation_m(mask.centroids[inside]) > 2000).all()
    own = table.locate(mask.centroids[inside]) == np.flatnonzero(inside)
    assert own.mean() > 0.9  # a bent cell may have its centroid outside
    assert (mask.reach_km(np.array([LA_PAZ])) > 1000).all()


def test_answers_stay_inside(tmp_path):
    starter = Geolocator.from_bundle("starter")
    photo = Path(__file__).parents[3] / "demo/examples/tower.jpg"
    guess = starter.locate(photo, within="left-hand traffic; near the sea")
    places = np.array([(each.lat, each.lon) for each in (guess, *guess.candidates)])
    assert parse("left-hand traffic").contains(places).all()
    assert guess.within == "left-hand traffic, within 10 km of the sea"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("above 20,000 m", "give a height"),
        ("within 9000 km of the sea", "up to 500 km"),
        ("written in Klingon", "no script of this name"),
        ("Portugal; Spain", "2 places"),
        ("Portugal; above 5,000 m", "no place there"),
        ("left-hand traffic and right-hand traffic", "no place there"),
        ("near the moon", "near the moon"),
        (";", "no place"),
    ],
)
def test_impossible_conditions_are_one_line(table, text, problem):
    with pytest.raises(ConstraintError, match=problem) as raised:
        parse(text).mask(table, np.zeros((0, 2)))
    assert "\n" not in str(raised.value)


def test_names_of_places_are_no_conditions():
    for name in ("Trinidad and Tobago", "Bosnia and Herzegovina", "Portugal", "Over, Germany"):
        assert parse_condition(name) is None
    assert parse("Trinidad and Tobago").name == named("Trinidad and Tobago").name


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_constraint_or_one_line(text):
    with contextlib.suppress(ConstraintError):
        assert parse(text).name


def test_farther_from_the_sea_holds_more():
    points = np.random.default_rng(0).uniform((-60, -180), (75, 180), (400, 2))
    near, far = near_sea(points, 10.0), near_sea(points, 100.0)
    assert near.sum() < far.sum()
