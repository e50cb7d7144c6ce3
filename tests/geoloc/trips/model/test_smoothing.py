from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells.sphere import haversine_km
from geoloc.answer.judge import FARTHEST_KM
from geoloc.bundle.directory import load
from geoloc.trips.model.anchors import Anchors
from geoloc.trips.model.bridge import bridge
from geoloc.trips.model.evidence import Evidence
from geoloc.trips.model.motion import bins, transition
from geoloc.trips.model.parameters import FILE, TripParameters
from geoloc.trips.model.persons import place_all
from geoloc.trips.model.placing import place
from geoloc.trips.model.smoothing import smooth


def evidence(cell, count=400, seed=0):
    """Evidence of photos that each show one of many cells, in a row of cells 10 km apart."""
    rng = np.random.default_rng(seed)
    n = len(cell)
    cells = np.array([rng.permutation(count)[:256] for _ in range(n)])
    for row, shown in enumerate(cell):
        cells[row, 0] = shown
        cells[row, 1:][cells[row, 1:] == shown] = (shown + 1) % count
    belief = np.full((n, 256), 0.3 / 255, np.float32)
    belief[:, 0] = 0.6
    centroids = np.column_stack([np.full(count, 47.0), np.linspace(5.0, 55.0, count)])
    features = rng.normal(size=(n, 16)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return Evidence(
        cells.astype(np.int32), belief, features, centroids[cell],
        np.full((n, 3), [10.0, 100.0, 1000.0], np.float32), np.full(n, 0.5, np.float32),
        centroids, np.full(count, 1 / count, np.float32),
    )  # fmt: skip


def test_smoothing_equals_the_sum_over_all_paths():
    rng = np.random.default_rng(0)
    likelihood = rng.normal(size=(4, 3))
    matrix, start, end = rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(3)), rng.random(3)
    weight = np.zeros((4, 3))
    for path in product(range(3), repeat=4):
        mass = start[path[0]] * end[path[-1]] * np.exp(likelihood[range(4), path].sum())
        mass *= np.prod([matrix[a, b] for a, b in pairwise(path)])
        weight[range(4), path] += mass
    smoothed = smooth(likelihood, [matrix], np.zeros(3, int), start, end)
    total = weight.sum(axis=1, keepdims=True)
    assert smoothed.posterior == pytest.approx(weight / total)
    assert smoothed.log_evidence == pytest.approx(np.log(total[0, 0] / end.max()))


@given(st.floats(-60, 60), st.floats(-170, 170), st.floats(0.01, 5), st.floats(0.0, 1.0))
def test_without_visual_evidence_the_answer_is_the_brownian_bridge(lat, lon, apart, share):
    """As alpha tends to 0 the mean is linear in time, whatever the pictures show."""
    latlon = np.array([[lat, lon], [np.nan, np.nan], [lat + apart / 2, lon + apart]])
    time_s = np.array([0.0, 3600.0 * share, 3600.0])
    for alpha in (1e-9, 0.2):
        parameters = TripParameters(alpha=alpha)
        placed = place(time_s, latlon, evidence([3, 200, 5]), parameters)
        whole = haversine_km(latlon[0], latlon[2])
        assert haversine_km(latlon[0], placed.latlon[1]) == pytest.approx(share * whole, abs=1e-6)
        assert haversine_km(latlon[2], placed.latlon[1]) == pytest.approx(
            (1 - share) * whole, abs=1e-6
        )


def test_pictures_of_a_journey_without_geotags_agree_on_one_region():
    shown = [50, 50, 51, 300, 50, 51, 52, 52]
    found = place(
        np.arange(8) * 900.0, np.full((8, 2), np.nan), evidence(shown), TripParameters(alpha=0.5)
    )
    assert set(found.case.tolist()) == {"guessed"}
    truth = evidence(shown).centroids[50]
    assert (haversine_km(truth, found.latlon) < 60.0).all()


def test_radii_grow_with_the_time_to_the_anchors():
    anchors = Anchors.of(
        np.array([0.0, 7200.0]), np.array([[1.0, 1.0], [1.1, 1.1]]), np.array([0, 1])
    )
    bridged = bridge(anchors, np.array([0.0, 60.0, 3600.0, 9000.0, np.nan]))
    radii = TripParameters().radii_km("between", bridged.features())
    assert radii[1, 1] < radii[2, 1]
    assert bridged.between.tolist() == [True, True, True, False, False]
    assert np.isnan(bridged.latlon[4]).all()


@given(st.lists(st.floats(0.0, 1e8), min_size=1, max_size=20))
def test_transitions_are_probabilities_after_every_gap(gaps):
    step, used = bins(np.array(gaps))
    assert len(step) == len(gaps)
    km = np.abs(np.arange(5.0)[:, None] - np.arange(5.0)) * 30.0
    for gap in used:
        matrix = transition(km, float(gap), np.full(5, 0.2), TripParameters())
        assert matrix.sum(axis=1) == pytest.approx(np.ones(5))


def test_a_position_nobody_could_reach_is_no_anchor():
    anchors = Anchors.of(
        np.arange(4) * 60.0,
        np.array([[47.0, 8.0], [47.0, 8.01], [-30.0, 100.0], [47.0, 8.02]]),
        np.arange(4),
    )
    assert len(anchors) == 3


def test_two_photographers_in_one_folder_keep_their_own_journeys():
    time_s = np.repeat(np.arange(10) * 600.0, 2)
    known = np.full((20, 2), np.nan)
    known[0], known[18], known[1], known[19] = (47, 8), (47.1, 8.1), (10, 100), (10.1, 100.1)
    camera = ["A", "B"] * 10
    placed = place_all(camera, ["x.jpg"] * 20, time_s, known, evidence([5] * 20), TripParameters())
    assert (haversine_km([47.0, 8.0], placed.latlon[::2]) < 20.0).all()
    assert (haversine_km([10.0, 100.0], placed.latlon[1::2]) < 20.0).all()


def test_a_camera_without_gps_follows_the_phone_of_the_same_person():
    time_s = np.repeat(np.arange(10) * 600.0, 2)
    known = np.full((20, 2), np.nan)
    known[::2] = (47.0, 8.0)
    camera = ["phone", "camera"] * 10
    placed = place_all(camera, ["x.jpg"] * 20, time_s, known, evidence([5] * 20), TripParameters())
    assert set(placed.case[1::2].tolist()) <= {"between", "beyond"}


def test_many_photos_of_one_walk_do_not_part_a_camera_from_its_phone():
    """The more photos of a stay, the less each one counts: for one journey as for two."""
    starter = load("starter")
    parameters = TripParameters.read(starter.path / FILE)
    number = 72
    known = np.full((number, 2), np.nan)
    pictures = replace(evidence([5] * number), consensus=starter.ranker.calibration.consensus)
    known[::2] = pictures.answer[0]
    camera = ["phone", "camera"] * (number // 2)
    time_s = np.arange(number) * 150.0
    placed = place_all(camera, ["x.jpg"] * number, time_s, known, pictures, parameters)
    assert set(placed.case[1::2].tolist()) <= {"between", "beyond"}


@pytest.mark.parametrize("fitted", [False, True])
def test_where_the_bundle_does_not_know_the_region_radii_are_wide_as_those_of_the_photos(fitted):
    """All photos agree on a place, and each says that it does not know it."""
    parameters = TripParameters.read(load("starter").path / FILE) if fitted else TripParameters()
    pictures = evidence([50] * 8)
    unknown = replace(pictures, radii_km=np.full((8, 3), [6e3, 12e3, 18e3], np.float32))
    none = np.full((8, 2), np.nan)
    known = replace(pictures, radii_km=np.full((8, 3), [5.0, 20.0, 60.0], np.float32))
    time_s = np.arange(8) * 600.0
    placed, surer = (place(time_s, none, each, parameters) for each in (unknown, known))
    assert set(placed.case.tolist()) == {"lost"}
    assert placed.radii_km[:, 1] == pytest.approx(np.full(8, 12e3))
    assert placed.radii_km[:, 1].min() >= 10.0 * surer.radii_km[:, 1].max()


def test_photos_that_agree_on_a_continent_are_believed_only_where_no_position_is_known():
    """Alone each knows half of the Earth at least, and together they know more."""
    parameters = TripParameters.read(load("starter").path / FILE)
    pictures = replace(evidence([50] * 8), radii_km=np.full((8, 3), [2e3, 8e3, 1.6e4], np.float32))
    time_s, known = np.arange(8) * 600.0, np.full((8, 2), np.nan)
    agreed = place(time_s, known, pictures, parameters)
    assert set(agreed.case.tolist()) == {"guessed"}
    assert agreed.radii_km[:, 1].max() < 8e3
    known[0] = pictures.answer[0] + (0.0, 20.0)
    assert "guessed" not in place(time_s, known, pictures, parameters).case.tolist()


def test_a_day_in_an_unknown_region_has_radii_of_its_own():
    pictures = evidence([50] * 12)
    radii = np.full((12, 3), [5.0, 20.0, 60.0], np.float32)
    radii[8:] = [6e3, 12e3, 18e3]
    time_s = np.r_[np.arange(8) * 600.0, 86400.0 + np.arange(4) * 600.0]
    placed = place(time_s, np.full((12, 2), np.nan), replace(pictures, radii_km=radii),
                   TripParameters())  # fmt: skip
    assert placed.radii_km[8:, 1].min() > 5.0 * placed.radii_km[:8, 1].max()


def test_a_photo_that_is_likely_right_alone_stays_against_its_journey():
    pictures = evidence([50, 50, 51, 300, 50, 51, 52, 52])
    radii, probability = pictures.radii_km.copy(), np.full(8, 0.3, np.float32)
    radii[3], probability[3] = (1.0, 5.0, 20.0), 0.9
    pictures = replace(pictures, radii_km=radii, probability=probability)
    placed = place(np.arange(8) * 600.0, np.full((8, 2), np.nan), pictures, TripParameters())
    assert placed.case.tolist() == ["guessed"] * 3 + ["alone"] + ["guessed"] * 4
    assert placed.latlon[3] == pytest.approx(pictures.answer[3])
    assert placed.radii_km[3, 1] == pytest.approx(5.0)


def test_a_bundle_without_calibrated_radii_does_not_widen_those_of_a_journey():
    none = np.full((8, 2), np.nan)
    pictures = evidence([50] * 8)
    uncalibrated = replace(pictures, radii_km=np.full((8, 3), FARTHEST_KM, np.float32))
    placed = place(np.arange(8) * 600.0, none, uncalibrated, TripParameters(alpha=0.5))
    assert (placed.radii_km[:, 1] < 1000.0).all()


def test_a_journey_from_home_and_back_is_not_placed_at_home_against_its_pictures():
    """Two positions at home, three days apart, and eight photos of another country between."""
    pictures = evidence([50] * 10)
    sure = replace(pictures, radii_km=np.full((10, 3), [5.0, 20.0, 60.0], np.float32))
    unsure = replace(pictures, radii_km=np.full((10, 3), [3e3, 6e3, 9e3], np.float32))
    there = pictures.answer[0]
    home = there - [20.0, 30.0]
    known = np.full((10, 2), np.nan)
    known[[0, -1]] = home
    time_s = np.r_[0.0, 86400.0 + np.arange(8) * 3600.0, 3 * 86400.0]
    fitted = TripParameters.read(load("starter").path / FILE)
    away, doubtful = (place(time_s, known, each, fitted) for each in (sure, unsure))
    assert set(away.case[1:-1].tolist()) <= {"guessed", "alone"}
    assert (haversine_km(away.latlon[1:-1], there) < 100.0).all()
    assert set(doubtful.case[1:-1].tolist()) == {"between"}  # nobody knows: the circle says so
    assert (doubtful.radii_km[1:-1, 1] >= haversine_km(home, there)).all()
    known[[0, -1]] = there
    stayed = place(time_s, known, sure, fitted)
    assert set(stayed.case[1:-1].tolist()) == {"between"}


def test_pictures_that_say_nothing_do_not_move_their_neighbours():
    """Every second photo shows an object: its belief is flat."""
    pictures = evidence([50, 51, 52, 53, 54, 55] * 2)
    objects = np.arange(12) % 2 == 1
    flat = np.where(objects[:, None], np.float32(1 / 400), pictures.belief)
    fitted = TripParameters.read(load("starter").path / FILE)
    none, time_s = np.full((12, 2), np.nan), np.arange(12) * 1200.0
    alone = place(time_s[~objects], none[~objects], pictures.take(np.flatnonzero(~objects)),
                  fitted)  # fmt: skip
    among = place(time_s, none, replace(pictures, belief=flat), fitted)
    assert (haversine_km(alone.latlon, among.latlon[~objects]) < 15.0).all()
    assert (haversine_km(among.latlon[objects], pictures.answer[0]) < 100.0).all()
