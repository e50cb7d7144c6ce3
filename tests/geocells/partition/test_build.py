"""Properties of every partition, on the Earth and on random planets."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocells.borders.files import load_boundaries
from geocells.borders.hierarchy import Boundaries, embedded_boundaries, hierarchy
from geocells.partition.build import build_cells
from geocells.partition.config import PRESETS, CellConfig
from geocells.partition.merging import touching
from geocells.partition.workers import Workers
from geocells.polygon_index import PolygonIndex
from geocells.polygons import unite, unwrap
from geocells.table import CellTable

SMALL = CellConfig.of_size(100)


def world_photos(count: int, seed: int = 0) -> np.ndarray:
    """Coordinates around ten cities, some of them on both sides of the antimeridian."""
    rng = np.random.default_rng(seed)
    cities = np.array(
        [(48.86, 2.35), (-33.87, 151.2), (35.7, 139.7), (-17.8, 178.0), (-16.8, -179.9),
         (64.7, 177.5), (40.7, -74.0), (-1.3, 36.8), (-54.8, -68.3), (51.9, -176.6)]
    )  # fmt: skip
    near = cities[rng.integers(0, len(cities), count)] + rng.normal(0, 0.3, (count, 2))
    near[:, 1] = (near[:, 1] + 180) % 360 - 180
    return near


def overlap_area(polygons: np.ndarray) -> float:
    a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    a, b = a[a < b], b[a < b]
    return float(shapely.area(shapely.intersection(polygons[a], polygons[b])).sum())


def assert_partition(
    cells: CellTable, photos: np.ndarray, borders: Boundaries, config: CellConfig
) -> None:
    """Check all properties of a partition."""
    assert shapely.is_valid(cells.polygon).all()
    assert not shapely.is_empty(cells.polygon).any()
    assert overlap_area(cells.polygon) < 1e-6  # square degrees
    # every photo is counted in one cell of its country
    row = cells.locate(photos)
    assert np.bincount(row, minlength=len(cells)).tolist() == cells.count.tolist()
    country = borders.country.codes[borders.country.locate(photos)]
    for i in np.flatnonzero(
        cells.country[row] != country
    ):  # allowed at sea, where two coasts are equally near
        here = PolygonIndex(borders.country.polygons[borders.country.codes == country[i]])
        there = PolygonIndex(cells.polygon[[row[i]]])
        assert here.covering(photos[[i]])[0] < 0
        near, nearest = (side.nearest(photos[[i]])[1][0] for side in (there, here))
        assert near == pytest.approx(nearest, abs=3.0), photos[i]
    # the cells of a country cover its polygon and nothing else
    assert set(cells.country) == set(borders.country.codes)
    for code, land in zip(borders.country.codes, borders.country.polygons, strict=True):
        mine = cells.polygon[cells.country == code]
        assert shapely.area(mine).sum() == pytest.approx(shapely.area(land), rel=1e-6), code
        outside = shapely.difference(unite(mine), land)
        assert shapely.area(outside) <= 1e-6 * shapely.area(land), code
    # only cells without neighbours may have too few photos
    of_country = np.unique(cells.country, return_inverse=True)[1]
    everywhere = np.arange(len(cells))
    unwrapped = unwrap(cells.polygon, of_country)
    pairs = touching(unwrapped, of_country, everywhere, config.touch_deg)
    small = np.flatnonzero(cells.count < config.min_count)
    assert not np.isin(small, pairs).any(), cells.cell_id[np.intersect1d(small, pairs)]


def fingerprint(cells: CellTable, folder) -> str:
    cells.write(folder / "x.parquet")
    return hashlib.sha256((folder / "x.parquet").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return world_photos(3000)


@pytest.fixture(scope="module")
def cells(photos) -> CellTable:
    return build_cells(photos, SMALL)


def test_cells_of_the_embedded_borders_are_a_partition(cells, photos):
    assert_partition(cells, photos, embedded_boundaries(), SMALL)
    assert cells.count.sum() == len(photos)
    crowded = cells.count > SMALL.max_count
    assert cells.count[crowded].sum() <= 0.1 * len(photos)


def test_cells_are_split_at_the_antimeridian(cells):
    west, _, east, _ = shapely.bounds(cells.polygon).T
    assert west.min() >= -180
    assert east.max() <= 180
    both_sides = [(-17.8, 178.0), (-16.8, -179.9), (64.7, 177.5), (66.0, -172.0), (51.9, -176.6)]
    rows = cells.locate(both_sides)
    assert cells.country[rows].tolist() == ["FJ", "FJ", "RU", "RU", "US"]
    near = cells.centroids[rows[cells.count[rows] > 0]]
    assert (np.abs(near[:, 1]) > 165).all()  # a plain mean of longitudes would be near 0


def test_cells_are_unchanged_after_writing_and_reading(cells, photos, tmp_path):
    cells.write(tmp_path / "cells.parquet")
    back = CellTable.read(tmp_path / "cells.parquet")
    for column in ("cell_id", "country", "region", "region_id", "centroids", "count"):
        np.testing.assert_array_equal(getattr(back, column), getattr(cells, column))
    np.testing.assert_array_equal(back.locate(photos), cells.locate(photos))


def test_cells_are_small_where_photos_are_dense(cells):
    area = shapely.area(cells.polygon)
    crowded = cells.locate([(48.86, 2.35), (-33.87, 151.2)])
    assert (area[crowded] < np.median(area)).all()


@pytest.mark.slow
def test_order_of_photos_and_number_of_workers_do_not_change_the_file(cells, photos, tmp_path):
    expected = fingerprint(cells, tmp_path)
    shuffled = photos[np.random.default_rng(1).permutation(len(photos))]
    assert fingerprint(build_cells(shuffled, SMALL), tmp_path) == expected
    for number in (2, 3):
        with Workers(number) as workers:
            again = build_cells(photos, SMALL, workers=workers)
        assert fingerprint(again, tmp_path) == expected


def test_two_workers_build_the_same_cells_as_one(tmp_path):
    rng = np.random.default_rng(3)
    borders = planet(rng, 7, 2.0, 170.0, -10.0)
    points = random_photos(rng, 400, 2.0, 170.0, -10.0)
    config = CellConfig.of_size(40)
    with Workers(2) as workers:
        parallel = build_cells(points, config, borders, workers)
    expected = fingerprint(build_cells(points, config, borders), tmp_path)
    assert fingerprint(parallel, tmp_path) == expected


@pytest.mark.parametrize("count", [0, 1])
def test_without_enough_photos_each_country_is_one_cell(count):
    cells = build_cells(world_photos(count).reshape(-1, 2))
    assert cells.count.sum() == count
    assert len(cells) == len(embedded_boundaries().country)  # one photo is too few to cut


def test_photos_at_the_same_coordinates_are_not_separated():
    places = np.array([(90.0, 0.0), (-90.0, 0.0), (-29.5, 28.2), (-17.0, 180.0), (0.0, -150.0)])
    cells = build_cells(np.repeat(places, 1000, axis=0))
    full = cells.locate(places)
    assert cells.count[full].tolist() == [1000] * len(places)
    assert cells.country[full[1:3]].tolist() == ["AQ", "LS"]
    assert_partition(cells, np.repeat(places, 1000, axis=0), embedded_boundaries(), CellConfig())


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_cells_of_street_views_and_cgaz_borders_are_a_partition(shared, preset):
    import pyarrow.parquet as pq

    table = pq.read_table(shared / "data/coordinates/gallery_100k.parquet").slice(0, 20_000)
    points = np.stack([table["lat"].to_numpy(), table["lon"].to_numpy()], axis=1).astype(float)
    borders = load_boundaries(
        [shared / f"data/geo/gb_cgaz_adm{level}.topojson.gz" for level in (1, 2)]
    )
    config = PRESETS[preset]
    cells = build_cells(points, config, borders)
    assert_partition(cells, points, borders, config)
    crowded = cells.count > config.max_count
    assert cells.count[crowded].sum() <= 0.1 * len(points)


def planet(rng: np.random.Generator, size: int, step: float, west: float, south: float):
    """Borders of square districts in regions and countries of random shapes.

    They may cross the antimeridian.
    """
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    column, row = column.ravel(), row.ravel()
    seeds = rng.uniform(0, size, (3, 2))
    country = np.argmin(np.hypot(column[:, None] - seeds[:, 0], row[:, None] - seeds[:, 1]), axis=1)
    left = west + column * step
    left = np.where(
        left >= 180, left - 360, left
    )  # steps divide 180, so the antimeridian cuts no square
    polygons = shapely.box(left, south + row * step, left + step, south + (row + 1) * step)
    code = np.array(["AU", "BR", "CL"])[country]
    region = np.array([f"r{c // 3}" for c in column])
    district = np.array([f"d{c}.{r}" for c, r in zip(column, row, strict=True)])
    return hierarchy(code, [region, district], [region, district], polygons)


def random_photos(
    rng: np.random.Generator, count: int, step: float, west: float, south: float
) -> np.ndarray:
    """Coordinates around four random centres on or near a `planet`."""
    centres = rng.uniform(-0.1, 1.1, (4, 2)) * 7 * step + (south, west)
    points = centres[rng.integers(0, 4, count)] + rng.normal(0, step, (count, 2))
    points = np.round(points, 3)  # some photos have equal coordinates
    points[:, 0] = np.clip(points[:, 0], -90, 90)
    points[:, 1] = (points[:, 1] + 180) % 360 - 180
    return points


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    step=st.sampled_from([0.5, 2.0, 5.0]),
    west=st.sampled_from([-20.0, 170.0]),
    south=st.sampled_from([-85.0, -10.0, 50.0]),
    count=st.integers(1, 600),
    clustering=st.sampled_from(["optics", "hdbscan"]),
)
def test_cells_of_random_planets_are_a_partition(
    tmp_path_factory, seed, step, west, south, count, clustering
):
    rng = np.random.default_rng(seed)
    borders = planet(rng, 7, step, west, south)
    points = random_photos(rng, count, step, west, south)
    config = replace(CellConfig.of_size(40), clustering=clustering)
    cells = build_cells(points, config, borders)
    assert_partition(cells, points, borders, config)
    folder = tmp_path_factory.mktemp("cells")
    again = build_cells(points[::-1], config, borders)
    assert fingerprint(again, folder) == fingerprint(cells, folder)


def test_bad_settings_and_coordinates_are_refused():
    for bad in ({"min_count": 5, "max_count": 4}, {"rounds": ((8, 1.5),)}, {"max_sites": 1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            CellConfig(**bad)
    with pytest.raises(ValueError, match="latitude"):
        build_cells([(91.0, 0.0)])


def test_presets_equal_the_published_settings():
    assert PRESETS["pigeon"].rounds == ((8, 0.05), (10, 0.025), (15, 0.015))
    assert PRESETS["pigeotto"] == CellConfig(
        1000, 2000, ((300, 0.05), (400, 0.005), (1000, 0.0001))
    )
