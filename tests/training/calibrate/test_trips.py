import numpy as np

from geoloc.trips.model.parameters import TripParameters
from training.calibrate.trips import LEVELS, fit_radii, known_rows


def test_fitted_radii_hold_the_shares_of_their_levels():
    rng = np.random.default_rng(0)
    minutes = rng.uniform(0.0, 6.0, 2000)
    error_km = np.exp(-2.0 + 0.7 * minutes + rng.normal(0.0, 0.8, 2000))
    one = np.column_stack([np.ones(2000), minutes, np.zeros(2000)])
    features = np.repeat(one[:, None], 3, axis=1)
    weights = fit_radii(features, error_km, "beyond")
    parameters = TripParameters(radii={**TripParameters().radii, "beyond": weights})
    radii = parameters.radii_km("beyond", features)
    held = (error_km[:, None] <= radii).mean(axis=0)
    assert np.abs(held - LEVELS).max() < 0.02
    assert (np.diff(radii, axis=1) >= 0.0).all()


def test_parameters_survive_a_file_and_bundles_without_one_are_uncalibrated(tmp_path):
    parameters = TripParameters(alpha=0.1, calibrated=True)
    parameters.write(tmp_path / "trips.json")
    assert TripParameters.read(tmp_path / "trips.json") == parameters
    assert not TripParameters.read(tmp_path / "none.json").calibrated


def test_a_share_of_geotags_is_none_one_or_more():
    rng = np.random.default_rng(0)
    assert [known_rows(50, share, rng).sum() for share in (0.0, 1e-9, 0.1)] == [0, 1, 5]
