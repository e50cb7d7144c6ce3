import numpy as np

from geoloc.trips.model.parameters import RADIUS_FEATURES, TripParameters
from tests.geoloc.trips.model.test_smoothing import evidence
from training.calibrate.journeys.fit import fit_trips
from training.calibrate.journeys.radii import LEVELS, fit_radii
from training.calibrate.journeys.simulated import (
    LEAST_PHOTOS,
    STYLES,
    simulated_journeys,
    simulated_route,
)
from training.calibrate.journeys.walks import known_rows


def features_of(*columns):
    rows = np.zeros((len(columns[0]), 3, RADIUS_FEATURES))
    rows[:, :, 0] = 1.0
    for number, column in enumerate(columns, start=1):
        rows[:, :, number] = column[:, None]
    return rows


def test_fitted_radii_hold_the_shares_of_their_levels_at_every_time():
    rng = np.random.default_rng(0)
    minutes = rng.uniform(0.0, 6.0, 2000)
    error_km = np.exp(-2.0 + 0.7 * minutes + (0.3 + 0.2 * minutes) * rng.normal(0.0, 1.0, 2000))
    features = features_of(minutes)
    weights = fit_radii(features, error_km)
    parameters = TripParameters(radii={**TripParameters().radii, "beyond": weights})
    radii = parameters.radii_km("beyond", features)
    held = error_km[:, None] <= radii
    assert np.abs(held.mean(axis=0) - LEVELS).max() < 0.02
    assert np.abs(held[minutes > 4.0].mean(axis=0) - LEVELS).max() < 0.05
    assert (np.diff(radii, axis=1) >= 0.0).all()


def test_fitted_radii_never_fall_with_what_they_depend_on():
    rng = np.random.default_rng(0)
    minutes = rng.uniform(0.0, 6.0, 500)
    weights = fit_radii(features_of(minutes), np.exp(-minutes))
    assert (np.array(weights)[:, 1:] >= 0.0).all()


def test_heavier_rows_count_more():
    one = features_of(np.zeros(200))
    km = np.repeat([1.0, 10.0], 100)
    light = fit_radii(one, km, np.repeat([1.0, 0.01], 100))
    heavy = fit_radii(one, km, np.repeat([0.01, 1.0], 100))
    assert light[0][0] < heavy[0][0]


def test_radii_grow_faster_with_time_where_people_differ():
    rng = np.random.default_rng(5)
    grown, person = rng.uniform(1.0, 4.0, 800), np.arange(800) % 4
    features = np.zeros((800, 3, RADIUS_FEATURES))
    features[:, :, 0], features[:, :, 2] = 1.0, grown[:, None]
    km = np.exp(grown * np.array([0.0, 0.5, 1.0, 1.5])[person] + rng.normal(0.0, 0.3, 800))
    of_all, of_others = fit_radii(features, km), fit_radii(features, km, person=person)
    assert of_others[1][2] > of_all[1][2] + 0.1
    assert of_others[1][0] == of_all[1][0]


def test_parameters_survive_a_file_and_bundles_without_one_are_uncalibrated(tmp_path):
    parameters = TripParameters(alpha=0.1, calibrated=True)
    parameters.write(tmp_path / "trips.json")
    assert TripParameters.read(tmp_path / "trips.json") == parameters
    assert not TripParameters.read(tmp_path / "none.json").calibrated


def test_a_share_of_geotags_is_none_one_or_more():
    rng = np.random.default_rng(0)
    assert [known_rows(50, share, rng).sum() for share in (0.0, 1e-9, 0.1)] == [0, 1, 5]


def test_a_simulated_route_has_days_with_photos_near_real_ones_and_ascending_times():
    rng = np.random.default_rng(1)
    places = np.array([47.0, 8.0]) + rng.normal(0.0, 1.0, (500, 2))
    for _ in range(6):
        time_s, latlon = simulated_route(places, rng)
        assert (np.diff(time_s) >= 0.0).all()
        assert latlon.shape == (len(time_s), 2)
        assert np.abs(latlon - (47.0, 8.0)).max() < 8.0


def test_simulated_journeys_visit_each_real_photo_once_at_its_own_place():
    rng = np.random.default_rng(2)
    latlon = np.array([47.0, 8.0]) + rng.normal(0.0, 0.5, (60, 2))
    known = evidence(rng.integers(0, 12, 60))
    journeys = simulated_journeys(latlon, known, 10, rng)
    assert journeys
    for journey in journeys:
        assert len(journey.time_s) >= LEAST_PHOTOS
        assert (np.diff(journey.time_s) > 0.0).all()
        assert len(np.unique(journey.latlon, axis=0)) == len(journey.latlon)
        assert np.isin(journey.latlon, latlon).all()


def test_motion_and_radii_by_time_are_fitted_on_routes_alone():
    rng = np.random.default_rng(3)
    places = np.array([47.0, 8.0]) + rng.normal(0.0, 2.0, (500, 2))
    routes = [simulated_route(places, rng) for _ in range(9)]
    fitted = fit_trips([], routes=routes)
    assert fitted.calibrated
    assert fitted.motion != TripParameters().motion
    assert fitted.radii["beyond"] != TripParameters().radii["beyond"]
    assert fitted.radii["guessed"] == TripParameters().radii["guessed"]
    assert len(STYLES) == 3
