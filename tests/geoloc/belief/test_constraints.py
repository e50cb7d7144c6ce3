"""Constraints: what each form of text covers, and the masks over cells."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.borders.hierarchy import embedded_boundaries
from geocells.sphere import KM_PER_DEG, destination, unit_vectors, wrap_lon
from geocells.table import CellTable
from geoloc.belief.areas import MIN_SHARE
from geoloc.belief.constraints import parse
from geoloc.errors import ConstraintError

STARTER = Path(__file__).parents[3] / "geoloc/bundles/starter/cells.parquet"

LISBON, MADRID, PARIS, MUNICH = (38.72, -9.14), (40.42, -3.70), (48.86, 2.35), (48.14, 11.58)

latitudes = st.one_of(st.floats(-90.0, 90.0), st.sampled_from([-90.0, -89.999, 0.0, 89.999, 90.0]))
longitudes = st.one_of(st.floats(-180.0, 180.0), st.sampled_from([-180.0, -179.99, 179.99, 180.0]))
radii = st.floats(-0.3, 4.29).map(lambda power: 10.0**power)  # 0.5 to 19,500 km
few = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def table():
    return CellTable.read(STARTER)


def rounded(*numbers):
    """Return numbers as text with five decimals, and the values of these texts."""
    texts = [f"{number:.5f}" for number in numbers]
    return texts, [float(text) for text in texts]


def central_km(points, lat, lon):
    """Return distances of (N, 2) degrees to a place, by cross and dot products of unit vectors."""
    a, b = unit_vectors(points), unit_vectors((lat, lon))
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), a @ b)) * KM_PER_DEG


def ring(*lonlat):
    return {"type": "Polygon", "coordinates": [[*lonlat, lonlat[0]]]}


# countries and regions


@pytest.mark.parametrize("text", ["Portugal", "pt", "PT", " portugal ", "PORTUGÁL"])
def test_a_country_by_name_or_code(table, text):
    constraint = parse(text)
    assert constraint.name == "Portugal"
    assert constraint.contains([LISBON, MADRID]).tolist() == [True, False]
    assert constraint.cell_shares(table).tolist() == (table.country == "PT").astype(float).tolist()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cote d'ivoire", "Côte d'Ivoire"),
        ("Côte d’Ivoire", "Côte d'Ivoire"),
        ("USA", "United States"),
        ("UK", "United Kingdom"),
        ("South Korea", "South Korea"),
        ("the Netherlands", "Netherlands"),
        ("Bosnia & Herzegovina", "Bosnia and Herzegovina"),
        ("St. Lucia", "Saint Lucia"),
        ("st", "São Tomé and Principe"),
        ("Georgia", "Georgia"),
        ("Georgia, US", "Georgia, United States"),
        ("bavaria", "Bavaria, Germany"),
        ("Bavaria, DE", "Bavaria, Germany"),
        ("New South Wales, AU", "New South Wales, Australia"),
        ("maryland,usa", "Maryland, United States"),
        ("PRT", "Portugal"),
        ("Viet Nam", "Vietnam"),
        ("Republic of Korea", "South Korea"),
        ("Deutschland", "Germany"),
        ("England", "England, United Kingdom"),
        ("Tuscany", "Toscana, Italy"),
        ("Scotland, Vereinigtes Königreich", "Scotland, United Kingdom"),
        ("NY, USA", "New York, United States"),
        ("europe", "Europe (52 countries)"),
        ("Southern Europe", "Southern Europe (17 countries)"),
        ("South-Eastern Asia", "Southeast Asia (11 countries)"),
        ("Paris", "within 37 km of Paris, Île-de-France, France"),
        ("Paris, France", "within 37 km of Paris, Île-de-France, France"),
        ("Paris, Texas", "within 5 km of Paris, Texas, United States"),
        ("Paris, Texas, USA", "within 5 km of Paris, Texas, United States"),
        ("Portland, OR", "within 20 km of Portland, Oregon, United States"),
        ("San Francisco, CA", "within 23 km of San Francisco, California, United States"),
        ("Atlanta, Georgia", "within 18 km of Atlanta, Georgia, United States"),
        ("München, Deutschland", "within 31 km of Munich, Bavaria, Germany"),
        ("-20,177,-15,-178", "the box -20, 177 to -15, -178"),
        ("48.86, 2.35, 50 km", "within 50 km of 48.8600, 2.3500"),
        ("−33.9,151.2,800m", "within 0.8 km of -33.9000, 151.2000"),
    ],
)
def test_constraints_have_readable_names(text, name):
    assert parse(text).name == name


def test_every_country_and_region_can_be_named():
    country, region = embedded_boundaries().country, embedded_boundaries().region
    for code, name in zip(country.codes, country.names, strict=True):
        assert parse(code).name == parse(name).name == name
    homes = country.names[region.parent]
    for name, home in zip(region.names[::7], homes[::7], strict=True):
        assert parse(f"{name}, {home}").areas[0].countries == ()
        assert parse(f"{name}, {home}").name.endswith(f", {home}")


def test_a_group_covers_all_cells_of_its_countries(table):
    south = parse("Southern Europe")
    assert south.contains([LISBON, MADRID, PARIS]).tolist() == [True, True, False]
    inside = set(table.country[south.cell_shares(table) == 1.0])
    assert {"PT", "ES", "IT", "GR"} <= inside
    assert not inside & {"FR", "DE", "TR"}


def test_a_town_means_its_surroundings():
    around = parse("Paris, France")
    versailles, chartres = (48.80, 2.13), (48.45, 1.48)
    assert around.contains([PARIS, versailles, chartres]).tolist() == [True, True, False]


@few
@given(st.text(max_size=40))
def test_any_text_is_a_constraint_or_one_line_that_says_what_to_do(text):
    try:
        answer = parse(text).name
    except ConstraintError as error:
        answer = str(error)
    assert len(answer.splitlines()) == 1


def test_georgia_is_the_country_unless_a_country_is_given(table):
    assert set(table.country[parse("Georgia").cell_shares(table) > 0]) == {"GE"}
    assert set(table.country[parse("Georgia, USA").cell_shares(table) > 0]) == {"US"}


def test_points_near_the_coast_belong_to_the_country_and_region():
    pier, ocean = (38.69, -9.53), (38.7, -10.2)  # 3 and 60 km off Cascais
    assert parse("Portugal").contains([pier, ocean]).tolist() == [True, False]
    assert parse("Lisbon, Portugal").contains([pier, ocean, MUNICH]).tolist() == [
        True,
        False,
        False,
    ]


def test_shares_of_all_regions_of_a_country_sum_to_one(table):
    borders = embedded_boundaries()
    germany = borders.country.codes.tolist().index("DE")
    names = borders.region.names[borders.region.parent == germany]
    shares = np.array([parse(f"{name}, Germany").cell_shares(table) for name in names])
    assert len(names) == 16
    # the borders have moved around towns since the bundle was built
    assert shares.sum(axis=0) == pytest.approx((table.country == "DE").astype(float), abs=0.03)
    bavaria = shares[names.tolist().index("Bavaria")]
    assert bavaria[table.locate([MUNICH])] == 1.0
    assert ((bavaria > 0) & (table.region == "Bavaria")).sum() >= 10


# circles


@few
@given(latitudes, longitudes, radii, st.lists(st.tuples(latitudes, longitudes), max_size=9))
def test_a_circle_contains_what_is_within_its_radius(lat, lon, radius, others):
    texts, (lat, lon, radius) = rounded(lat, lon, radius)
    rim = [
        destination((lat, lon), bearing, radius * reach)
        for bearing in (0.0, 77.0, 180.0, 300.0)
        for reach in (0.0, 0.5, 0.999, 1.0 + 1e-3)
    ]
    points = np.array([*rim, *others])
    distance = central_km(points, lat, lon)
    sure = np.abs(distance - radius) > 1e-6
    inside = parse(",".join(texts) + "km").contains(points)
    assert (inside == (distance <= radius))[sure].all()


@few
@given(latitudes, longitudes, radii)
def test_a_circle_has_a_share_of_the_cells_it_touches(table, lat, lon, radius):
    texts, (lat, lon, radius) = rounded(lat, lon, radius)
    share = parse(",".join(texts) + "km").cell_shares(table)
    corners, owner = shapely.get_coordinates(table.polygon, return_index=True)
    # outlines are straight in degrees, circles on the sphere: each corner decides for itself
    corner_km = central_km(corners[::5, ::-1], lat, lon)
    nearest = np.full(len(table), np.inf)
    np.minimum.at(nearest, owner[::5], corner_km)
    assert (share[nearest < 0.995 * radius] >= np.float32(MIN_SHARE)).all()
    farthest = np.zeros(len(table))
    np.maximum.at(farthest, owner[::5], corner_km)
    small = farthest - nearest < 500.0
    assert (share[small & (nearest > radius + 500.0)] == 0.0).all()
    assert (share <= 1.0).all()


@few
@given(latitudes, longitudes, st.floats(50.0, 9000.0))
def test_the_outline_of_a_circle_agrees_with_its_radius(lat, lon, radius):
    texts, (lat, lon, radius) = rounded(lat, lon, radius)
    constraint = parse(",".join(texts) + "km")
    # beyond a pole, the meridian of the centre is a seam of the outline: no bearing of 0 or 180
    bearing, reach = np.meshgrid(np.arange(0.5, 360.0, 15.0), [0.1, 0.5, 0.98, 1.02, 1.2])
    points = destination((lat, lon), bearing.ravel(), reach.ravel() * radius)
    outline = shapely.union_all(constraint.areas[0].polygons)
    assert shapely.is_valid(outline)
    west, _, east, _ = shapely.bounds(outline)
    assert -180.0 <= west <= east <= 180.0
    drawn = shapely.intersects_xy(outline, points[:, 1], points[:, 0])
    assert (drawn == (reach.ravel() < 1.0)).all()


def test_a_circle_around_a_pole_covers_all_longitudes(table):
    arctic = parse("90,17,2000km")
    edge = 90.0 - 2000.0 / KM_PER_DEG
    lon = np.arange(-180.0, 181.0, 30.0)
    assert arctic.contains(np.stack([np.full(13, edge + 0.01), lon], -1)).all()
    assert not arctic.contains(np.stack([np.full(13, edge - 0.01), lon], -1)).any()
    assert set(table.country[arctic.cell_shares(table) > 0]) == {"CA", "GL", "RU", "SJ"}


def test_a_touched_cell_has_at_least_the_minimum_share(table):
    pole = parse("-89.9,0,100m").cell_shares(table)
    assert pole[pole > 0].tolist() == [np.float32(MIN_SHARE)]
    # the Venezuelan islet of Aves is the only part of its cell within the circle
    venezuela = parse("33,36,10000km").cell_shares(table)[table.locate([(15.67, -63.62)])]
    assert venezuela == np.float32(MIN_SHARE)


def cells_of(*polygons):
    """Return a table of cells without a country, with centroids far outside them."""
    number = np.arange(len(polygons))
    names = number.astype(str)
    centroids = np.full((len(polygons), 2), -80.0)
    return CellTable(names, names, names, names, centroids, np.array(polygons), number)


def test_rounding_along_a_common_outline_touches_nothing():
    table = cells_of(shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1))
    assert parse("0,0,1,1").cell_shares(table).tolist() == [1.0, 0.0]
    assert parse("0,0,1,1.0000001").cell_shares(table).tolist() == [1.0, 0.0]
    assert parse("0,0,1,1.001").cell_shares(table) == pytest.approx([1.0, 0.001])


def test_a_point_lies_in_the_largest_piece():
    for west in (0.0, 20.0):  # the largest one comes first, and last
        islands = [shapely.box(x, 0, x + (5 if x == west else 1), 5) for x in (0.0, 10.0, 20.0)]
        table = cells_of(shapely.union_all(islands))
        ((_, lon),) = parse("1,-1,2,30").points_in(table, np.array([0]))
        assert west < lon < west + 5.0


def test_metres_and_kilometres():
    near = destination(PARIS, 45.0, 0.7)
    assert parse("48.86,2.35,800m").contains([near])
    assert parse("48.86,2.35,0.8km").contains([near])
    assert not parse("48.86,2.35,600m").contains([near])


# boxes


@few
@given(
    st.tuples(latitudes, latitudes).map(sorted).filter(lambda pair: pair[1] - pair[0] > 0.01),
    longitudes,
    longitudes,
    st.lists(st.tuples(latitudes, longitudes), min_size=1),
)
def test_a_box_contains_its_latitudes_and_longitudes(lats, west, east, points):
    texts, (south, west, north, east) = rounded(lats[0], west, lats[1], east)
    width = (east - west) % 360.0 or 360.0 * (west < east)
    if width < 0.01:
        return
    points = np.array([*points, ((south + north) / 2, wrap_lon(west + width / 2)), (north, east)])
    inside = parse(",".join(texts)).contains(points)
    eastward = (points[:, 1] - west) % 360.0
    expected = (south <= points[:, 0]) & (points[:, 0] <= north) & (eastward <= width)
    sure = np.minimum(np.abs(eastward - width), np.minimum(eastward, 360.0 - eastward)) > 1e-9
    assert inside[-2:].all()
    assert (inside == expected)[sure].all()


def test_a_box_across_the_antimeridian_holds_fiji(table):
    fiji = parse("-20,177,-15,-178")
    suva, taveuni, samoa, greenwich = (
        (-18.1, 178.4),
        (-16.8, -179.98),
        (-13.8, -172.1),
        (-18.0, 0.0),
    )
    assert fiji.contains([suva, taveuni, samoa, greenwich]).tolist() == [True, True, False, False]
    assert fiji.contains([(-18.0, 180.0), (-18.0, -180.0)]).all()
    assert set(table.country[fiji.cell_shares(table) > 0]) == {"FJ"}


@few
@given(st.floats(-85.0, 85.0), longitudes, st.floats(0.1, 60.0))
def test_shares_are_the_overlap_of_cell_and_area(table, south, west, size):
    south, west, north = round(south, 3), round(west, 3), round(min(south + size, 90.0), 3)
    east = round(float(wrap_lon(west + size)), 3)
    share = parse(f"{south:.3f},{west:.3f},{north:.3f},{east:.3f}").cell_shares(table)
    boxes = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    area = shapely.union_all([shapely.box(w, south, e, north) for w, e in boxes])
    inside = shapely.area(shapely.intersection(table.polygon, area)) / shapely.area(table.polygon)
    assert (share[inside == 0.0] == 0.0).all()
    clear = inside > 2 * MIN_SHARE
    assert share[clear] == pytest.approx(inside[clear], rel=1e-4)


# points, unions, masks


@few
@given(st.sampled_from("circle box polygon".split()), st.floats(-60.0, 75.0), longitudes, radii)
def test_points_lie_in_the_cell_and_in_the_area(table, kind, lat, lon, size):
    (lat_, lon_), (lat, lon) = rounded(lat, lon)
    reach = min(size / KM_PER_DEG, 14.0)
    if kind == "circle":
        constraint = parse(f"{lat_},{lon_},{size:.3f}km")
    elif kind == "box":
        constraint = parse(
            f"{lat_},{lon_},{lat + reach + 0.01:.5f},{wrap_lon(lon + reach + 0.01):.5f}"
        )
    else:
        corners = [(lon + reach, lat), (lon, lat + reach), (lon - reach, lat), (lon, lat - reach)]
        constraint = parse(json.dumps(ring(*corners)))
    cell = np.flatnonzero(constraint.cell_shares(table))
    points = constraint.points_in(table, cell)
    assert points.shape == (len(cell), 2)
    moved = (points != table.centroids[cell]).any(axis=1)
    assert not constraint.contains(table.centroids[cell])[moved].any()
    assert shapely.intersects_xy(table.polygon[cell], points[:, 1], points[:, 0])[moved].all()
    if kind == "circle":  # its outline is a polygon of 1,440 corners
        assert (central_km(points, lat, lon) <= round(size, 3) * 1.001).all()
    else:
        assert constraint.contains(points).all()


@pytest.mark.parametrize("text", ["Portugal", "Norway", "Fiji", "Bavaria", "Alaska", "Hawaii"])
def test_points_lie_in_the_country_or_region(table, text):
    constraint = parse(text)
    cell = np.flatnonzero(constraint.cell_shares(table))
    assert len(cell)
    assert constraint.contains(constraint.points_in(table, cell)).all()


def test_a_point_of_an_untouched_cell_is_an_error(table):
    with pytest.raises(ValueError, match="within 50 km of 48"):
        parse("48.86,2.35,50km").points_in(table, table.locate([MADRID]))


def test_several_texts_give_their_union(table):
    both = parse(["Portugal", "Spain"])
    assert both.name == "Portugal or Spain"
    assert both.contains([LISBON, MADRID, PARIS]).tolist() == [True, True, False]
    assert set(table.country[both.cell_shares(table) > 0]) == {"PT", "ES"}
    circle = parse("48.86,2.35,50km").cell_shares(table)
    mixed = parse(["pt", "48.86,2.35,50km", "48.86,2.35,50km"])
    assert mixed.cell_shares(table) == pytest.approx(circle + (table.country == "PT"), abs=1e-6)
    assert mixed.contains(mixed.points_in(table, np.flatnonzero(mixed.cell_shares(table)))).all()


def test_a_mask_has_shares_points_and_clusters_inside(table):
    portugal = parse("Portugal").mask(table, np.array([LISBON, MADRID]))
    inside = table.country == "PT"
    assert portugal.name == "Portugal"
    assert portugal.share.dtype == np.float32
    assert portugal.share.tolist() == inside.astype(float).tolist()
    assert portugal.clusters.tolist() == [True, False]
    assert parse("Portugal").contains(portugal.centroids[inside]).all()
    assert (portugal.centroids[~inside] == table.centroids[~inside]).all()
    circle = parse("48.86,2.35,50km").mask(table, np.array([PARIS]))
    assert 0.0 < circle.share[circle.share > 0].min() < 0.9


def test_an_area_without_cells_is_an_error(table):
    ocean = parse("-40,-120,50km")
    assert not ocean.cell_shares(table).any()
    with pytest.raises(
        ConstraintError, match=r"^within 50 km of -40.*the model has no place there"
    ):
        ocean.mask(table, np.array([PARIS]))


# polygons

TRIANGLE = ring((1.0, 48.0), (4.0, 48.0), (2.35, 50.0))
FEATURE = {"type": "Feature", "properties": {}, "geometry": TRIANGLE}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TRIANGLE),
        json.dumps({"type": "MultiPolygon", "coordinates": [TRIANGLE["coordinates"]]}),
        json.dumps(FEATURE, indent=1),
        json.dumps({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}),
        "POLYGON((1 48, 4 48, 2.35 50, 1 48))",
        "multipolygon(((1 48, 4 48, 2.35 50, 1 48)))",
    ],
)
def test_polygons_in_text_and_in_files(table, tmp_path, text):
    drawn = parse(text)
    assert drawn.contains([PARIS, MADRID, (48.86, -2.35), (2.35, 48.86)]).tolist() == [True] + 3 * [
        False
    ]
    path = tmp_path / "Area.GeoJSON"
    path.write_text(text)
    filed = parse(str(path))
    assert filed.name == str(path)
    assert filed.cell_shares(table).tolist() == drawn.cell_shares(table).tolist()
    assert set(table.country[drawn.cell_shares(table) > 0]) == {"FR"}


@pytest.mark.parametrize(
    "text",
    [
        "SRID=4326;POLYGON((1 48, 4 48, 2.35 50, 1 48))",
        "srid = 4326; polygon z ((1 48 0, 4 48 0, 2.35 50 0, 1 48 0))",
        "GEOMETRYCOLLECTION(POINT(9 9), POLYGON((1 48, 4 48, 2.35 50, 1 48)))",
        json.dumps([FEATURE, TRIANGLE]),
    ],
)
def test_ewkt_collections_and_lists_are_understood(text):
    assert parse(text).name == "the area drawn"
    assert parse(text).contains([PARIS, MADRID]).tolist() == [True, False]


def test_shapes_without_an_area_are_skipped_and_counted(tmp_path):
    nothing = {"type": "Feature", "properties": {}, "geometry": None}
    point = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Point", "coordinates": [0, 0]},
    }
    path = tmp_path / "areas.geojson"
    features = [FEATURE] * 98 + [nothing, point]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    area = parse(str(path))
    assert area.name == f"{path} (2 of 100 shapes without an area skipped)"
    assert area.contains([PARIS, (0.0, 0.0)]).tolist() == [True, False]


def test_a_polygon_across_the_antimeridian_goes_the_short_way():
    jump = parse(json.dumps(ring((177.0, -20.0), (-178.0, -20.0), (-178.0, -15.0), (177.0, -15.0))))
    beyond = parse(json.dumps(ring((177.0, -20.0), (182.0, -20.0), (182.0, -15.0), (177.0, -15.0))))
    for area in (jump, beyond):
        assert area.contains([(-18.0, 178.0), (-18.0, -179.0)]).all()
        assert not area.contains([(-18.0, 0.0), (-18.0, -177.0)]).any()


def test_an_invalid_polygon_is_repaired():
    bow_tie = parse(json.dumps(ring((0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0))))
    assert bow_tie.contains([(1.0, 1.9), (1.0, 0.1), (0.1, 1.0)]).tolist() == [True, True, False]


# errors


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Portugl", "did you mean Portugal"),
        ("Congo", "Democratic Republic of the Congo or Republic of the Congo"),
        ("Bavria, Germany", "Germany has no such region or town; did you mean Bavaria"),
        ("Bavaria, Germny", '"Germny" is no country or region; did you mean Germany'),
        ("Maryland", '2 countries; give "Maryland, Liberia" or "Maryland, United States"'),
        ("Quux", 'no country, region or town; give "Portugal"'),
        ("Paris, Frnce", '"Frnce" is no country or region; did you mean France'),
        ("Paris, Lamar, USA", '"Lamar" is no country or region'),
        ("Deutchland", "did you mean Germany"),
        ("Tuscanny", "did you mean Toscana"),
        ("Southern Eurpoe", "did you mean Southern Europe"),
        ("America", "did you mean North America or South America"),
        ("Parris", "did you mean Paris"),
        ("Springfield", 'towns have this name; give "Springfield, Missouri, United States"'),
        ("Salamanca, Portugal", "Portugal has no such region or town"),
        ("SRID=4326;POINT(2 48)", "holds no area; give a Polygon"),
        ("SRID=3857;POLYGON((0 0, 1 1, 2 0, 0 0))", "has SRID 3857; give lon, lat in degrees"),
        ("[1, 2]", "not readable .expected an object of GeoJSON instead of 1"),
        ("", 'give "Portugal"'),
        ([], "no place given"),
        ("12,13", 'write a box "south,west,north,east" or "lat,lon,50km"'),
        ("48,2,50miles", 'or "lat,lon,50km"'),
        ("48,2,50", 'or "lat,lon,50km"'),
        ("91,0,95,5", "not a box; .*latitudes in -90..90"),
        ("10,20,5,30", "south below north"),
        ("10,20,15,20", "not a box"),
        ("10,180,15,-180", "not a box"),
        ("10,20,15,200", "not a box"),
        ("95,2,50km", "not a circle; .*latitudes in -90..90"),
        ("45,181,50km", "not a circle"),
        ("45,2,0km", "not a circle"),
        ("45,2,25000km", "not a circle"),
        ("no/such/file.geojson", "no/such/file.geojson: No such file .*; give a GeoJSON file"),
        ("POLYGON EMPTY", "holds no area; give a Polygon"),
        ('{"type": "Point", "coordinates": [2, 48]}', "holds no area"),
        ('{"type": "FeatureCollection", "features": []}', "holds no area"),
        (json.dumps(ring((0, 0), (0, 0), (0, 0))), "holds no area"),
        (json.dumps(ring((48, 2), (48, 97), (50, 2))), "lon, lat"),
        ("POLYGON((0 0, 1 1, 2 0))", "not readable"),
        ('{"type": "Polygon"', "not readable"),
    ],
)
def test_errors_are_one_line_with_a_remedy(text, says):
    with pytest.raises(ConstraintError, match=says) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_deep_nesting_is_an_error_and_not_a_crash():
    depth = 100_000
    text = '{"type":"GeometryCollection","geometries":[' * depth + "]}" * depth
    with pytest.raises(ConstraintError, match="not readable"):
        parse(text)


def test_a_binary_file_is_refused(tmp_path):
    path = tmp_path / "area.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConstraintError, match="give a GeoJSON file"):
        parse(str(path))


def test_coordinates_are_checked():
    with pytest.raises(ValueError, match="row 1 has latitude 91"):
        parse("Portugal").contains([LISBON, (91.0, 0.0)])
