import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from geocells.table import CellTable


@pytest.fixture
def table():
    return CellTable(
        cell_id=np.array(["FJ-1", "FJ-2", "NZ-1"]),
        country=np.array(["FJ", "FJ", "NZ"]),
        region=np.array(["Northern", "Lau", "Otago"]),
        region_id=np.array(["FJ/N", "FJ/L", "NZ/OTA"]),
        centroids=np.array([[-17, 179.0], [-17, -179], [-45, 170]]),
        polygon=np.array(
            [
                shapely.MultiPolygon([shapely.box(178, -18, 180, -16)]),
                shapely.box(-180, -18, -178, -16),
                shapely.box(169, -46, 171, -44),
            ]
        ),
        count=np.array([3, 4, 0]),
    )


def test_round_trip(table, tmp_path):
    path = tmp_path / "cells.parquet"
    table.write(path)
    back = CellTable.read(path)
    for column in ("cell_id", "country", "region", "region_id", "centroids", "count"):
        np.testing.assert_array_equal(getattr(back, column), getattr(table, column))
    assert shapely.equals(back.polygon, table.polygon).all()
    assert [p.name for p in tmp_path.iterdir()] == ["cells.parquet"]


def test_file_is_geoparquet(table, tmp_path):
    path = tmp_path / "cells.parquet"
    table.write(path)
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["bbox"] == [-180, -46, 180, -16]
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.read_parquet(path)
    assert frame.crs == "OGC:CRS84"
    assert len(geopandas.read_parquet(path, bbox=(168, -47, 172, -43))) == 1


def test_no_rows_are_a_table_too(table):
    assert len(table.take([])) == 0
    assert table.take([1]).cell_id.tolist() == [table.cell_id[1]]


def test_locate(table):
    assert len(table) == 3
    assert table.locate([(-17, 179), (-17, 180), (-17, -179), (-47, 170)]).tolist() == [0, 1, 1, 2]


def test_locate_rejects_nan(table):
    with pytest.raises(ValueError, match="row 1"):
        table.locate([(0, 0), (np.nan, 0)])


def test_geojson(table):
    feature = table.take([2]).to_geojson()["features"][0]
    assert feature["properties"] == {
        "country": "NZ", "region": "Otago", "region_id": "NZ/OTA", "count": 0,
        "lat": -45.0, "lon": 170.0,
    }  # fmt: skip
    assert feature["geometry"]["coordinates"][0][0] == [171.0, -46.0]


def test_damaged_files_are_named(table, tmp_path):
    path = tmp_path / "cells.parquet"
    table.write(path)
    path.write_bytes(path.read_bytes()[:200])
    for bad in (path, tmp_path / "missing.parquet"):
        with pytest.raises(ValueError, match=rf"{bad.name}: not a readable geocell table"):
            CellTable.read(bad)


def test_duplicate_ids_and_uneven_columns_are_refused(table):
    with pytest.raises(ValueError, match="unique"):
        table.take([0, 0])
    with pytest.raises(ValueError, match="lengths"):
        CellTable(
            table.cell_id[:2],
            table.country,
            table.region,
            table.region_id,
            table.centroids,
            table.polygon,
            table.count,
        )


def test_hierarchy_for_a_head_of_three_levels(table):
    above = table.take([2, 0, 1]).hierarchy
    assert above.countries.tolist() == ["FJ", "NZ"]
    assert above.regions.tolist() == ["FJ/L", "FJ/N", "NZ/OTA"]
    assert above.country_of_region.tolist() == [0, 0, 1]
    assert above.region_of_cell.tolist() == [2, 1, 0]
    assert above.country_of_cell.tolist() == [1, 0, 0]


def test_united_cells_keep_the_name_of_the_fullest(table):
    united = table.united(np.array([1, 1, 2]))
    assert united.cell_id.tolist() == ["FJ-2", "NZ-1"]
    assert united.count.tolist() == [7, 0]
    assert shapely.area(united.polygon).tolist() == [8, 4]


def test_counted_places_cells_by_their_photos(table):
    counted = table.counted([(-17, 179), (-16.5, 179), (-17, -179)])
    assert counted.count.tolist() == [2, 1, 0]
    assert counted.centroids[0] == pytest.approx([-16.75, 179])
    assert shapely.contains_xy(counted.polygon[2], *counted.centroids[2, ::-1])
