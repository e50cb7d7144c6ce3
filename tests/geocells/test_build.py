import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geocells.boundaries import load_boundaries
from geocells.build import CellConfig, build_cells
from geocells.partition import WHOLE_MAP, merge_small, split_dense
from geocells.table import CellTable


def world_photos(count: int, seed: int = 0) -> np.ndarray:
    """Coordinates crowded around some cities, among them both sides of the antimeridian."""
    rng = np.random.default_rng(seed)
    cities = np.array(
        [(48.86, 2.35), (-33.87, 151.2), (35.7, 139.7), (-17.8, 178.0), (-16.8, -179.9),
         (64.7, 177.5), (40.7, -74.0), (-1.3, 36.8), (-54.8, -68.3)]
    )  # fmt: skip
    near = cities[rng.integers(0, len(cities), count)] + rng.normal(0, 0.3, (count, 2))
    near[:, 1] = (near[:, 1] + 180) % 360 - 180
    return near


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return world_photos(3000)


@pytest.fixture(scope="module")
def cells(photos) -> CellTable:
    return build_cells(photos, CellConfig(min_count=20, max_count=100))


def test_cells_hold_every_photo_once(cells, photos):
    assert cells.count.sum() == len(photos)
    assert np.bincount(cells.locate(photos), minlength=len(cells)).tolist() == cells.count.tolist()


def test_cells_are_neither_too_large_nor_overlapping(cells):
    assert shapely.is_valid(cells.polygon).all()
    assert not shapely.is_empty(cells.polygon).any()
    assert np.median(cells.count[cells.count > 0]) <= 100
    assert cells.count.max() <= 2 * 100  # photos at sea go to the nearest shore
    assert overlap_area(cells.polygon) < 1e-9  # square degrees: cuts round to 1e-14 degrees


def overlap_area(polygons: np.ndarray) -> float:
    a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    a, b = a[a < b], b[a < b]
    return float(shapely.area(shapely.intersection(polygons[a], polygons[b])).sum())


def test_cells_cover_the_land_and_keep_to_borders(cells):
    borders = load_boundaries()
    assert set(cells.country) == set(borders.country.codes)
    for code, land in zip(borders.country.codes, borders.country.polygons, strict=True):
        tiles = shapely.area(cells.polygon[cells.country == code]).sum()
        assert tiles == pytest.approx(shapely.area(land), rel=1e-6), code
    inside = shapely.get_coordinates(shapely.point_on_surface(cells.polygon))[:, ::-1]
    codes = borders.country.codes[borders.country.locate(inside)]
    assert codes.tolist() == cells.country.tolist()
    assert cells.locate(inside).tolist() == list(range(len(cells)))


def test_cells_of_fiji_and_chukotka_end_at_the_antimeridian(cells):
    west, _, east, _ = shapely.bounds(cells.polygon).T
    assert west.min() >= -180
    assert east.max() <= 180
    both_sides = [(-17.8, 178.0), (-16.8, -179.9), (64.7, 177.5), (66.0, -172.0)]
    rows = cells.locate(both_sides)
    assert cells.country[rows].tolist() == ["FJ", "FJ", "RU", "RU"]
    near = cells.centroids[rows[cells.count[rows] > 0]]
    assert (np.abs(near[:, 1]) > 165).all()  # a mean of both sides would lie near longitude 0


def test_written_and_read_again(cells, photos, tmp_path):
    back = CellTable.read(cells.write(tmp_path / "cells.parquet"))
    for column in ("cell_id", "country", "region", "centroids", "count"):
        np.testing.assert_array_equal(getattr(back, column), getattr(cells, column))
    np.testing.assert_array_equal(back.locate(photos), cells.locate(photos))


def test_dense_places_have_small_cells(cells, photos):
    area = shapely.area(cells.polygon)
    crowded = cells.locate([(48.86, 2.35), (-33.87, 151.2)])
    assert (area[crowded] < area.mean()).all()


def test_the_same_coordinates_give_the_same_cells(cells, photos):
    shuffled = photos[np.random.default_rng(1).permutation(len(photos))]
    again = build_cells(shuffled, CellConfig(min_count=20, max_count=100))
    assert again.cell_id.tolist() == cells.cell_id.tolist()
    assert again.count.tolist() == cells.count.tolist()


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_photo_gives_one_cell_for_each_country(count):
    cells = build_cells(world_photos(count).reshape(-1, 2))
    assert cells.count.sum() == count
    assert len(cells) == len(load_boundaries().country)  # one photo is too few to cut


def test_a_thousand_photos_of_one_spot_stay_together():
    spots = np.array([(90.0, 0.0), (-90.0, 0.0), (-29.5, 28.2), (-17.0, 180.0), (0.0, -150.0)])
    cells = build_cells(np.repeat(spots, 1000, axis=0), CellConfig(min_count=30, max_count=60))
    full = cells.locate(spots)
    assert cells.count[full].tolist() == [1000] * len(spots)
    assert cells.country[full[1:3]].tolist() == ["AQ", "LS"]


def test_bad_arguments():
    with pytest.raises(ValueError, match="min_count"):
        CellConfig(min_count=5, max_count=4)
    with pytest.raises(ValueError, match="latitude"):
        build_cells([(91.0, 0.0)])


def test_small_units_join_the_nearest_of_their_parent():
    centroid = np.array([(0.0, 0.0), (0.0, 1.0), (0.0, 9.0), (0.0, 2.0)])
    group = merge_small(np.array([5, 50, 50, 1]), centroid, np.array([0, 0, 0, 1]), 10, 1000)
    assert group[0] == group[1]
    assert len({group[1], group[2], group[3]}) == 3
    crowded = merge_small(np.array([5, 50, 30, 1]), centroid, np.array([0, 0, 0, 1]), 10, 40)
    assert crowded[0] == crowded[2] != crowded[1]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(0, 200), st.just(2)),
              elements=st.floats(-80, 80, width=32)))  # fmt: skip
def test_cuts_tile_the_map_and_bound_the_parts(latlon):
    parts = split_dense(latlon, 10)
    boxes = shapely.box(*np.array([box for _, box in parts]).T)
    assert shapely.area(boxes).sum() == pytest.approx(shapely.area(shapely.box(*WHOLE_MAP)))
    assert len({path for path, _ in parts}) == len(parts)
    inside = shapely.contains_xy(boxes[:, None], latlon[:, 1], latlon[:, 0])
    spots, count = np.unique(latlon, axis=0, return_counts=True)
    most = max(10, count.max(initial=0)) if len(spots) else 10
    assert inside.sum(axis=1).max(initial=0) <= most
