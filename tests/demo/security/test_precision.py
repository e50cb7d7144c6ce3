import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.security.grid import snap
from demo.security.precision import blur_location
from geocells.sphere import KM_PER_DEG, haversine_km
from geoloc.guess import Candidate, Exif, Neighbour, Place
from tests.demo.guesses import make_guess

COORDINATES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
KM = st.floats(0.5, 5000)


@given(COORDINATES, KM)
def test_snapping_moves_a_coordinate_by_at_most_the_reach_and_is_idempotent(at, km):
    (centre,), (reach_km,) = snap([at], km)
    assert haversine_km(at, centre) <= reach_km * 1.0001
    (again,), _ = snap([centre], km)
    assert again == pytest.approx(centre, abs=1e-9)
    assert -90 <= centre[0] <= 90
    assert -180 <= centre[1] < 180


@given(st.floats(-89, 89), st.floats(1, 2000))
def test_grid_cells_are_at_least_as_high_and_wide_as_the_precision(lat, km):
    meridian = np.stack([np.linspace(-90, 90, 4001), np.zeros(4001)], axis=-1)
    centres = np.unique(snap(meridian, km)[0][:, 0])
    if len(centres) > 1 and 180 * KM_PER_DEG / km < 2000:
        assert np.diff(centres).min() * KM_PER_DEG >= km * 0.9999
    parallel = np.stack([np.full(4001, lat), np.linspace(-180, 179.99, 4001)], axis=-1)
    around = np.unique(snap(parallel, km)[0][:, 1])
    wide_km = 360 * np.cos(np.radians(lat)) * KM_PER_DEG / len(around)
    assert wide_km >= km * 0.9999 or len(around) == 1


def detailed(lat=-33.8712, lon=151.2087):
    """Return a guess with every field that reveals a place."""
    guess = make_guess(lat, lon, radius_km=0.8, exif=Exif(-33.9, 151.25))
    town = replace(guess.place, town_distance_km=1.2345)
    near = Candidate(lat + 0.001, lon - 0.002, 0.1, "AU-9", town)
    neighbour = Neighbour(lat, lon, 0.9, "https://example.org/opera-house", "CC0", "somebody")
    candidates = (*guess.candidates, near)
    return replace(guess, place=town, candidates=candidates, neighbours=(neighbour,))


def test_no_field_of_a_blurred_guess_is_more_precise():
    exact, blurred = detailed(), blur_location(detailed(), 25.0)
    text = json.dumps(blurred.to_dict())
    for number in ("33.87", "151.20", "1.23", "AU-1", "AU-9", "opera", "Sydney", "Hobart"):
        assert number in json.dumps(exact.to_dict())
        assert number not in text.replace('"AU"', "")
    assert blurred.confidence == "region"
    assert (blurred.place.region, blurred.place.country) == ("New South Wales", "Australia")
    assert min(blurred.radius_50_km, blurred.radius_80_km, blurred.radius_95_km) >= 25.0
    first, second = blurred.candidates
    assert (first.lat, first.lon) == (blurred.lat, blurred.lon)
    assert first.probability == 0.625  # rounded: the higher one of two candidates in one grid cell
    assert second.place.region == "Tasmania"


def test_radius_grows_by_the_shift_and_the_exif_distance_is_measured_from_the_centre():
    blurred = blur_location(detailed(), 25.0)
    moved = haversine_km([-33.8712, 151.2087], [blurred.lat, blurred.lon])
    assert blurred.radius_80_km >= 0.8 + moved
    apart = haversine_km([blurred.lat, blurred.lon], [-33.9, 151.25])
    assert blurred.exif_distance_km == pytest.approx(apart)


@given(st.floats(0, 0.3), st.floats(0, 0.3), st.sampled_from([1.0, 10.0, 100.0, 1000.0]))
def test_guesses_in_one_grid_cell_are_identical_after_blurring(dlat, dlon, km):
    (centre,), _ = snap([(-33.8712, 151.2087)], km)
    inside = [
        at
        for at in (centre, centre + np.array([dlat, dlon]) * min(km, 50.0) / KM_PER_DEG)
        if np.allclose(snap([at], km)[0][0], centre)
    ]
    blurred = {
        json.dumps(
            replace(
                blur_location(make_guess(*map(float, at), exif=Exif(1.0, 2.0)), km), photo=""
            ).to_dict()
        )
        for at in inside
    }
    assert len(blurred) == 1


@pytest.mark.parametrize(
    ("km", "kept", "claim"),
    [(1, "Roma, Lazio, Italy", "city"), (50, "Lazio, Italy", "region"),
     (300, "Italy", "country"), (2000, "a small country", "not sure")],
)  # fmt: skip
def test_names_of_smaller_places_are_removed(km, kept, claim):
    rome = Place("IT", "Italy", "Lazio", "Roma", 0.4)
    blurred = blur_location(replace(make_guess(41.9, 12.5), place=rome), km)
    assert str(blurred.place) == kept
    assert blurred.confidence == claim
    assert blur_location(replace(make_guess(), confidence="not sure"), km).confidence == "not sure"


def test_a_small_country_is_not_named():
    monaco = Place("MC", "Monaco", "Monaco", "Monte-Carlo", 0.2)
    assert (
        str(blur_location(replace(make_guess(43.74, 7.42), place=monaco), 25.0).place)
        == "a small country"
    )
    sea = replace(make_guess(0.0, -30.0), place=Place("", "", "", "", 512.3))
    assert blur_location(sea, 25.0).place == Place("", "", "", "", 0.0)


def test_zero_precision_changes_nothing():
    assert blur_location(detailed(), 0.0) == detailed()
