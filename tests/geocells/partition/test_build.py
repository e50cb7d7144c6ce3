"""What must hold of every partition, on the Earth and on planets that nobody has seen."""

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
from geocells.polygons import PolygonIndex, unwrap
from geocells.table import CellTable

SMALL = CellConfig.of_size(100)


def world_photos(count: int, seed: int = 0) -> np.ndarray:
    """Coordinates crowded around some cities, among them both sides of the antimeridian."""
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
    """Everything that must hold."""
    assert shapely.is_valid(cells.polygon).all()
    assert not shapely.is_empty(cells.polygon).any()
    assert overlap_area(cells.polygon) < 1e-6  # square degrees
    # every photo lies in one cell, which covers it or is the nearest one in the country's waters
    row = cells.locate(photos)
    assert np.bincount(row, minlength=len(cells)).tolist() == cells.count.tolist()
    country = borders.country.codes[borders.country.locate(photos)]
    for i in np.flatnonzero(cells.country[row] != country):  # a tie, to the precision of shores
        here = PolygonIndex(borders.country.polygons[borders.country.codes == country[i]])
        there = PolygonIndex(cells.polygon[[row[i]]])
        assert here.covering(photos[[i]])[0] < 0
        near, nearest = (side.nearest(photos[[i]])[1][0] for side in (there, here))
        assert near == pytest.approx(nearest, abs=3.0), photos[i]
    # the cells of a country tile its land
    assert set(cells.country) == set(borders.country.codes)
    for code, land in zip(borders.country.codes, borders.country.polygons, strict=True):
        mine = cells.polygon[cells.country == code]
        assert shapely.area(mine).sum() == pytest.approx(shapely.area(land), rel=1e-6), code
        outside = shapely.difference(shapely.union_all(mine), land)
        assert shapely.area(outside) <= 1e-6 * shapely.area(land), code
    # only what has no neighbour is small
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


def test_the_earth(cells, photos):
    assert_partition(cells, photos, embedded_boundaries(), SMALL)
    assert cells.count.sum() == len(photos)
    crowded = cells.count > SMALL.max_count
    assert cells.count[crowded].sum() <= 0.1 * len(photos)


def test_cells_of_fiji_chukotka_and_the_aleutians_end_at_the_antimeridian(cells):
    west, _, east, _ = shapely.bounds(cells.polygon).T
    assert west.min() >= -180
    assert east.max() <= 180
    both_sides = [(-17.8, 178.0), (-16.8, -179.9), (64.7, 177.5), (66.0, -172.0), (51.9, -176.6)]
    rows = cells.locate(both_sides)
    assert cells.country[rows].tolist() == ["FJ", "FJ", "RU", "RU", "US"]
    near = cells.centroids[rows[cells.count[rows] > 0]]
    assert (np.abs(near[:, 1]) > 165).all()  # a mean of both sides would lie near longitude 0


def test_written_and_read_again(cells, photos, tmp_path):
    cells.write(tmp_path / "cells.parquet")
    back = CellTable.read(tmp_path / "cells.parquet")
    for column in ("cell_id", "country", "region", "region_id", "centroids", "count"):
        np.testing.assert_array_equal(getattr(back, column), getattr(cells, column))
    np.testing.assert_array_equal(back.locate(photos), cells.locate(photos))


def test_dense_places_have_small_cells(cells):
    area = shapely.area(cells.polygon)
    crowded = cells.locate([(48.86, 2.35), (-33.87, 151.2)])
    assert (area[crowded] < np.median(area)).all()


def test_the_order_of_photos_and_the_number_of_workers_change_no_byte(cells, photos, tmp_path):
    expected = fingerprint(cells, tmp_path)
    shuffled = photos[np.random.default_rng(1).permutation(len(photos))]
    assert fingerprint(build_cells(shuffled, SMALL), tmp_path) == expected
    for number in (2, 3):
        with Workers(number) as workers:
            again = build_cells(photos, SMALL, workers=workers)
        assert fingerprint(again, tmp_path) == expected


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_photo_gives_one_cell_for_each_country(count):
    cells = build_cells(world_photos(count).reshape(-1, 2))
    assert cells.count.sum() == count
    assert len(cells) == len(embedded_boundaries().country)  # one photo is too few to cut


def test_a_thousand_photos_of_one_spot_stay_together():
    spots = np.array([(90.0, 0.0), (-90.0, 0.0), (-29.5, 28.2), (-17.0, 180.0), (0.0, -150.0)])
    cells = build_cells(np.repeat(spots, 1000, axis=0))
    full = cells.locate(spots)
    assert cells.count[full].tolist() == [1000] * len(spots)
    assert cells.country[full[1:3]].tolist() == ["AQ", "LS"]
    assert_partition(cells, np.repeat(spots, 1000, axis=0), embedded_boundaries(), CellConfig())


@pytest.mark.parametrize("preset", PRESETS)
def test_real_photos_and_borders(shared, preset):
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
    """Square districts in regions and countries of random shapes, perhaps over the antimeridian."""
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    column, row = column.ravel(), row.ravel()
    seeds = rng.uniform(0, size, (3, 2))
    country = np.argmin(np.hypot(column[:, None] - seeds[:, 0], row[:, None] - seeds[:, 1]), axis=1)
    left = west + column * step
    left = np.where(left >= 180, left - 360, left)  # steps divide 180: no square is cut by the seam
    polygons = shapely.box(left, south + row * step, left + step, south + (row + 1) * step)
    code = np.array(["AU", "BR", "CL"])[country]
    region = np.array([f"r{c // 3}" for c in column])
    district = np.array([f"d{c}.{r}" for c, r in zip(column, row, strict=True)])
    return hierarchy(code, [region, district], [region, district], polygons)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    step=st.sampled_from([0.5, 2.0, 5.0]),
    west=st.sampled_from([-20.0, 170.0]),
    south=st.sampled_from([-85.0, -10.0, 50.0]),
    count=st.integers(1, 600),
    clustering=st.sampled_from(["optics", "hdbscan"]),
)
def test_random_planets(tmp_path_factory, seed, step, west, south, count, clustering):
    rng = np.random.default_rng(seed)
    borders = planet(rng, 7, step, west, south)
    centres = rng.uniform(-0.1, 1.1, (4, 2)) * 7 * step + (south, west)
    points = centres[rng.integers(0, 4, count)] + rng.normal(0, step, (count, 2))
    points = np.round(points, 3)  # some photos share a spot
    points[:, 0] = np.clip(points[:, 0], -90, 90)
    points[:, 1] = (points[:, 1] + 180) % 360 - 180
    config = replace(CellConfig.of_size(40), clustering=clustering)
    cells = build_cells(points, config, borders)
    assert_partition(cells, points, borders, config)
    folder = tmp_path_factory.mktemp("cells")
    again = build_cells(points[::-1], config, borders)
    assert fingerprint(again, folder) == fingerprint(cells, folder)


def test_bad_arguments():
    for bad in ({"min_count": 5, "max_count": 4}, {"rounds": ((8, 1.5),)}, {"most_sites": 1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            CellConfig(**bad)
    with pytest.raises(ValueError, match="latitude"):
        build_cells([(91.0, 0.0)])


def test_presets_are_those_of_the_paper():
    assert PRESETS["pigeon"].rounds == ((8, 0.05), (10, 0.025), (15, 0.015))
    assert PRESETS["pigeotto"] == CellConfig(
        1000, 2000, ((300, 0.05), (400, 0.005), (1000, 0.0001))
    )
