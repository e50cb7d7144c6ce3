import numpy as np
import pytest
import shapely

from geocells.polygon_index import PolygonIndex
from geocells.polygons import area_km2, dissolve, repair, without_overlaps
from geocells.sphere import EARTH_RADIUS_KM


def test_locate_prefers_the_covering_polygon_then_the_nearest_within_max_km():
    index = PolygonIndex(np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]))
    points = [(0.5, 0.5), (0.5, 1.5), (0.5, 1.0), (0.5, 2.3), (0.5, -0.3), (40, 40)]
    assert index.locate(points).tolist() == [0, 1, 0, 1, 0, 1]
    assert index.locate(points, max_km=100).tolist() == [0, 1, 0, 1, 0, -1]
    assert index.locate(points, max_km=0).tolist() == [0, 1, 0, -1, -1, -1]


def test_nearest_polygon_may_be_across_the_antimeridian():
    index = PolygonIndex(
        np.array([shapely.box(178, -18, 180, -16), shapely.box(-170, -18, -169, -16)])
    )
    index_of_sea_point, distance_km, shore = index.nearest(np.array([[-17.0, -179.5]]))
    assert index_of_sea_point[0] == 0
    assert 52 < distance_km[0] < 55
    assert abs(shore[0, 1]) == 180


def test_nearest_polygon_is_chosen_by_distance_on_the_sphere():
    # at 80 degrees north, 4 degrees of longitude are 77 km and 1 degree of latitude 111 km
    index = PolygonIndex(np.array([shapely.box(4, 79.9, 5, 80.1), shapely.box(-1, 81, 1, 82)]))
    assert index.locate([(80, 0)]).tolist() == [0]


def test_single_points_and_many_points_get_the_same_polygon():
    rng = np.random.default_rng(0)
    west, south = rng.uniform(-180, 175, 40), rng.uniform(-85, 80, 40)
    index = PolygonIndex(shapely.box(west, south, west + 5, south + 5))
    points = np.stack([rng.uniform(-90, 90, 300), rng.uniform(-180, 180, 300)], -1)
    single = [int(index.locate([point])[0]) for point in points[:100]]
    fresh = PolygonIndex(shapely.box(west, south, west + 5, south + 5))
    assert single == fresh.locate(points)[:100].tolist()


def test_repair_keeps_only_areas():
    bowtie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    mixed = shapely.GeometryCollection(
        [shapely.box(0, 0, 1, 1), shapely.LineString([(5, 5), (6, 6)])]
    )
    fixed = repair(np.array([bowtie, mixed]))
    assert shapely.is_valid(fixed).all()
    assert shapely.area(fixed).tolist() == [0.5, 1.0]
    assert set(shapely.get_type_id(fixed)) <= {3, 6}


def test_dissolve_unites_the_polygons_of_each_group():
    boxes = np.array([shapely.box(0, 0, 1, 1), shapely.box(9, 9, 10, 10), shapely.box(1, 0, 2, 1)])
    united = dissolve(boxes, np.array([1, 0, 1]), 2)
    assert shapely.area(united).tolist() == [1, 2]
    assert united[1].geom_type == "Polygon"


def test_overlaps_go_to_the_smaller_polygon():
    country, enclave = shapely.box(0, 0, 10, 10), shapely.box(4, 4, 5, 5)
    neighbour = shapely.box(9, 0, 12, 10)
    shapes = np.array([country, enclave, neighbour, shapely.box(12, 0, 13, 1), enclave])
    disjoint = without_overlaps(shapes)
    assert shapely.area(disjoint).tolist() == [100 - 1 - 10, 1, 30, 1, 0]
    assert shapely.is_valid(disjoint).all()
    assert disjoint[3] is shapes[3]


def test_areas_on_the_sphere():
    earth, north = area_km2(np.array([shapely.box(-180, -90, 180, 90), shapely.box(0, 60, 10, 70)]))
    assert earth == pytest.approx(4 * np.pi * EARTH_RADIUS_KM**2)
    zone = np.diff(np.sin(np.radians([60, 70])))[0]
    assert north == pytest.approx(EARTH_RADIUS_KM**2 * np.radians(10) * zone)


def test_area_does_not_depend_on_the_number_of_vertices():
    triangle = shapely.Polygon([(0, 0), (40, 0), (0, 70)])
    coarse, fine = area_km2(np.array([triangle, shapely.segmentize(triangle, 0.5)]))
    assert coarse == pytest.approx(fine, rel=1e-3)
