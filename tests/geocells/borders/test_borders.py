import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from geocells.borders.files import load_boundaries
from geocells.borders.hierarchy import country_table, embedded_boundaries
from geocells.borders.topojson import read_topojson
from geocells.polygons import split_antimeridian

CGAZ = Path(__file__).parents[4] / "shared" / "data" / "geo"
needs_cgaz = pytest.mark.skipif(not CGAZ.exists(), reason="needs ../shared")


@pytest.fixture(scope="module")
def world():
    return embedded_boundaries()


def test_embedded_levels_are_linked_and_have_unique_codes(world):
    country, region, district = world.levels
    assert (len(country), len(district)) == (250, 4598)
    assert set(country.codes) == set(country_table())
    assert (country.parent == -1).all()
    for level, above in ((region, country), (district, region)):
        assert len(np.unique(level.codes)) == len(level)
        assert ((level.parent >= 0) & (level.parent < len(above))).all()
        assert set(level.parent) == set(range(len(above)))
        assert all(level.names)
    assert not [code for code in country.codes if "9" in code or len(code) != 2]


def test_embedded_polygons_are_valid_and_do_not_overlap(world):
    polygons = world.finest.polygons
    assert shapely.is_valid(polygons).all()
    assert not shapely.is_empty(polygons).any()
    west, south, east, north = shapely.total_bounds(polygons)
    assert (west, south, east) == (-180, -90, 180)
    assert north < 84
    assert shapely.coverage_is_valid(polygons)  # neighbours meet, and nothing overlaps


def test_all_levels_locate_the_same_units(world):
    points = [(48.85, 2.35), (-33.85, 151.25), (51.5, -0.1), (-17.7, 178.0), (66.0, -172.0)]
    rows = world.locate(points)
    assert world.country.codes[rows[:, 0]].tolist() == ["FR", "AU", "GB", "FJ", "RU"]
    for depth, level in enumerate(world.levels):
        assert level.locate(points).tolist() == rows[:, depth].tolist()
    assert world.region.names[rows[2, 1]] == "England"
    assert shapely.covers(world.region.polygons[rows[0, 1]], shapely.Point(2.35, 48.85))


def test_locate_returns_minus_one_beyond_max_km(world):
    assert world.locate([(0, -150)], max_km=50).tolist() == [[-1, -1, -1]]
    assert world.country.locate([(0, -150)]).min() >= 0


def square(west, south, size=1.0):
    return shapely.box(west, south, west + size, south + size)


def test_geoparquet_geopackage_and_geojson_files_are_read(tmp_path):
    gpd = pytest.importorskip("geopandas")
    frame = gpd.GeoDataFrame(
        {"country": ["FRA", "Kosovo", "-99"], "name": ["A", "B", "C"]},
        geometry=[square(2, 48), square(20.5, 42.3, 0.5), square(69, 34)],
        crs="EPSG:4326",
    )
    frame.to_parquet(tmp_path / "own.parquet")
    frame.to_crs(3857).to_file(tmp_path / "own.gpkg")
    frame.to_file(tmp_path / "own.geojson")
    for name in ("own.parquet", "own.gpkg", "own.geojson"):
        borders = load_boundaries(tmp_path / name)
        # the third unit has no code and is in Afghanistan; a file of countries is one level
        assert borders.country.codes.tolist() == ["AF", "FR", "XK"]
        assert len(borders.levels) == 1
        assert borders.finest.locate([(48.5, 2.5)]).tolist() == [1]


def test_two_gadm_files_give_three_levels(tmp_path):
    gpd = pytest.importorskip("geopandas")
    shapes = [square(2, 48), square(3, 48), square(5, 48)]
    names = {"GID_0": "FRA", "COUNTRY": "France", "NAME_1": ["X", "Y", "Z"]}
    frame = gpd.GeoDataFrame({**names, "GID_1": ["FRA.1_1", "FRA.2_1", "FRA.3_1"]},
                             geometry=shapes, crs="EPSG:4326")  # fmt: skip
    halves = [square(2, 48, 0.5), square(2.5, 48, 0.5), square(3, 48, 0.5), square(5, 48, 0.5)]
    finer = gpd.GeoDataFrame({"GID_0": "FRA", "NAME_2": list("abcd"), "GID_2": list("1234")},
                             geometry=halves, crs="EPSG:4326")  # fmt: skip
    frame.to_file(tmp_path / "gadm1.gpkg")
    finer.to_file(tmp_path / "gadm2.gpkg")
    borders = load_boundaries([tmp_path / "gadm1.gpkg", tmp_path / "gadm2.gpkg"])
    assert [level.names.tolist() for level in borders.levels] == [
        ["France"], ["X", "Y", "Z"], ["a", "b", "c", "d"],
    ]  # fmt: skip
    assert borders.finest.parent.tolist() == [0, 0, 1, 2]


def gadm():
    """France with the regions X, Y, Z, of which X and Z have districts, and Monaco without any."""
    gpd = pytest.importorskip("geopandas")
    countries = gpd.GeoDataFrame(
        {"GID_0": ["FRA", "MCO"], "COUNTRY": ["France", "Monaco"]},
        geometry=[shapely.box(2, 48, 5, 49), square(7.4, 43.7, 0.1)],
        crs="EPSG:4326",
    )
    regions = gpd.GeoDataFrame(
        {"GID_0": "FRA", "GID_1": ["FRA.1_1", "FRA.2_1", "FRA.3_1"], "NAME_1": ["X", "Y", "Z"]},
        geometry=[square(2, 48), square(3, 48), square(4, 48)],
        crs="EPSG:4326",
    )
    districts = gpd.GeoDataFrame(
        {"GID_0": "FRA", "GID_1": ["FRA.1_1", "FRA.1_1", "FRA.3_1"], "NAME_1": ["X", "X", "Z"],
         "GID_2": ["FRA.1.1_1", "FRA.1.2_1", "FRA.3.1_1"], "NAME_2": ["a", "b", "c"]},
        geometry=[shapely.box(2, 48, 2.5, 49), shapely.box(2.5, 48, 3, 49), square(4, 48)],
        crs="EPSG:4326",
    )  # fmt: skip
    return countries, regions, districts


EXPECTED = [["France", "Monaco"], ["X", "Y", "Z", "Monaco"], ["a", "b", "Y", "c", "Monaco"]]
PLACES = [(48.5, 2.2), (48.5, 2.7), (48.5, 3.5), (48.5, 4.5), (43.75, 7.45)]


def paths_of(borders, places):
    """Return the names of the units at coordinates, from the country down."""
    names = [level.names for level in borders.levels]
    return [
        [str(name[row]) for name, row in zip(names, rows, strict=True)]
        for rows in borders.locate(places)
    ]


def test_all_area_layers_of_a_file_are_read_and_units_without_finer_ones_stay(tmp_path):
    gpd = pytest.importorskip("geopandas")
    countries, regions, districts = gadm()
    path = tmp_path / "gadm41_FRA.gpkg"
    capital = gpd.GeoDataFrame({"NAME_1": ["Paris"]}, geometry=[shapely.Point(2.5, 48.5)], crs=4326)
    # the finest layer first: the order in the file does not matter
    for name, frame in [("ADM_2", districts), ("cities", capital), ("ADM_0", countries),
                        ("ADM_1", regions)]:  # fmt: skip
        frame.to_file(path, layer=name)
    gpd.pd.DataFrame({"note": ["no areas"]}).pipe(gpd.GeoDataFrame).to_file(path, layer="notes")
    borders = load_boundaries(path)
    assert [level.names.tolist() for level in borders.levels] == EXPECTED
    assert paths_of(borders, PLACES) == [
        ["France", "X", "a"],
        ["France", "X", "b"],
        ["France", "Y", "Y"],
        ["France", "Z", "c"],
        ["Monaco", "Monaco", "Monaco"],
    ]
    assert borders.finest.codes.tolist() == [
        "FRA.1.1_1", "FRA.1.2_1", "FRA.2_1", "FRA.3.1_1", "MC"
    ]  # fmt: skip


def test_one_gadm_layer_gives_all_levels_and_empty_names_are_those_above(tmp_path):
    gpd = pytest.importorskip("geopandas")
    _, regions, districts = gadm()
    no_district = regions.iloc[1:2].assign(GID_2="", NAME_2=None)
    gpd.pd.concat([districts, no_district]).to_file(tmp_path / "gadm_410.gpkg", layer="gadm_410")
    borders = load_boundaries(tmp_path / "gadm_410.gpkg")
    assert [level.names.tolist() for level in borders.levels] == [
        ["France"], ["X", "Y", "Z"], ["a", "b", "Y", "c"]
    ]  # fmt: skip
    assert borders.finest.codes.tolist() == ["FRA.1.1_1", "FRA.1.2_1", "FRA.2_1", "FRA.3.1_1"]
    assert paths_of(borders, PLACES[2:3]) == [["France", "Y", "Y"]]


def test_countries_missing_in_a_finer_file_stay(tmp_path):
    countries, regions, _ = gadm()
    countries.to_parquet(tmp_path / "world.parquet")
    regions.to_parquet(tmp_path / "france.parquet")
    borders = load_boundaries([tmp_path / "world.parquet", tmp_path / "france.parquet"])
    assert [level.names.tolist() for level in borders.levels] == EXPECTED[:2]


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
@pytest.mark.parametrize("crs", [4326, 3857])
def test_both_geometry_encodings_of_geoparquet_are_read(tmp_path, encoding, crs):
    _, regions, _ = gadm()
    path = tmp_path / "regions.parquet"
    mixed = regions.set_geometry(
        [*regions.geometry[:2], shapely.MultiPolygon([regions.geometry[2]])]
    )
    mixed.to_crs(crs).to_parquet(path, geometry_encoding=encoding)
    borders = load_boundaries(path)
    assert borders.region.names.tolist() == ["X", "Y", "Z"]
    assert borders.region.locate(PLACES[1:4]).tolist() == [0, 1, 2]


def test_a_place_called_none_keeps_its_name(tmp_path):
    gpd = pytest.importorskip("geopandas")
    names = {"country": "ITA", "name": ["None", None, "Nan"], "code": ["01", "02", "03"]}
    squares = [square(7.5, 44.9), square(8.6, 44.9), square(9.7, 44.9)]
    gpd.GeoDataFrame(names, geometry=squares, crs=4326).to_file(tmp_path / "piedmont.gpkg")
    borders = load_boundaries(tmp_path / "piedmont.gpkg")
    assert borders.region.names.tolist() == ["None", "IT", "Nan"]
    assert borders.region.codes.tolist() == ["01", "02", "03"]


def test_objects_of_topojson_are_layers(tmp_path):
    arcs = [
        [[2, 0], [0, 2]],
        [[2, 2], [-2, 0], [0, -2], [2, 0]],
        [[2, 2], [2, 0], [0, -2], [-2, 0]],
    ]
    left = {"type": "Polygon", "arcs": [[0, 1]], "properties": {"country": "GA", "name": "left"}}
    right = {
        "type": "Polygon",
        "arcs": [[-3, -1]],
        "properties": {"country": "GA", "name": "right"},
    }
    both = {"type": "MultiPolygon", "arcs": [[[0, 1]], [[-3, -1]]], "properties": {"country": "GA"}}
    topology = {
        "type": "Topology",
        "transform": {"scale": [0.5, 0.5], "translate": [10, -1]},
        "arcs": arcs,
        "objects": {
            "states": {"type": "GeometryCollection", "geometries": [left, right]},
            "countries": both,
        },
    }
    (tmp_path / "gabon.topojson").write_text(json.dumps(topology))
    borders = load_boundaries(tmp_path / "gabon.topojson")
    assert [level.names.tolist() for level in borders.levels] == [["Gabon"], ["left", "right"]]


@pytest.mark.parametrize("name", ["none.parquet", "text.geojson", "text.parquet", "text.topojson"])
def test_error_names_missing_and_unreadable_files(tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("not a map")
    with pytest.raises(ValueError, match=name):
        load_boundaries(tmp_path / name)


def test_topojson_arcs_are_shared_and_reversed(tmp_path):
    # two unit squares that share the border x = 1, quantised by 0.5
    topology = {
        "type": "Topology",
        "transform": {"scale": [0.5, 0.5], "translate": [0, 0]},
        "arcs": [[[2, 0], [0, 2]], [[2, 2], [-2, 0], [0, -2], [2, 0]],
                 [[2, 2], [2, 0], [0, -2], [-2, 0]]],
        "objects": {"a": {"type": "GeometryCollection", "geometries": [
            {"type": "Polygon", "arcs": [[0, 1]], "properties": {"n": "left"}},
            {"type": "MultiPolygon", "arcs": [[[-3, -1]]], "properties": {"n": "right"}},
        ]}},
    }  # fmt: skip
    path = tmp_path / "two.topojson.gz"
    path.write_bytes(gzip.compress(json.dumps(topology).encode()))
    ((properties, polygons),) = read_topojson(path)
    assert [row["n"] for row in properties] == ["left", "right"]
    assert shapely.equals(polygons[0], square(0, 0))
    assert shapely.equals(polygons[1], square(1, 0))


def test_topojson_keeps_holes_and_drops_degenerate_rings(tmp_path):
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    hole = [[3, 3], [4, 3], [4, 4], [3, 3]]
    speck = [[0, 0], [1, 1], [0, 0]]
    shapes = [
        {"type": "MultiPolygon", "arcs": [[[0], [1]], [[2]], [[2], [1]]]},
        {"type": "Polygon", "arcs": [[2]]},
        {"type": "Point", "coordinates": [0, 0]},
    ]
    objects = {"a": {"type": "GeometryCollection", "geometries": shapes}}
    path = tmp_path / "plain.topojson"
    path.write_text(json.dumps({"arcs": [ring, hole, speck], "objects": objects}))
    ((_, polygons),) = read_topojson(path)
    assert shapely.area(polygons).tolist() == [80.5, 0]
    assert shapely.is_empty(polygons).tolist() == [False, True]


def test_overlapping_units_are_separated(tmp_path):
    gpd = pytest.importorskip("geopandas")
    country, enclave = shapely.box(22, -34, 33, -22), shapely.box(27, -30.6, 29.4, -28.6)
    frame = gpd.GeoDataFrame({"country": ["ZA", "LS", "LS"]}, geometry=[country, enclave, enclave])
    frame.to_parquet(tmp_path / "overlap.parquet")
    borders = load_boundaries(tmp_path / "overlap.parquet")
    assert borders.country.codes.tolist() == ["LS", "ZA"]
    places = [(-29.5, 28.2), (-33.0, 25.0)]
    assert borders.country.locate(places).tolist() == [0, 1]
    assert not shapely.covers(borders.country.polygons[1], shapely.Point(28.2, -29.5))


@needs_cgaz
def test_cgaz_files_are_read(world):
    borders = load_boundaries([CGAZ / f"gb_cgaz_adm{level}.topojson.gz" for level in (0, 1)])
    assert len(borders.levels) == 2
    assert shapely.is_valid(borders.finest.polygons).all()
    assert len(borders.country) > 235
    points = [(64.18, -51.7), (18.4, -66.1), (25.03, 121.56), (42.66, 21.16), (35.3, 79.5)]
    codes = borders.country.codes[borders.country.locate(points)]
    assert codes[:4].tolist() == ["GL", "US", "TW", "XK"]  # Puerto Rico has no code of its own
    assert codes[4] in ("CN", "IN")


def test_polygons_are_split_at_the_antimeridian():
    beyond = shapely.box(178, -18, 182, -16)
    jumping = shapely.Polygon([(178, -18), (-178, -18), (-178, -16), (178, -16)])
    plain = shapely.box(-179, 0, 179, 1)
    frame = shapely.Polygon([(-180, -90), (180, -90), (180, -80), (-180, -80)])
    cut = split_antimeridian(np.array([beyond, jumping, frame]))
    halves = shapely.union(shapely.box(178, -18, 180, -16), shapely.box(-180, -18, -178, -16))
    assert shapely.equals(cut[0], halves)
    assert shapely.equals(cut[1], halves)
    assert cut[2] is frame
    assert shapely.area(split_antimeridian(np.array([plain])))[0] == pytest.approx(2)
