import json
from dataclasses import replace
from itertools import pairwise

import pytest
import shapely

from geocells.sphere import haversine_km
from geoloc.guess import Exif
from geoloc.output.map import shown
from geoloc.output.map.regions import regions_of
from tests.demo.fakes import make_cells
from tests.demo.guesses import make_guess


@pytest.fixture(scope="module")
def cells():
    return make_cells()


def pins(data, kind):
    return [pin for pin in data["pins"] if pin["kind"] == kind]


def test_the_map_shows_regions_circle_pins_and_the_position_in_the_file(cells):
    guess = make_guess(exif=Exif(-42.88, 147.33))
    data = shown.map_data(guess, cells)
    levels = [feature["properties"]["level"] for feature in data["regions"]["features"]]
    assert levels == [0.95, 0.8, 0.5]  # the largest below the others
    ring = [corner[::-1] for corner in data["circle"]]
    assert haversine_km(ring, [guess.lat, guess.lon]) == pytest.approx(guess.radius_80_km, rel=1e-3)
    assert [(pin["lat"], pin["lon"]) for pin in pins(data, "file")] == [(-42.88, 147.33)]
    assert data["pins"][-1]["kind"] == "answer"  # on top
    assert len(pins(data, "other")) == len(guess.candidates) - 1
    assert len(pins(data, "known")) == len(guess.neighbours)
    assert len(json.dumps(data)) < 40_000


@pytest.mark.parametrize("radius_km", [0.3, 12.0, 800.0, 9000.0])
@pytest.mark.parametrize(("lat", "lon"), [(-33.87, 151.21), (-16.8, 179.97), (78.2, -179.9)])
def test_the_initial_window_contains_the_answer_anywhere_on_earth(cells, lat, lon, radius_km):
    guess = make_guess(lat=lat, lon=lon, radius_km=radius_km)
    south, west, north, east = shown.window(guess, regions_of(guess, cells))
    assert -85 <= south < lat < north <= 85
    assert west < lon < east <= west + 450


@pytest.mark.parametrize("radius_km", [12.0, 800.0, 3000.0, 7500.0, 12000.0])
@pytest.mark.parametrize(("lat", "lon"), [(0.0, 10.0), (-16.8, 179.97), (78.2, -179.9)])
def test_a_circle_is_a_closed_ring_and_never_a_wave(cells, lat, lon, radius_km):
    guess = make_guess(lat=lat, lon=lon, radius_km=radius_km)
    ring = shown.map_data(guess, cells)["circle"]
    contains_a_pole = radius_km > haversine_km([lat, lon], [90.0 if lat > 0 else -90.0, 0.0])
    if contains_a_pole or radius_km > 5000.0:
        assert ring is None
    if ring is not None:
        assert ring[0] == pytest.approx(ring[-1])
        assert max(abs(a[0] - b[0]) for a, b in pairwise(ring)) < 90


def test_an_answer_between_the_places_has_a_pin_of_its_own_on_top(cells):
    guess = replace(make_guess(), lat=-38.0, lon=149.0, probability=0.1)
    data = shown.map_data(guess, cells)
    assert len(pins(data, "other")) == len(guess.candidates)
    (answer,) = pins(data, "answer")
    assert (answer["lat"], answer["lon"]) == (-38.0, 149.0)
    assert answer["title"].startswith("best guess: ")
    assert pins(data, "other")[0]["label"] == "2"


def test_the_searched_places_are_outlined():
    shapes = shown.searched(("Tasmania, Australia", "Fiji", "near the sea"))
    outlines = [shapely.from_geojson(json.dumps(each["geometry"])) for each in shapes["features"]]
    assert any(shapely.covers(shape, shapely.Point(146.8, -42.0)) for shape in outlines)
    assert any(shapely.covers(shape, shapely.Point(178.0, -17.8)) for shape in outlines)
    assert shown.searched(()) is None
    assert shown.searched(("above 2,000 m",)) is None
