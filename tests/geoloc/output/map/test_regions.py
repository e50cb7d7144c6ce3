"""Regions of answers: they hold what the calibrated radii and the geocells say together."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from geocells.sphere import KM_PER_DEG
from geoloc.guess import RegionCell
from geoloc.output.map.regions import regions_of
from tests.demo.fakes import make_cells
from tests.demo.guesses import make_guess


def area_km2(outlines, lat):
    return shapely.area(outlines).sum() * KM_PER_DEG**2 * np.cos(np.radians(lat))


@pytest.mark.parametrize("radius_km", [1.0, 12.0, 60.0])
def test_inside_one_cell_the_regions_are_discs_of_the_calibrated_radii(radius_km):
    guess = make_guess(lat=-34.0, lon=151.0, radius_km=radius_km)
    guess = replace(guess, region=(RegionCell("AU-1", 1.0, 0.5),))
    regions = regions_of(guess, make_cells())
    assert regions.circle_is_fair
    for level, radius in ((0.5, guess.radius_50_km), (0.8, guess.radius_80_km)):
        disc = np.pi * radius**2
        assert 0.7 * disc < area_km2(regions.outlines[level], guess.lat) < 1.6 * disc


def test_the_regions_lie_in_each_other_and_contain_the_best_guess():
    for radius_km in (0.0, 5.0, 700.0, 9000.0):
        guess = make_guess(radius_km=radius_km)
        small, middle, large = (
            shapely.union_all(shapely.buffer(each, 1e-6))
            for each in regions_of(guess, make_cells()).outlines.values()
        )
        assert shapely.covers(small, shapely.Point(guess.lon, guess.lat))
        assert small.difference(middle).area < 0.02 * middle.area
        assert middle.difference(large).area < 0.02 * large.area


def test_two_places_far_apart_are_two_parts_and_no_circle():
    guess = replace(make_guess(radius_km=1200.0), region=(
        RegionCell("AU-1", 0.55, 0.8), RegionCell("AU-2", 0.40, 0.95)))  # fmt: skip
    regions = regions_of(guess, make_cells())
    assert not regions.circle_is_fair
    sydney, hobart = shapely.Point(151.0, -34.0), shapely.Point(147.0, -42.5)
    for place in (sydney, hobart):
        assert any(shapely.covers(part, place) for part in regions.outlines[0.95])
    assert not any(
        shapely.covers(part, shapely.Point(149.0, -39.0)) for part in regions.outlines[0.8]
    )


def test_without_cells_as_under_a_limit_of_precision_the_radii_alone_are_drawn():
    guess = replace(make_guess(radius_km=50.0), region=())
    regions = regions_of(guess, make_cells())
    assert regions.circle_is_fair
    assert area_km2(regions.outlines[0.8], guess.lat) == pytest.approx(np.pi * 50**2, rel=0.5)


@pytest.mark.parametrize(("lat", "lon"), [(-16.8, 179.97), (78.2, -179.9), (0.0, 0.0)])
def test_regions_are_drawn_around_the_best_guess_across_the_antimeridian(lat, lon):
    guess = make_guess(lat=lat, lon=lon, radius_km=30.0)
    west, _, east, _ = shapely.total_bounds(regions_of(guess, make_cells()).outlines[0.5])
    assert west < lon < east
    assert east - west < 20.0
