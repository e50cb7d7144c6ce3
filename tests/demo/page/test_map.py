import json
from dataclasses import replace

import numpy as np
import pytest
import shapely

from demo.page import basemap, map, view
from geocells.sphere import haversine_km
from geoloc.guess import Exif
from tests.demo.guesses import make_guess


def test_the_map_shows_region_circle_pins_and_exif_position(cells):
    guess = make_guess(exif=Exif(-42.88, 147.33))
    region, circle, pins, file = map.map_figure(guess, cells).data
    assert list(region.locations) == ["AU-1", "AU-2"]
    assert list(region.z) == [0.62, 0.21]
    ring = np.stack([circle.lat, circle.lon], axis=-1)
    assert haversine_km(ring, [guess.lat, guess.lon]) == pytest.approx(guess.radius_80_km)
    assert (pins.lat[-1], pins.lon[-1]) == (guess.lat, guess.lon)
    assert pins.marker.size[-1] > pins.marker.size[0]
    assert (file.lat[0], file.lon[0]) == (-42.88, 147.33)
    assert len(map.map_figure(make_guess(), cells).data) == 3


@pytest.mark.parametrize("radius_km", [0.3, 12.0, 800.0, 9000.0])
@pytest.mark.parametrize(("lat", "lon"), [(-33.87, 151.21), (-16.8, 179.97), (78.2, -179.9)])
def test_the_initial_window_contains_the_answer_anywhere_on_earth(cells, lat, lon, radius_km):
    guess = make_guess(lat=lat, lon=lon, radius_km=radius_km)
    south, west, north, east = map.window(guess)
    assert -85 <= south < lat < north <= 85
    assert west < lon < east <= west + 360
    figure = map.map_figure(guess, cells)
    assert figure.layout.map.zoom > -1


@pytest.mark.parametrize("radius_km", [12.0, 800.0, 3000.0, 7500.0, 12000.0])
@pytest.mark.parametrize(("lat", "lon"), [(0.0, 10.0), (-16.8, 179.97), (78.2, -179.9)])
def test_the_radius_is_a_closed_ring_or_is_said_to_be_too_large(cells, lat, lon, radius_km):
    guess = make_guess(lat=lat, lon=lon, radius_km=radius_km)
    _, *points = map.map_figure(guess, cells).data
    circles = [trace for trace in points if trace.mode == "lines"]
    contains_a_pole = radius_km > haversine_km([lat, lon], [90.0 if lat > 0 else -90.0, 0.0])
    assert ("too large to be drawn" in view.headline(guess)) == contains_a_pole
    assert len(circles) == (not contains_a_pole)
    for circle in circles:
        assert (circle.lat[0], circle.lon[0]) == pytest.approx((circle.lat[-1], circle.lon[-1]))
        assert np.abs(np.diff(circle.lon)).max() < 180  # no line across the whole map


def test_the_map_needs_no_network(cells):
    drawn = map.map_figure(make_guess(), cells).to_json()
    assert "http" not in drawn
    assert "token" not in drawn
    assert len(drawn) < 6_000_000


def shape_of(style: dict, source: str) -> shapely.Geometry:
    shapes = style["sources"][source]["data"]["features"]
    parts = shapely.from_geojson([json.dumps(shape["geometry"]) for shape in shapes])
    return shapely.union_all(shapely.make_valid(parts))


def test_the_basemap_has_more_detail_in_the_initial_window():
    style = basemap.style((-34.2, 150.7, -33.5, 151.6))
    assert {layer["source"] for layer in style["layers"][1:]} == set(style["sources"])
    inland, ocean = shapely.Point(151.0, -33.8), shapely.Point(151.35, -33.9)
    for source in ("world", "land"):
        assert shapely.covers(shape_of(style, source), inland)
    assert not shapely.covers(shape_of(style, "land"), ocean)
    assert shapely.covers(shape_of(style, "sea").buffer(1e-3), shape_of(style, "land"))
    edge = shapely.LineString([(149.8, -35.1), (149.8, -32.6)])
    assert shape_of(style, "borders").intersection(edge.buffer(1e-3)).length < 0.1


def test_wide_windows_and_the_antimeridian_use_the_coarse_world_only():
    assert list(basemap.style((-80, -180, 80, 180))["sources"]) == ["world"]
    assert list(basemap.style((-17, 179.5, -16, 180.5))["sources"]) == ["world"]


def test_an_answer_between_the_places_has_a_pin_of_its_own_on_top(cells):
    guess = replace(make_guess(), lat=-38.0, lon=149.0, probability=0.1)
    pins = map.map_figure(guess, cells).data[2]
    assert len(pins.lat) == len(guess.candidates) + 1
    assert (pins.lat[-1], pins.lon[-1]) == (-38.0, 149.0)
    assert pins.text[-1].startswith("best guess: ")
    assert pins.text[0].startswith("2. ")
    assert all(text.endswith("% within 25 km") for text in pins.text)
    assert pins.marker.color[-1] not in pins.marker.color[:-1]
