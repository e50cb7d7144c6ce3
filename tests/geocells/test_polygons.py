import numpy as np
import shapely

from geocells.polygons import PolygonIndex, dissolve, repair, without_overlaps


def test_covering_then_nearest_then_nothing():
    index = PolygonIndex(np.array([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]))
    points = [(0.5, 0.5), (0.5, 1.5), (0.5, 1.0), (0.5, 2.3), (0.5, -0.3), (40, 40)]
    assert index.locate(points).tolist() == [0, 1, 0, 1, 0, 1]
    assert index.locate(points, max_km=100).tolist() == [0, 1, 0, 1, 0, -1]
    assert index.locate(points, max_km=0).tolist() == [0, 1, 0, -1, -1, -1]


def test_nearest_looks_across_the_antimeridian():
    index = PolygonIndex(
        np.array([shapely.box(178, -18, 180, -16), shapely.box(-170, -18, -169, -16)])
    )
    index_of_sea_point, distance_km, shore = index.nearest(np.array([[-17.0, -179.5]]))
    assert index_of_sea_point[0] == 0
    assert 52 < distance_km[0] < 55
    assert abs(shore[0, 1]) == 180


def test_nearest_is_measured_on_the_sphere_not_in_degrees():
    # at 80 degrees north, 4 degrees of longitude are 77 km and 1 degree of latitude 111 km
    index = PolygonIndex(np.array([shapely.box(4, 79.9, 5, 80.1), shapely.box(-1, 81, 1, 82)]))
    assert index.locate([(80, 0)]).tolist() == [0]


def test_few_points_and_many_points_agree():
    rng = np.random.default_rng(0)
    west, south = rng.uniform(-180, 175, 40), rng.uniform(-85, 80, 40)
    index = PolygonIndex(shapely.box(west, south, west + 5, south + 5))
    points = np.stack([rng.uniform(-90, 90, 300), rng.uniform(-180, 180, 300)], -1)
    one_by_one = [int(PolygonIndex.locate(index, [point])[0]) for point in points[:100]]
    fresh = PolygonIndex(shapely.box(west, south, west + 5, south + 5))
    assert one_by_one == fresh.locate(points)[:100].tolist()


def test_repair_keeps_areas_only():
    bowtie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    mixed = shapely.GeometryCollection(
        [shapely.box(0, 0, 1, 1), shapely.LineString([(5, 5), (6, 6)])]
    )
    fixed = repair(np.array([bowtie, mixed]))
    assert shapely.is_valid(fixed).all()
    assert shapely.area(fixed).tolist() == [0.5, 1.0]
    assert set(shapely.get_type_id(fixed)) <= {3, 6}


def test_dissolve():
    boxes = np.array([shapely.box(0, 0, 1, 1), shapely.box(9, 9, 10, 10), shapely.box(1, 0, 2, 1)])
    united = dissolve(boxes, np.array([1, 0, 1]), 2)
    assert shapely.area(united).tolist() == [1, 2]
    assert united[1].geom_type == "Polygon"


def test_claimed_land_goes_to_the_smaller_polygon():
    country, enclave = shapely.box(0, 0, 10, 10), shapely.box(4, 4, 5, 5)
    neighbour = shapely.box(9, 0, 12, 10)
    shapes = np.array([country, enclave, neighbour, shapely.box(12, 0, 13, 1), enclave])
    settled = without_overlaps(shapes)
    assert shapely.area(settled).tolist() == [100 - 1 - 10, 1, 30, 1, 0]
    assert shapely.is_valid(settled).all()
    assert settled[3] is shapes[3]
