"""Scores compared with published values and independent computations, and their invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import haversine_distances

from geocells.sphere import EARTH_RADIUS_KM, haversine_km
from geoloc.evaluation.scores import (
    MEANS,
    MEASURES,
    REFUSED_KM,
    THRESHOLDS_KM,
    score_photos,
    score_systems,
    summary,
    true_areas,
)
from geoloc.evaluation.statistics import resampling_units
from geoloc.metrics import (
    country_and_region,
    geoguessr_points,
    geoscore,
    same_country,
    score,
)
from tests.geoloc.evaluation.samples import drawn_answers, drawn_benchmark, towns

KM = [25.0, 200.0, 750.0, 1000.0, 2500.0]


@pytest.mark.parametrize(
    ("scale", "points"),
    [
        (14_916.862, [4917, 4373, 3024, 2558, 936]),
        (14_999.25, [4917, 4376, 3033, 2567, 944]),
        (14_927.0, [4917, 4373, 3025, 2559, 937]),
    ],
)
def test_points_of_geoguessr_maps(scale, points):
    assert geoguessr_points(KM, scale).tolist() == points


def test_points_of_pigeon():
    distance = [0, 1, 25, 100, 200, 750, 1492.7, 2500, 20000]
    assert np.round(geoscore(distance)).tolist() == [
        5000, 4997, 4917, 4676, 4373, 3025, 1839, 937, 0,
    ]  # fmt: skip
    assert geoscore(1492.7) == pytest.approx(5000 / np.e)  # OSV-5M does not round


def test_full_points_within_25_m_matter_on_small_maps():
    assert geoguessr_points([0.0249, 0.0251], 1.0).tolist() == [5000, 3890]
    assert geoguessr_points(0.149) == 5000  # on the world map rounding alone reaches 149 m
    assert geoguessr_points(np.inf) == 0


def test_haversine_distances():
    stockholm, helsinki = (59.3293, 18.0686), (60.1699, 24.9384)
    assert haversine_km(stockholm, helsinki, 6378.137) == pytest.approx(396.26, abs=0.005)
    assert haversine_km(stockholm, helsinki) == pytest.approx(395.82, abs=0.005)
    assert haversine_km((0, 0), (1, 0), 6378.137) == pytest.approx(111.3195, abs=1e-4)
    assert haversine_km((90, 0), (-90, 0), 6378.137) == pytest.approx(20037.508, abs=1e-3)


@given(st.lists(st.floats(0, 20015), min_size=2, max_size=30), st.floats(1, 20000))
def test_points_decrease_with_distance(distances, scale):
    ascending = np.sort(distances)
    for points in (geoscore(ascending), geoguessr_points(ascending, scale)):
        assert (np.diff(points) <= 0).all()
        assert ((points >= 0) & (points <= 5000)).all()


def test_scores_equal_an_independent_computation():
    rng = np.random.default_rng(0)
    truth = towns(300, rng)
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(truth, rng.lognormal(4, 3, 300).clip(0, 19000), rng)
    value = summary(score_photos(benchmark, answers, true_areas(benchmark)))
    km = EARTH_RADIUS_KM * np.array(
        [haversine_distances(*np.radians([[a], [b]]))[0, 0]
         for a, b in zip(answers.latlon, truth, strict=True)]
    )  # fmt: skip
    for threshold in THRESHOLDS_KM:
        expected = accuracy_score(np.ones(300), km < threshold)
        assert value[f"within_{threshold:g}_km"] == pytest.approx(expected)
    assert value["mean_km"] == pytest.approx(km.mean(), rel=1e-5)
    assert value["median_km"] == pytest.approx(np.median(km))
    assert value["geometric_mean_km"] == pytest.approx(np.exp(np.log(km).mean()), rel=1e-5)
    assert value["geoscore"] == pytest.approx((5000 * np.exp(-km / 1492.7)).mean(), rel=1e-5)
    rounded = [round(5000 * float(np.exp(-d / 1492.7))) for d in km]
    assert value["geoscore_rounded"] == pytest.approx(np.mean(rounded), rel=1e-6)


def test_country_and_region_are_those_of_polygons():
    truth = [(48.8566, 2.3522), (48.8566, 2.3522), (48.8566, 2.3522), (48.8566, 2.3522)]
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(np.array(truth), 0.0, np.random.default_rng(0))
    answers.latlon[:] = [(48.86, 2.35), (45.76, 4.84), (50.85, 4.35), (48.0, -20.0)]
    scores = score_photos(benchmark, answers, true_areas(benchmark))
    columns = [MEANS.index("country"), MEANS.index("region")]
    # Paris, Lyon, Brussels, the open Atlantic off Ireland
    assert scores.values[:, columns].tolist() == [[1, 1], [1, 0], [0, 0], [0, 0]]
    assert scores.country[3] == country_and_region([(52.0, -8.0)])[0, 0]


@pytest.mark.parametrize("sea", [(48.0, -20.0), (0.0, -30.0), (-48.9, -123.4), (54.0, 7.6)])
def test_perfect_answer_at_sea_is_in_the_right_country_and_region(sea):
    benchmark = drawn_benchmark([sea])
    answers = drawn_answers(np.array([sea]), 0.0, np.random.default_rng(0))
    value = summary(score_photos(benchmark, answers, true_areas(benchmark)))
    assert value["country"] == value["region"] == 1.0
    assert score([sea], [sea]).country == 1.0  # the same rule in the figures of bundles
    assert same_country([sea], [sea]).all()  # and in the game


def test_photo_counts_only_where_its_coordinates_are_precise_enough():
    truth = np.tile([[48.8566, 2.3522]], (2, 1))
    benchmark = drawn_benchmark(truth, precision_km=[10.0, 0.0])
    answers = drawn_answers(truth, [0.5, 30.0], np.random.default_rng(0))
    value = summary(score_photos(benchmark, answers, true_areas(benchmark)))
    assert value["within_1_km"] == 0.0  # only the second counts
    assert value["within_10_km"] == 0.5
    assert value["within_50_km"] == 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 39), min_size=1, max_size=40))
def test_refusing_never_improves_a_score(seed, refused):
    rng = np.random.default_rng(seed)
    truth = towns(40, rng)
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(truth, rng.lognormal(5, 3, 40).clip(0, 20000), rng)
    areas = true_areas(benchmark)
    before = summary(score_photos(benchmark, answers, areas))
    answers.latlon[refused] = np.nan
    after = summary(score_photos(benchmark, answers, areas))
    for measure in MEASURES:
        worse = before[measure] - after[measure]
        assert (-worse if measure.endswith("_km") and "within" not in measure else worse) >= -1e-3


def test_system_that_refuses_everything_scores_zero():
    truth = towns(5, np.random.default_rng(0))
    benchmark = drawn_benchmark(truth)
    answers = drawn_answers(truth, 1.0, np.random.default_rng(0), refused=5)
    (found,), _ = score_systems(
        [score_photos(benchmark, answers, true_areas(benchmark))],
        resampling_units(benchmark.author),
        50,
    )
    assert (found.photos, found.answered) == (5, 0)
    assert found.value["median_km"] == REFUSED_KM
    assert found.value["within_2500_km"] == found.value["country"] == 0.0
    assert found.value["geoguessr"] == 0.0


def test_scores_without_photos_are_nan():
    benchmark = drawn_benchmark(np.empty((0, 2)))
    answers = drawn_answers(np.empty((0, 2)), np.empty(0), np.random.default_rng(0))
    (found,), _ = score_systems(
        [score_photos(benchmark, answers, true_areas(benchmark))],
        resampling_units(benchmark.author),
        50,
    )
    assert np.isnan(found.value["geoscore"])
