"""Bootstrap intervals and paired tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from geoloc.evaluation.statistics import bootstrap, interval, mcnemar, resampling_units, sign_test


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 400), st.booleans())
def test_intervals_contain_the_estimate(seed, count, grouped):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (count, 2))
    distance = rng.lognormal(5, 1, count)[:, None]
    unit = np.unique(rng.integers(0, 8, count), return_inverse=True)[1]
    drawn = bootstrap(values, distance, unit if grouped else np.arange(count), 300, seed % 1000)
    low, high = interval(drawn.means, 0.999)
    mean = values.mean(axis=0)
    assert (low <= mean + 1e-6).all()
    assert (mean <= high + 1e-6).all()
    low, high = interval(drawn.medians, 0.999)
    assert low[0] <= np.median(distance) <= high[0]


def test_standard_errors_equal_the_binomial_ones():
    rng = np.random.default_rng(0)
    right = (rng.random((2000, 1)) < 0.3).astype(float)
    drawn = bootstrap(right, right, np.arange(2000), 3000)
    expected = np.sqrt(right.mean() * (1 - right.mean()) / 2000)
    assert drawn.means.std() == pytest.approx(expected, rel=0.05)
    assert drawn.means.mean() == pytest.approx(right.mean(), abs=0.001)


def test_photos_of_one_author_count_as_one_observation():
    rng = np.random.default_rng(0)
    author = np.repeat(np.arange(20), 50)
    right = np.repeat(rng.random(20) < 0.5, 50).astype(float)[:, None]
    alone = bootstrap(right, right, np.arange(1000), 1000).means.std()
    together = bootstrap(right, right, author, 1000).means.std()
    assert together == pytest.approx(alone * np.sqrt(50), rel=0.15)


def test_nan_is_left_out_of_means():
    values = np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, 1.0], [1.0, np.nan]])
    drawn = bootstrap(values, np.zeros((4, 1)), np.arange(4), 500)
    assert set(np.round(drawn.means[:, 1][~np.isnan(drawn.means[:, 1])], 9)) == {1.0}
    assert np.nanmean(drawn.means[:, 0]) == pytest.approx(2 / 3, abs=0.05)


def test_medians_equal_those_of_numpy():
    rng = np.random.default_rng(1)
    for count in (1, 2, 7, 1024, 3000):
        distance = np.column_stack([rng.lognormal(4, 2, count), rng.random(count)])
        drawn = bootstrap(np.zeros((count, 1)), distance, np.arange(count), 20, seed=3)
        # the same draws, counted with numpy
        by_distance = distance[np.argsort(distance[:, 0], kind="stable")]
        for source, medians in zip(np.random.SeedSequence(3).spawn(20), drawn.medians, strict=True):
            generator = np.random.Generator(np.random.SFC64(source))
            sample = by_distance[generator.integers(0, count, count)]
            assert medians == pytest.approx(np.median(sample, axis=0))


def test_seed_determines_the_resamples(monkeypatch):
    values = np.random.default_rng(0).random((100, 3))
    first = bootstrap(values, values[:, :1], np.arange(100), 50, seed=4)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = bootstrap(values, values[:, :1], np.arange(100), 50, seed=4)
    assert (first.means == again.means).all()
    other = bootstrap(values, values[:, :1], np.arange(100), 50, seed=5)
    assert (first.means != other.means).any()


def test_units_are_groups_or_otherwise_authors():
    no_names = np.array(["", "", ""], dtype=object)
    author = np.array(["b", "a", "b"], dtype=object)
    some = np.array(["", "x", "x"], dtype=object)
    assert resampling_units(no_names, no_names).tolist() == [0, 1, 2]
    same = resampling_units(no_names, author)
    assert same[0] == same[2] != same[1]
    mixed = resampling_units(some, author)
    assert mixed[1] == mixed[2] != mixed[0]
    assert sorted(set(mixed.tolist())) == [0, 1]


def test_mcnemar_equals_the_binomial_test():
    first = np.array([True] * 9 + [False] * 2 + [True] * 50)
    second = np.array([False] * 9 + [True] * 2 + [True] * 50)
    found = mcnemar(first, second)
    assert (found.better, found.worse) == (9, 2)
    assert found.p == pytest.approx(2 * binom.cdf(2, 11, 0.5))
    assert mcnemar(first, first).p == 1.0
    assert sign_test(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0])).better == 1
