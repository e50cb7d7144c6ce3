"""Tests for nearest neighbours and polygons of few points, which are found without trees."""

import numpy as np
import pytest

from geocells import neighbours, polygon_index
from geocells.borders.hierarchy import embedded_boundaries
from geocells.neighbours import NearestPoints
from geocells.polygon_index import PolygonIndex


def spread(rng, count):
    """Points all over the Earth, some of them equal, and near both poles and the antimeridian."""
    points = np.stack([rng.uniform(-90, 90, count), rng.uniform(-180, 180, count)], axis=1)
    points[:6] = [(90, 0), (-90, 5), (0, 180), (0, -180), (10, 20), (10, 20.000001)]
    return points


@pytest.mark.parametrize("count", [1, 9, 700, 20_000])
def test_few_queries_find_the_neighbours_of_the_tree(count, monkeypatch):
    rng = np.random.default_rng(count)
    places, queries = spread(rng, max(count, 6))[:count], spread(rng, 30)
    k = min(count, 9)
    few = NearestPoints(places).query(queries, k)
    monkeypatch.setattr(neighbours, "_BRUTE_FORCE_PAIRS", 0)
    many = NearestPoints(places).query(queries, k)
    np.testing.assert_allclose(few[0], many[0], rtol=0, atol=1e-6)


def test_many_small_searches_build_a_tree_in_the_end(monkeypatch):
    rng = np.random.default_rng(1)
    places, queries = spread(rng, 500), spread(rng, 30)
    monkeypatch.setattr(neighbours, "_BRUTE_FORCE_PAIRS", 10 * 500)
    index = NearestPoints(places)
    found = [index.query(query[None], 3)[1] for query in queries]
    assert "_tree" in vars(index._vectors), "a service asks for a few places at a time, for ever"
    np.testing.assert_array_equal(np.concatenate(found[6:]), index.query(queries[6:], 3)[1])


def test_polygons_of_few_points_are_those_of_the_tree(monkeypatch):
    points = spread(np.random.default_rng(0), 120)
    index = embedded_boundaries().finest.index
    few = np.concatenate([index.locate(point[None], 50.0) for point in points])
    monkeypatch.setattr(polygon_index, "_FEW_BOXES", 0)
    many = PolygonIndex(embedded_boundaries().finest.polygons).locate(points, 50.0)
    np.testing.assert_array_equal(few, many)
