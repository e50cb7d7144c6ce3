"""Radii of the cases of a trip."""

import numpy as np
import pytest

from geoloc.trips.model.anchors import SHORT_MINUTES
from geoloc.trips.model.parameters import TripParameters


def beyond_km(days: list[float]) -> np.ndarray:
    """Return the radii (N, 3) of photos some days after the last known position."""
    minutes = np.log1p(24 * 60 * np.array(days))
    short = np.minimum(minutes, np.log1p(SHORT_MINUTES))
    one = np.column_stack([np.ones(len(minutes)), minutes, short])
    return TripParameters().radii_km("beyond", np.repeat(one[:, None], 3, axis=1))


def test_beyond_the_last_position_radii_grow_with_the_days_up_to_a_week():
    quarter, day, two, six = beyond_km([0.25, 1.0, 2.0, 6.0])
    assert day / quarter == pytest.approx(np.full(3, 4.0), rel=0.01)
    assert two / day == pytest.approx(np.full(3, 2.0), rel=0.01)
    assert six / two == pytest.approx(np.full(3, 3.0), rel=0.01)


def test_within_hours_and_after_weeks_radii_grow_as_fitted():
    hour, three, fortnight, month = beyond_km([1 / 24, 3 / 24, 14.0, 28.0])
    slope = TripParameters().radii["beyond"][0][1]
    assert month / fortnight == pytest.approx(np.full(3, 2.0**slope), rel=0.01)
    assert three / hour == pytest.approx(np.full(3, 3.0**slope), rel=0.02)
