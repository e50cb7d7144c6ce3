"""Positions of the sun agree with astral, and measured shadows become bands of the Earth."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.belief.witnesses.shadow import Shadow
from geoloc.belief.witnesses.solar import sun_position
from geoloc.belief.witnesses.sun import SunWitness
from geoloc.errors import WitnessError
from geoloc.geolocator import Geolocator
from geoloc.photos.decode import load
from tests.scenes import draw_photo

TIME = "2024-06-01T10:30Z"


@pytest.fixture(scope="module")
def starter():
    return Geolocator.from_bundle("starter")


@settings(max_examples=150, deadline=None)
@given(st.floats(-88, 88), st.floats(-180, 179.9), st.integers(0, 2_400_000_000))
def test_positions_agree_with_astral(lat, lon, second):
    astral = pytest.importorskip("astral")
    from astral import sun

    when = datetime.fromtimestamp(second, UTC)
    elevation, azimuth = sun_position(np.array([[lat, lon]]), when)
    observer = astral.Observer(lat, lon)
    expected = sun.elevation(observer, when, with_refraction=False)
    lift = elevation[0] - expected
    # the air lifts the sun most, by 0.65 degrees, just before it is left out
    assert -0.03 < lift < 0.65 + 0.03
    if expected > 5.0:
        assert lift < 0.2
    if abs(expected) < 85.0:
        difference = (azimuth[0] - sun.azimuth(observer, when) + 180.0) % 360.0 - 180.0
        assert abs(difference) < 0.2


@pytest.mark.parametrize(
    ("text", "elevation", "error"),
    [
        ("1.8:2.4±5%", 36.87, 1.375),
        ("1,8 : 2,4", 36.87, 1.375),
        ("1:1+-10%", 45.0, 2.865),
        ("37°±2°", 37.0, 2.0),
        ("37 deg", 37.0, 1.0),
        ("-3°", -3.0, 1.0),
    ],
)
def test_shadows_are_read(text, elevation, error):
    shadow = Shadow.parse(text, TIME)
    assert shadow.elevation_deg == pytest.approx(elevation, abs=0.01)
    assert shadow.error_deg == pytest.approx(error, abs=0.01)


@pytest.mark.parametrize(
    "text", ["", "1.8", "0:2", "2:0", "95°", "-30°", "1:1±900%", "a:b", "37°±80°", "=1:2"]
)
def test_impossible_shadows_are_one_line(text):
    with pytest.raises(WitnessError, match="shadow") as raised:
        Shadow.parse(text, TIME)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "time",
    [None, "", "2024-06-01T10:30", "2024-13-01T10:30Z", "yesterday", "1900-01-01T00:00Z",
     "2024-06-01T10:30Z/2024-05-01T10:30Z", "2024-06-01T10:30Z/x"],
)  # fmt: skip
def test_bad_times_are_one_line(time):
    with pytest.raises(WitnessError, match=r"^(time|a shadow needs the time) ") as raised:
        Shadow.parse("1:1", time)
    assert "\n" not in str(raised.value)


def test_windows_of_time_are_read():
    window = Shadow.parse("1:1", "2024-06-01T23:00+02:00/00:30+02:00")
    assert (window.start.hour, (window.end - window.start).total_seconds()) == (21, 5400)
    assert Shadow.parse("1:1", TIME).end == Shadow.parse("1:1", TIME).start


def test_the_true_place_lies_in_the_band(starter):
    where, when = np.array([[48.86, 2.35]]), datetime(2024, 6, 1, 10, 30, tzinfo=UTC)
    elevation = float(sun_position(where, when)[0][0])
    ratio = f"{math.tan(math.radians(elevation)):.3f}:1±3%"
    row = SunWitness(CellSamples(starter.cells), Shadow.parse(ratio, TIME))._likelihood
    paris = int(starter.cells.locate(where)[0])
    assert row[paris] > row.max() - 1.0
    assert (row > row.max() - 2.0).mean() < 0.4
    assert np.ptp(row) < 7.0


def test_a_wider_window_says_less(starter):
    rows = [
        SunWitness(CellSamples(starter.cells), Shadow.parse("37°±1°", time))._likelihood
        for time in (TIME, "2024-06-01T08:00Z/16:00Z")
    ]
    entropy = [-(np.exp(r) / np.exp(r).sum() * (r - np.log(np.exp(r).sum()))).sum() for r in rows]
    assert entropy[0] < entropy[1]


def test_a_shadow_moves_the_answer_and_is_accounted_for(starter):
    photo = load(draw_photo(1, np.random.default_rng(0)))
    witness = SunWitness(CellSamples(starter.cells), Shadow.parse("1.8:2.4±5%", TIME))
    said = witness.evidence(photo)
    assert said.findings[0].reading == "1.8:2.4±5% at 2024-06-01T10:30Z"
    assert "km around 22.2, 22.0" in said.findings[0].meaning
    (account,) = starter.with_witnesses([witness]).locate(photo.image).witnesses
    assert account.counted
    assert account.bits > 0.1


def test_the_sun_over_the_open_sea_only_is_shown_and_not_used(starter):
    noon = "2024-03-20T21:28Z"  # on the equator, far from any land
    witness = SunWitness(CellSamples(starter.cells), Shadow.parse("89.9°±0.1°", noon))
    said = witness.evidence(load(draw_photo(1, np.random.default_rng(0))))
    assert said.log_likelihood is None
    assert "over no land" in said.findings[0].meaning
