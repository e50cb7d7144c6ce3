"""Radii of the cases of a trip."""

import numpy as np
import pytest

from geoloc.bundle.directory import load
from geoloc.trips.model.bridge import KNOTS_MINUTES, Bridge
from geoloc.trips.model.parameters import FILE, TripParameters

DAY_S = 86400.0


def radii_km(gaps_s, case="beyond", parameters=None) -> np.ndarray:
    """Return the radii (N, 3) of photos so long after the last known position."""
    gap = np.array(gaps_s, np.float64)
    none = np.full(len(gap), -1)
    after = none if case == "beyond" else np.zeros(len(gap), int)
    bridge = Bridge(
        np.zeros((len(gap), 2)), np.zeros(len(gap), int), after, gap, *np.zeros((2, len(gap)))
    )
    return (parameters or TripParameters()).radii_km(case, bridge.features())


@pytest.mark.parametrize("case", ["between", "beyond"])
@pytest.mark.parametrize("fitted", [False, True])
def test_radii_grow_with_the_time_up_to_a_fortnight_and_no_further(case, fitted):
    parameters = TripParameters.read(load("starter").path / FILE) if fitted else None
    gaps = [0.0, 60.0, 1800.0, 6 * 3600.0, DAY_S, 7 * DAY_S, 14 * DAY_S, 40 * DAY_S]
    radii = radii_km(gaps, case, parameters)
    assert (np.diff(radii, axis=0) >= 0.0).all()
    assert (np.diff(radii, axis=1) >= 0.0).all()
    assert radii[-1] == pytest.approx(radii[-2])


def test_features_of_time_are_the_growth_between_two_knots():
    gap = np.array([60.0 * KNOTS_MINUTES[-1]])
    nothing = np.zeros(1)
    one = Bridge(np.zeros((1, 2)), np.zeros(1, int), np.zeros(1, int), gap, nothing, nothing)
    one = one.features()
    assert one[0, 0, 1:4].sum() == pytest.approx(np.log1p(KNOTS_MINUTES[-1]))
