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


def test_table_is_unchanged_after_writing_and_reading(table, tmp_path):
    path = tmp_path / "cells.parquet"
    table.write(path)
    back = CellTable.read(path)
    for column in ("cell_id", "country", "region", "region_id", "centroids", "count"):
        np.testing.assert_array_equal(getattr(back, column), getattr(table, column))
    assert shapely.equals(back.polygon, table.polygon).all()
    assert [p.name for p in tmp_path.iterdir()] == ["cells.parquet"]


def test_written_file_is_geoparquet(table, tmp_path):
    path = tmp_path / "cells.parquet"
    table.write(path)
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["bbox"] == [-180, -46, 180, -16]
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.read_parquet(path)
    assert frame.crs == "OGC:CRS84"
    assert len(geopandas.read_parquet(path, bbox=(168, -47, 172, -43))) == 1


def test_take_accepts_an_empty_list(table):
    assert len(table.take([])) == 0
    assert table.take([1]).cell_id.tolist() == [table.cell_id[1]]


def test_locate_returns_the_covering_or_nearest_cell(table):
    assert len(table) == 3
    assert table.locate([(-17, 179), (-17, 180), (-17, -179), (-47, 170)]).tolist() == [0, 1, 1, 2]


def test_locate_refuses_nan(table):
    with pytest.raises(ValueError, match="row 1"):
        table.locate([(0, 0), (np.nan, 0)])


def test_geojson_holds_properties_and_lon_lat_coordinates(table):
    feature = table.take([2]).to_geojson()["features"][0]
    assert feature["properties"] == {
        "country": "NZ", "region": "Otago", "region_id": "NZ/OTA", "count": 0,
        "lat": -45.0, "lon": 170.0,
    }  # fmt: skip
    assert feature["geometry"]["coordinates"][0][0] == [171.0, -46.0]


def test_error_names_missing_and_damaged_files(table, tmp_path):
    path = tmp_path / "cells.parquet"
    table.write(path)
    path.write_bytes(path.read_bytes()[:200])
    for bad in (path, tmp_path / "missing.parquet"):
        with pytest.raises(ValueError, match=rf"{bad.name}: not a readable geocell table"):
            CellTable.read(bad)


def test_duplicate_ids_and_columns_of_different_lengths_are_refused(table):
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


def test_hierarchy_links_cells_regions_and_countries(table):
    above = table.take([2, 0, 1]).hierarchy
    assert above.countries.tolist() == ["FJ", "NZ"]
    assert above.regions.tolist() == ["FJ/L", "FJ/N", "NZ/OTA"]
    assert above.country_of_region.tolist() == [0, 0, 1]
    assert above.region_of_cell.tolist() == [2, 1, 0]
    assert above.country_of_cell.tolist() == [1, 0, 0]


def test_merged_cells_keep_the_id_of_the_cell_with_most_photos(table):
    merged = table.merge(np.array([1, 1, 2]))
    assert merged.cell_id.tolist() == ["FJ-2", "NZ-1"]
    assert merged.count.tolist() == [7, 0]
    assert shapely.area(merged.polygon).tolist() == [8, 4]


def test_recount_gives_counts_and_centroids_of_other_photos(table):
    recounted = table.recount([(-17, 179), (-16.5, 179), (-17, -179)])
    assert recounted.count.tolist() == [2, 1, 0]
    assert recounted.centroids[0] == pytest.approx([-16.75, 179])
    assert shapely.contains_xy(recounted.polygon[2], *recounted.centroids[2, ::-1])
