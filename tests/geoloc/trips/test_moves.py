from dataclasses import replace

import numpy as np
import pytest

from geoloc.trips.clocks import Readings, estimate
from geoloc.trips.clues.tracks import Track
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.moves import Sights
from geoloc.trips.review.page import clock_line

START = 1_700_000_000.0
DAY = 86400.0
WRONG = [
    pytest.param(-600.0, id="ten minutes"),
    pytest.param(3600.0, id="summer time missed"),
    pytest.param(-9 * 3600.0, id="wrong zone"),
    pytest.param(5 * 365 * DAY, id="five years"),
    pytest.param(START, id="1970"),
]


def ride(seed, hours=6.0, speed=0.004):
    """Return a track of a ride whose speed (degrees a minute) changes every ten minutes."""
    rng = np.random.default_rng(seed)
    minutes = int(hours * 60)
    pace = np.repeat(rng.normal(0, speed, (minutes // 10, 2)), 10, axis=0)
    latlon = np.array([47.0, 8.0]) + np.cumsum(pace + rng.normal(0, 5e-4, pace.shape), axis=0)
    return Track("morning.gpx", START + 60.0 * np.arange(minutes), latlon)


def photos(track, offset, seed=0, number=40, seen=False, camera="A"):
    """Return photos along a track, by a clock that is slow by an offset."""
    rng = np.random.default_rng(seed)
    true_s = np.sort(rng.uniform(track.utc_s[0], track.utc_s[-1], number))
    true = np.column_stack([np.interp(true_s, track.utc_s, each) for each in track.latlon.T])
    true += rng.normal(0, 3e-4, true.shape)
    centroids = np.stack(np.meshgrid(np.arange(44, 50, 0.2), np.arange(5, 11, 0.2)), -1)
    centroids = centroids.reshape(-1, 2)
    away = ((true[:, None] - centroids) ** 2).sum(axis=2)
    belief = np.exp(-away / (2 * 0.15**2)) + 1e-6
    belief /= belief.sum(axis=1, keepdims=True)
    cell = np.tile(np.arange(len(centroids), dtype=np.int32), (number, 1))
    evidence = Evidence(
        cell, belief.astype(np.float32), np.eye(number, 64, dtype=np.float32), true,
        np.ones((number, 3), np.float32), np.ones(number, np.float32), centroids,
        np.full(len(centroids), 1 / len(centroids), np.float32),
    )  # fmt: skip
    known = np.full_like(true, np.nan) if seen else true
    sights = Sights(known, evidence, TripParameters(alpha=0.3))
    return Readings(
        np.array([camera] * number, dtype=object), true_s - offset, np.full(number, np.nan),
        evidence.features, sights, [track],
    ), true_s  # fmt: skip


@pytest.mark.parametrize("offset", WRONG)
def test_a_track_sets_the_clock_of_geotagged_photos(offset):
    readings, true_s = photos(ride(1), offset)
    corrected, (clock,) = estimate(readings, 0.99)
    assert clock.applied
    assert clock.evidence == "moves like the track morning.gpx"
    assert abs(clock.offset_s - offset) < 60.0
    assert np.abs(corrected - true_s).max() < 60.0


@pytest.mark.parametrize("offset", WRONG)
def test_a_long_track_sets_the_clock_of_photos_by_sight(offset):
    readings, _ = photos(ride(2, hours=48.0, speed=0.01), offset, number=300, seen=True)
    _, clocks = estimate(readings, 0.99)
    assert [each.applied for each in clocks] == [True]
    assert abs(clocks[0].offset_s - offset) < 300.0


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_the_track_of_another_journey_sets_no_clock(seed, seen):
    readings, _ = photos(ride(seed + 100), 0.0, seed, seen=seen)
    other = Readings(
        readings.camera, readings.utc_s + 3 * DAY * (seed % 3), readings.stamp_s,
        readings.features, readings.sights, [ride(seed + 200)],
    )  # fmt: skip
    corrected, clocks = estimate(other, 0.99)
    assert not any(each.applied for each in clocks)
    assert (corrected == other.utc_s).all()


@pytest.mark.parametrize("seen", [False, True])
def test_a_right_clock_is_left(seen):
    readings, _ = photos(ride(3), 0.0, seen=seen)
    assert not any(each.applied for each in estimate(readings, 0.99)[1])


@pytest.mark.parametrize("later_s", [DAY, 7 * DAY, 2 * DAY + 5 * 3600.0])
@pytest.mark.parametrize("seen", [False, True])
def test_the_track_of_the_same_way_on_another_day_is_told_and_sets_no_clock(later_s, seen):
    track = ride(2, hours=24.0, speed=0.01)
    readings, _ = photos(track, -later_s, number=300, seen=seen)
    corrected, clocks = estimate(readings, 0.99)
    assert (corrected == readings.utc_s).all()
    assert not any(each.applied for each in clocks)
    if not seen:
        (clock,) = clocks
        assert clock.doubtful
        assert clock.low_s <= -later_s <= clock.high_s


def test_a_clock_that_is_a_day_wrong_is_set_where_its_photos_contradict_the_track():
    track = ride(2, hours=60.0, speed=0.01)
    readings, true_s = photos(track, DAY, number=100)
    corrected, (clock,) = estimate(readings, 0.99)
    assert clock.applied
    assert np.abs(corrected - true_s).max() < 60.0


def test_local_time_of_a_camera_that_states_no_zone_is_no_error_of_its_clock():
    readings, true_s = photos(ride(1), -7200.0)
    corrected, (clock,) = estimate(replace(readings, zoneless=np.ones(40, bool)), 0.99)
    assert clock.zone_shift_s == -7200.0
    assert abs(clock.offset_s) < 60.0
    assert clock_line(clock).startswith("clock of A: local time, +2.0 h from what was assumed")
    assert np.abs(corrected - true_s).max() < 60.0


def test_photos_that_all_show_one_place_set_no_clock():
    readings, _ = photos(ride(4), 7200.0)
    readings.sights.known[:] = readings.tracks[0].latlon[0]
    assert not any(each.applied for each in estimate(readings, 0.99)[1])


def test_geotagged_photos_of_a_camera_with_time_stamps_set_another_camera():
    phone, true_s = photos(ride(5), 0.0, seed=1, number=60, camera="phone")
    other, other_s = photos(ride(5), 3600.0, seed=2, number=60, camera="old")
    sights = Sights(
        np.concatenate([phone.sights.known, other.sights.known]),
        phone.sights.evidence,
        phone.sights.parameters,
    )
    both = Readings(
        np.concatenate([phone.camera, other.camera]),
        np.concatenate([phone.utc_s, other.utc_s]),
        np.concatenate([true_s, np.full(60, np.nan)]),
        np.zeros((120, 4), np.float32),
        sights,
    )
    corrected, clocks = estimate(both, 0.99)
    assert clocks[-1].evidence == "moves like the photos of phone"
    assert np.abs(corrected[60:] - other_s).max() < 120.0
