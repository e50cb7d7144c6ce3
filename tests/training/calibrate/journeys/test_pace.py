"""The pace that is fitted, and tables of journeys."""

import numpy as np
import pytest

from geoloc.trips.model.pace import STEADY
from training.calibrate.journeys.pace import fit_pace
from training.calibrate.journeys.walks import read_journeys

DAY_S = 86400.0


def days(moving_h: tuple[float, float], rng) -> tuple[np.ndarray, np.ndarray]:
    """Return a journey of 20 days, 30 photos a day around the clock, along the equator."""
    hours = np.sort(rng.uniform(0.0, 24.0, (20, 30)), axis=1)
    day = np.arange(20.0)[:, None]
    first, last = moving_h
    lon = day + np.clip((hours - first) / (last - first), 0.0, 1.0)
    return (day * DAY_S + hours * 3600.0).ravel(), np.column_stack([0.0 * lon.ravel(), lon.ravel()])


def test_somebody_who_sleeps_and_stays_is_found_not_to_move_all_the_time():
    rng = np.random.default_rng(0)
    pace = fit_pace([[days((11.0, 15.0), rng) for _ in range(4)]])
    assert pace.night < 0.5
    assert min(pace.under_way) < 0.9


def test_somebody_who_moves_all_the_time_is_found_to_be_steady():
    rng = np.random.default_rng(0)
    assert fit_pace([[days((0.0, 24.0), rng) for _ in range(4)]]).night == STEADY.night


def test_journeys_are_read_by_collection_in_order_of_time(tmp_path):
    table = tmp_path / "journeys.csv"
    table.write_text(
        "collection,journey,time,lat,lon\n"
        "b,one,2024-01-02T12:00:00+02:00,1,30\n"
        "a,one,2024-01-01T12:00:00,1,90\n"
        "a,one,2024-01-01T11:00:00,2,90\n"
        "a,two,2024-01-01T11:00:00,3,0\n",
        "utf-8",
    )
    found = read_journeys(table)
    assert {name: len(own) for name, own in found.items()} == {"a": 2, "b": 1}
    time_s, latlon = found["a"][0]
    assert latlon[:, 0].tolist() == [2.0, 1.0]
    assert np.diff(time_s).tolist() == [3600.0]
    assert found["b"][0][0][0] % DAY_S == 10 * 3600.0
    # local times without an offset are solar time: six hours ahead of UTC at 90 degrees east
    assert found["a"][1][0][0] - time_s[0] == pytest.approx(6 * 3600.0)
