import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocells import sphere

points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
STOCKHOLM, HELSINKI = (59.3293, 18.0686), (60.1699, 24.9384)


def test_distances_equal_published_values():
    assert sphere.haversine_km((0, 0), (1, 0), 6378.137) == pytest.approx(111.3195, abs=1e-4)
    assert sphere.haversine_km((90, 0), (-90, 50), 6378.137) == pytest.approx(20037.508, abs=1e-3)
    assert sphere.haversine_km(STOCKHOLM, HELSINKI, 6378.137) == pytest.approx(396.26, abs=5e-3)
    assert sphere.haversine_km(STOCKHOLM, HELSINKI) == pytest.approx(395.82, abs=5e-3)


def test_antipodes_are_half_the_circumference_apart_and_never_nan():
    lat = np.linspace(-90, 90, 1001)
    lon = np.linspace(-180, 180, 1001)
    here = np.stack([lat, lon], -1)
    there = np.stack([-lat, lon + 180], -1)
    np.testing.assert_allclose(
        sphere.haversine_km(here, there), np.pi * sphere.EARTH_RADIUS_KM, rtol=1e-7
    )


@given(points, points, points)
def test_haversine_is_a_metric(a, b, c):
    ab, ba = sphere.haversine_km(a, b), sphere.haversine_km(b, a)
    assert ab == pytest.approx(ba, abs=1e-9)
    assert ab <= sphere.haversine_km(a, c) + sphere.haversine_km(c, b) + 1e-3


@given(arrays(float, (7, 2), elements=st.floats(-90, 90)))
def test_pairwise_agrees_with_haversine(latlon):
    got = sphere.pairwise_km(latlon[:3], latlon[3:])
    want = sphere.haversine_km(latlon[:3, None], latlon[None, 3:])
    np.testing.assert_allclose(got, want, atol=3e-4)


def test_pairwise_distances_resolve_metres_and_have_the_requested_dtype():
    start = np.array([[48.85, 2.35]])
    ends = sphere.destination(start, 70.0, np.array([0.001, 0.01, 0.1, 1.0]))
    got = sphere.pairwise_km(start, ends, dtype=np.float32)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[0], [0.001, 0.01, 0.1, 1.0], atol=2e-4)


@given(points, st.floats(-360, 360), st.floats(0, 20000))
def test_destination_is_at_the_given_distance(start, bearing, distance):
    end = sphere.destination(start, bearing, distance)
    assert sphere.haversine_km(start, end) == pytest.approx(distance, abs=1e-3)


@given(points)
def test_unit_vectors_convert_back_to_coordinates(point):
    back = sphere.latlon_from_vectors(sphere.unit_vectors(point))
    assert sphere.haversine_km(point, back) < 1e-6
    assert -180 <= back[1] < 180


def mean(latlon, weights=None) -> np.ndarray:
    """Spherical mean of all coordinates."""
    return sphere.group_means(latlon, np.zeros(len(latlon), int), 1, weights)[0]


def test_mean_across_the_antimeridian():
    np.testing.assert_allclose(mean([(10, 179), (10, -177)])[1], -179, atol=1e-9)
    assert mean([(0, 0), (0, 90)], weights=[3, 1])[1] == pytest.approx(np.degrees(np.arctan2(1, 3)))


def test_mean_of_antipodes_is_the_first_point():
    np.testing.assert_array_equal(mean([(0, 20), (0, -160)]), (0, 20))


def test_mean_of_a_group_without_points_or_without_weight_is_nan():
    means = sphere.group_means([(1, 2), (3, 4)], [0, 2], 4, weights=[1, 0])
    np.testing.assert_allclose(means[0], (1, 2))
    assert np.isnan(means[1:]).all()


@given(arrays(float, (20, 2), elements=st.floats(-80, 80)), st.integers(0, 2**32 - 1))
def test_group_means_equal_the_means_of_the_groups(latlon, seed):
    labels = np.random.default_rng(seed).integers(0, 3, 20)
    means = sphere.group_means(latlon, labels, 4)
    assert np.isnan(means[3]).all()
    for group in np.unique(labels):
        vector = sphere.unit_vectors(latlon[labels == group]).mean(axis=0)
        assert sphere.haversine_km(means[group], sphere.latlon_from_vectors(vector)) < 1e-6


@pytest.mark.parametrize("bad", [(np.nan, 0), (91, 0), (0, 181), (np.inf, 0)])
def test_error_names_the_first_bad_coordinate(bad):
    with pytest.raises(ValueError, match=r"photos\.csv: row 1 "):
        sphere.check_latlon([(0, 0), bad, bad], "photos.csv")


def test_error_names_the_wrong_shape():
    with pytest.raises(ValueError, match=r"shape \(N, 2\)"):
        sphere.check_latlon([1, 2, 3])


def test_longitudes_are_wrapped():
    got = sphere.wrap_lon([180, -180, 190, 540, 10])
    np.testing.assert_allclose(got, [-180, -180, -170, -180, 10])
