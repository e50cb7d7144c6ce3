import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.security.precision import coarse, snap
from geocells.sphere import KM_PER_DEG, haversine_km
from geoloc.guess import Candidate, Exif, Neighbour, Place
from tests.demo.answers import make_guess

COORDINATES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
KM = st.floats(0.5, 5000)


@given(COORDINATES, KM)
def test_a_coordinate_stays_in_reach_and_snapping_again_changes_nothing(at, km):
    (middle,), (reach_km,) = snap([at], km)
    assert haversine_km(at, middle) <= reach_km * 1.0001
    (again,), _ = snap([middle], km)
    assert again == pytest.approx(middle, abs=1e-9)
    assert -90 <= middle[0] <= 90
    assert -180 <= middle[1] < 180


@given(st.floats(-89, 89), st.floats(1, 2000))
def test_fields_are_at_least_as_high_and_wide_as_asked(lat, km):
    meridian = np.stack([np.linspace(-90, 90, 4001), np.zeros(4001)], axis=-1)
    middles = np.unique(snap(meridian, km)[0][:, 0])
    if len(middles) > 1 and 180 * KM_PER_DEG / km < 2000:
        assert np.diff(middles).min() * KM_PER_DEG >= km * 0.9999
    parallel = np.stack([np.full(4001, lat), np.linspace(-180, 179.99, 4001)], axis=-1)
    around = np.unique(snap(parallel, km)[0][:, 1])
    wide_km = 360 * np.cos(np.radians(lat)) * KM_PER_DEG / len(around)
    assert wide_km >= km * 0.9999 or len(around) == 1


def detailed(lat=-33.8712, lon=151.2087):
    """An answer with everything that tells a place."""
    guess = make_guess(lat, lon, radius_km=0.8, exif=Exif(-33.9, 151.25))
    town = replace(guess.place, town_distance_km=1.2345)
    near = Candidate(lat + 0.001, lon - 0.002, 0.1, "AU-9", town)
    neighbour = Neighbour(lat, lon, 0.9, "https://example.org/opera-house", "CC0", "somebody")
    candidates = (*guess.candidates, near)
    return replace(guess, place=town, candidates=candidates, neighbours=(neighbour,))


def test_nothing_in_an_answer_is_finer_than_asked():
    exact, blurred = detailed(), coarse(detailed(), 25.0)
    told = json.dumps(blurred.to_dict())
    for number in ("33.87", "151.20", "1.23", "AU-1", "AU-9", "opera", "Sydney", "Hobart"):
        assert number in json.dumps(exact.to_dict())
        assert number not in told.replace('"AU"', "")
    assert blurred.confidence == "region"
    assert (blurred.place.region, blurred.place.country) == ("New South Wales", "Australia")
    assert min(blurred.radius_km, *blurred.radii_km.values()) >= 25.0
    first, second = blurred.candidates
    assert (first.lat, first.lon) == (blurred.lat, blurred.lon)
    assert first.probability == pytest.approx(0.72)  # two candidates in one field
    assert second.place.region == "Tasmania"


def test_an_answer_still_holds_the_truth_and_says_how_far_the_file_is_from_it():
    blurred = coarse(detailed(), 25.0)
    moved = haversine_km([-33.8712, 151.2087], [blurred.lat, blurred.lon])
    assert blurred.radius_km >= 0.8 + moved
    apart = haversine_km([blurred.lat, blurred.lon], [-33.9, 151.25])
    assert blurred.exif_distance_km == pytest.approx(apart)


@given(st.floats(0, 0.3), st.floats(0, 0.3), st.sampled_from([1.0, 10.0, 100.0, 1000.0]))
def test_answers_from_one_field_cannot_be_told_apart(dlat, dlon, km):
    (middle,), _ = snap([(-33.8712, 151.2087)], km)
    inside = [
        at
        for at in (middle, middle + np.array([dlat, dlon]) * min(km, 50.0) / KM_PER_DEG)
        if np.allclose(snap([at], km)[0][0], middle)
    ]
    told = {
        json.dumps(
            replace(
                coarse(make_guess(*map(float, at), exif=Exif(1.0, 2.0)), km), photo=""
            ).to_dict()
        )
        for at in inside
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    ("km", "kept", "claim"),
    [(1, "Roma, Lazio, Italy", "city"), (50, "Lazio, Italy", "region"),
     (300, "Italy", "country"), (2000, "a small country", "not sure")],
)  # fmt: skip
def test_names_of_what_is_smaller_are_left_out(km, kept, claim):
    rome = Place("IT", "Italy", "Lazio", "Roma", 0.4)
    blurred = coarse(replace(make_guess(41.9, 12.5), place=rome), km)
    assert str(blurred.place) == kept
    assert blurred.confidence == claim
    assert coarse(replace(make_guess(), confidence="not sure"), km).confidence == "not sure"


def test_a_small_country_is_not_named():
    monaco = Place("MC", "Monaco", "Monaco", "Monte-Carlo", 0.2)
    assert (
        str(coarse(replace(make_guess(43.74, 7.42), place=monaco), 25.0).place) == "a small country"
    )
    sea = replace(make_guess(0.0, -30.0), place=Place("", "", "", "", 512.3))
    assert coarse(sea, 25.0).place == Place("", "", "", "", 0.0)


def test_without_a_limit_nothing_changes():
    assert coarse(detailed(), 0.0) == detailed()
