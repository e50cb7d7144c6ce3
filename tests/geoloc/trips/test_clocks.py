from dataclasses import replace

import numpy as np
import pytest

from geoloc.errors import GeolocError
from geoloc.trips.clocks import Readings, estimate, parse
from geoloc.trips.review.page import clock_line

START = 1_700_000_000.0


def two_cameras(offset_s, drift=0.0, scenes=30, days=1.0, seed=0):
    """Camera A has time stamps; camera B is slow by an offset and photographs the same scenes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(scenes, 64))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    true_s = START + np.sort(rng.random(scenes)) * days * 86400.0
    shown = true_s + rng.normal(0, 8, scenes) - offset_s - drift * (true_s - START) / 86400.0
    return Readings(
        np.array(["A"] * scenes + ["B"] * scenes, dtype=object),
        np.concatenate([true_s, shown]),
        np.concatenate([true_s, np.full(scenes, np.nan)]),
        np.concatenate([features, features]).astype(np.float32),
    ), true_s


@pytest.mark.parametrize(
    "offset", [60.5 * 2, 3600.0, -7200.0, 40 * 86400.0, 1.7e9, -5 * 365 * 86400.0]
)
def test_the_clock_of_a_second_camera_is_set_by_common_scenes(offset):
    readings, true_s = two_cameras(offset)
    corrected, clocks = estimate(readings, 0.9)
    clock = next(each for each in clocks if each.camera == "B")
    assert clock.applied
    assert clock.low_s <= offset <= clock.high_s
    assert np.abs(corrected[30:] - true_s).max() < 60.0


def test_drift_is_estimated_over_many_days():
    readings, true_s = two_cameras(3600.0, drift=20.0, scenes=60, days=60.0)
    corrected, clocks = estimate(readings, 0.9)
    assert clocks[-1].drift_s_per_day == pytest.approx(20.0, rel=0.1)
    assert np.abs(corrected[60:] - true_s).max() < 60.0


def test_clocks_that_are_right_or_without_evidence_are_left():
    right, _ = two_cameras(0.0)
    assert not any(each.applied for each in estimate(right, 0.9)[1])
    rng = np.random.default_rng(1)
    readings, _ = two_cameras(3600.0)
    shuffled = readings.utc_s.copy()
    shuffled[30:] = START + rng.random(30) * 400 * 86400.0
    other = Readings(readings.camera, shuffled, readings.stamp_s, readings.features)
    corrected, clocks = estimate(other, 0.9)
    assert not any(each.applied for each in clocks)
    assert (corrected == shuffled).all()


def test_an_offset_that_is_found_but_not_sure_is_told_and_not_applied():
    readings, _ = two_cameras(3600.0, scenes=30)
    shown = readings.utc_s.copy()
    shown[30:56] += np.random.default_rng(2).uniform(-40, 40, 26) * 86400.0
    corrected, clocks = estimate(replace(readings, utc_s=shown), 0.9)
    clock = next(each for each in clocks if each.camera == "B")
    assert clock.doubtful
    assert clock.low_s <= 3600.0 <= clock.high_s
    assert "not corrected" in clock_line(clock)
    assert "± 5.0 min" in clock_line(clock)
    assert (corrected == shown).all()


def test_a_correction_of_the_user_is_applied_as_given():
    readings, true_s = two_cameras(3600.0)
    corrected, clocks = estimate(readings, 0.9, {"B": parse("+01:00:00")})
    assert np.abs(corrected[30:] - true_s).max() < 60.0
    assert {each.camera: each.evidence for each in clocks}["B"] == "given by the user"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("+01:02:00", 3720.0), ("-00:30", -1800.0), ("2d03:00", 183600.0), ("90s", 90.0)],
)
def test_corrections_are_written_as_times(text, seconds):
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "later", "1:2:3:4", "+"])
def test_other_texts_are_no_correction(text):
    with pytest.raises(GeolocError, match="correction"):
        parse(text)
