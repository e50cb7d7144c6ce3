import csv
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.borders.hierarchy import DATA
from geocells.columns import objects
from geocells.places import OPEN_SEA_KM, describe, towns
from geocells.polygon_index import _MAX_WINDOWED_POINTS
from geocells.sphere import destination


@pytest.fixture(scope="module")
def cities():
    gazetteer = towns()
    return gazetteer.points.latlon[gazetteer.population > 15_000]


@pytest.fixture(scope="module")
def own_towns():
    """Country codes and names of all towns."""
    gazetteer = towns()
    return set(zip(gazetteer.country, gazetteer.name.to_pylist(), strict=True))


def test_every_town_is_named_in_its_own_country_except_the_listed_ones(own_towns):
    gazetteer = towns()
    latlon = gazetteer.points.latlon
    answer = describe(latlon)
    stated = objects(answer["country_code"])
    abroad = np.flatnonzero(stated != gazetteer.country)
    with (DATA / "disagreements.csv").open(encoding="utf-8", newline="") as file:
        listed = [
            (row["town"], row["country"], row["borders"], float(row["lat"]), float(row["lon"]))
            for row in csv.DictReader(file)
        ]
    found = [
        (gazetteer.name[int(row)].as_py(), gazetteer.country[row], stated[row],
         *latlon[row].round(4).tolist()) for row in abroad
    ]  # fmt: skip
    assert sorted(found) == sorted(listed)
    assert len(listed) < 60
    assert set(zip(stated, answer["town"].to_pylist(), strict=True)) <= own_towns


@given(
    st.lists(st.tuples(st.floats(-90.0, 90.0), st.floats(-180.0, 180.0)), min_size=1, max_size=50)
)
@settings(max_examples=40, deadline=None)
def test_a_town_is_never_named_across_a_border(own_towns, points):
    for row in describe(points).to_pylist():
        if row["country_code"] in ("", "AQ", "BV", "HM", "UM"):  # the last four have no towns
            assert row["town"] == ""
        else:
            assert (row["country_code"], row["town"]) in own_towns


@pytest.mark.parametrize(
    ("latlon", "code", "country", "region", "town"),
    [
        ((48.8584, 2.2945), "FR", "France", "Île-de-France", "Paris"),
        ((-33.8568, 151.2153), "AU", "Australia", "New South Wales", "Sydney"),
        ((42.6629, 21.1655), "XK", "Kosovo", "Pristina", "Pristina"),
        ((25.0330, 121.5654), "TW", "Taiwan", "Taipei", "Taipei"),
        ((44.9521, 34.1024), "UA", "Ukraine", "Autonomous Republic of Crimea", "Simferopol"),
        ((35.1856, 33.3823), "CY", "Cyprus", "Lefkosia", "Nicosia"),
        ((9.56, 44.06), "SO", "Somalia", "Somaliland", "Hargeysa"),
        ((4.9372, -52.3260), "GF", "French Guiana", "French Guiana", "Cayenne"),
        ((78.2232, 15.6267), "SJ", "Svalbard and Jan Mayen", "Svalbard", "Longyearbyen"),
        ((-17.68, 177.42), "FJ", "Fiji", "Western", "Lautoka"),
        ((64.73, 177.51), "RU", "Russia", "Chukotka Autonomous Okrug", "Anadyr"),
        ((27.1418, -13.1880), "EH", "Western Sahara", "Laâyoune-Boujdour-Sakia El Hamra",
         "Laayoune"),
        ((23.6848, -15.9580), "EH", "Western Sahara", "Oued Ed-Dahab", "Dakhla"),
        ((27.94, -12.92), "MA", "Morocco", "Laâyoune-Sakia El Hamra", "Tarfaya"),
        ((34.600, 32.955), "CY", "Cyprus", "Lemesos", "Akrotiri"),
        ((47.660, 9.175), "DE", "Germany", "Baden-Württemberg", "Konstanz"),
        ((47.645, 9.178), "CH", "Switzerland", "Thurgau", "Kreuzlingen"),
        ((59.377, 28.190), "EE", "Estonia", "Ida-Viru", "Narva"),
        ((36.149, 29.594), "GR", "Greece", "South Aegean", "Megísti"),
    ],
)  # fmt: skip
def test_well_known_and_disputed_places(latlon, code, country, region, town):
    row = describe([latlon]).to_pylist()[0]
    assert (row["country_code"], row["country"]) == (code, country)
    assert row["region"] == region
    assert row["town"] == town
    assert row["town_distance_km"] < 45


def test_antarctica_has_a_name_but_no_town():
    (row,) = describe([(-82.0, 30.0)]).to_pylist()
    assert (row["country"], row["town"]) == ("Antarctica", "")
    assert row["town_distance_km"] > 3000


def test_a_remote_place_beside_a_border_is_named_after_a_town_of_its_own_country():
    alaska, yukon = describe([(60.5, -141.2), (60.5, -140.8)]).to_pylist()
    assert (alaska["country_code"], yukon["country_code"]) == ("US", "CA")
    assert alaska["town"] != yukon["town"]


def test_a_harbour_belongs_to_a_country_and_the_ocean_to_none():
    near, far = describe([(-33.84, 151.30), (0.0, -150.0)]).to_pylist()
    assert near["country_code"] == "AU"
    assert (far["country_code"], far["country"], far["region"], far["town"]) == ("", "", "", "")
    assert far["town_distance_km"] > 500


def test_the_open_sea_begins_fifty_kilometres_off_the_coast():
    lighthouse = (-34.0, 151.2316)  # Botany Bay; the coast runs north to south here
    off = destination(lighthouse, 90.0, np.array([OPEN_SEA_KM - 5, OPEN_SEA_KM + 15]))
    assert describe(off)["country_code"].to_pylist() == ["AU", ""]


def test_single_coordinates_and_many_get_the_same_names():
    rng = np.random.default_rng(1)
    points = np.stack([rng.uniform(-60, 75, 300), rng.uniform(-180, 180, 300)], -1)
    together = describe(points).to_pylist()
    assert [describe([point]).to_pylist()[0] for point in points[:20]] == together[:20]


def test_no_coordinates_give_no_rows():
    assert describe(np.empty((0, 2))).num_rows == 0


def test_more_points_than_the_search_window_limit_get_the_same_names(cities):
    rng = np.random.default_rng(2)
    latlon = cities[rng.integers(0, len(cities), _MAX_WINDOWED_POINTS + 1000)]
    latlon = np.clip(latlon + rng.normal(0, 0.1, latlon.shape), (-90, -180), (90, 180))
    together = describe(latlon)
    assert together.num_rows == len(latlon)
    assert together.slice(0, 500).equals(describe(latlon[:500]))


def test_naming_one_coordinate_imports_no_slow_library():
    code = (
        "import sys; from geocells.places import describe; describe([(48.85, 2.35), (36.9, 18.0)]);"
        "slow = ('pandas', 'scipy', 'torch', 'pyarrow.compute');"
        "print([module for module in slow if module in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
