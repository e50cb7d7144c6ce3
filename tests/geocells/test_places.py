import subprocess
import sys

import numpy as np
import pytest

from geocells.places import OPEN_SEA_KM, describe, towns
from geocells.polygon_index import _MAX_WINDOWED_POINTS
from geocells.sphere import destination


@pytest.fixture(scope="module")
def cities():
    gazetteer = towns()
    large = gazetteer.population > 15_000
    return gazetteer.points.latlon[large], gazetteer.country[large]


def test_towns_are_located_in_their_country(cities):
    latlon, country = cities
    assert len(latlon) > 33_900
    codes = np.array(describe(latlon)["country_code"].to_pylist())
    assert (codes == country).mean() >= 0.995


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
        ((-82.0, 30.0), "AQ", "Antarctica", "Antarctica", None),
    ],
)
def test_well_known_and_disputed_places(latlon, code, country, region, town):
    row = describe([latlon]).to_pylist()[0]
    assert (row["country_code"], row["country"]) == (code, country)
    assert row["region"] == region
    if town is not None:
        assert row["town"] == town
        assert row["town_distance_km"] < 10


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
    latlon = cities[0][rng.integers(0, len(cities[0]), _MAX_WINDOWED_POINTS + 1000)]
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
