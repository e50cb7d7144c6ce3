"""Places on the way between known positions, and how rough the way is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells.sphere import haversine_km
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.pace import GAPS_S, STEADY, Pace
from geoloc.trips.model.parameters import RADIUS_FEATURES, TripParameters

HOUR_S = 3600.0


def anchors_at(hours, latlon) -> Anchors:
    return Anchors.of(np.array(hours) * HOUR_S, np.array(latlon, float), np.arange(len(hours)))


@given(st.floats(0.0, 1.0), st.floats(0.0, 60.0), st.floats(1.0, 1e6), st.floats(-180, 180))
def test_every_pace_starts_at_one_position_and_ends_at_the_other(share, start_h, long_s, lon):
    start, lon = np.array([start_h * HOUR_S]), np.array([lon])
    end = start + long_s
    for pace in (STEADY, Pace(0.1, (0.5,) * len(GAPS_S))):
        assert pace.share(start, start, end, lon) == pytest.approx([0.0], abs=1e-9)
        assert pace.share(end, start, end, lon) == pytest.approx([1.0])
        assert 0.0 <= pace.share(start + share * long_s, start, end, lon)[0] <= 1.0


def test_nobody_moves_far_at_night():
    evening, morning = 20.0, 32.0  # UTC is local time at 0 degrees of longitude
    anchors = anchors_at([8.0, 44.0], [[0.0, 0.0], [0.0, 4.0]])
    moved = {}
    for night in (1.0, 0.1):
        places = bridge(anchors, np.array([evening, morning]) * HOUR_S, Pace(night)).latlon
        moved[night] = haversine_km(*places)
    assert moved[0.1] < 0.2 * moved[1.0]


def test_the_night_is_that_of_the_place():
    """At 150 degrees east the sun is ten hours earlier: midnight in UTC is in the day."""
    time = np.array([22.0, 26.0]) * HOUR_S
    moved = [
        haversine_km(
            *bridge(
                anchors_at([12.0, 36.0], [[0.0, lon], [0.0, lon + 2.0]]), time, Pace(0.1)
            ).latlon
        )
        for lon in (0.0, 150.0)
    ]
    assert moved[0] < 0.2 * moved[1]


def test_photos_close_in_time_to_a_position_are_at_it():
    anchors = anchors_at([10.0, 34.0], [[47.0, 8.0], [48.0, 9.0]])
    near = np.array([11.0]) * HOUR_S
    stayed = bridge(anchors, near, Pace(1.0, (0.8,) * len(GAPS_S))).latlon[0]
    assert haversine_km(stayed, anchors.latlon[0]) < 1e-6
    assert haversine_km(bridge(anchors, near).latlon[0], anchors.latlon[0]) > 4.0


def test_a_way_that_leaps_is_rougher_than_a_steady_one():
    hours = np.arange(9.0)
    steady = anchors_at(hours, np.column_stack([hours / 10, hours / 10]))
    leaping = anchors_at(hours, np.column_stack([hours / 10 + (hours % 2), hours / 10]))
    when = np.array([3.5]) * HOUR_S
    assert bridge(leaping, when).rough_km[0] > 20.0 * bridge(steady, when).rough_km[0]
    assert np.isnan(bridge(anchors_at([0.0, 1.0], [[0, 0], [1, 1]]), when).rough_km).all()


def test_a_track_across_the_antimeridian_moves_little():
    anchors = anchors_at([0.0, 1.0, 2.0], [[0.0, 179.9], [0.0, -179.9], [0.0, -179.8]])
    beyond = bridge(anchors, np.array([3.5]) * HOUR_S)
    assert beyond.apart_km[0] < 50.0


def test_features_have_the_growth_in_time_once_for_one_position_and_once_for_several():
    several = bridge(anchors_at([0.0, 1.0], [[0, 0], [1, 1]]), np.array([3.0]) * HOUR_S).features()
    one = bridge(anchors_at([1.0], [[0, 0]]), np.array([3.0]) * HOUR_S).features()
    assert several.shape == one.shape == (1, 3, RADIUS_FEATURES)
    assert several[0, 0, 1:4].sum() == one[0, 0, 8:11].sum() > 0.0
    assert several[0, 0, 8:11].sum() == one[0, 0, 1:4].sum() == 0.0


def test_parameters_of_earlier_bundles_give_the_same_radii():
    six = ((-2.0, 0.5, 0.4, 0.3, 0.2, 0.1),) * 3
    values = {
        "alpha": 0.1, "nowhere": 0.05, "motion": TripParameters().motion,
        "flight": TripParameters().flight, "same_scene": 0.9, "calibrated": True,
        "radii": dict.fromkeys(("between", "beyond", "recognised", "guessed", "alone"), six),
    }  # fmt: skip
    parameters = TripParameters.from_dict(values)
    assert parameters.pace == STEADY
    gap = 5.0 * HOUR_S
    grown = np.log1p(30.0) * 0.5 + (np.log1p(300.0) - np.log1p(30.0)) * 0.4
    for at, more in (([0.0], 0.1), ([-1.0, 0.0], 0.0)):
        anchors = anchors_at(at, [[0.0, 0.0]] * len(at))
        radii = parameters.radii_km("beyond", bridge(anchors, np.array([gap])).features())
        assert radii[0, 1] == pytest.approx(np.exp(-2.0 + grown + more))
