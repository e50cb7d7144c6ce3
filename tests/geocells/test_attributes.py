import numpy as np
import pytest

from geocells.attributes import (
    KOPPEN_CLASSES,
    climatology,
    describe_earth,
    driving_side,
    elevation_m,
    is_land,
    koppen,
    population_per_km2,
    time_zone,
)

PARIS, LA_PAZ, TOKYO, BARROW = (48.858, 2.294), (-16.5, -68.15), (35.68, 139.69), (71.29, -156.79)
ATLANTIC, SINGAPORE, FIJI = (0.0, -30.0), (1.35, 103.82), (-17.7, 178.05)


def test_climate_of_well_known_places():
    points = [PARIS, LA_PAZ, TOKYO, BARROW, SINGAPORE, ATLANTIC]
    assert koppen(points).tolist() == ["Cfb", "Cwb", "Cfa", "ET", "Af", ""]
    assert len(KOPPEN_CLASSES) == 31
    climate = climatology(points)
    # annual means in degrees Celsius: Paris 12, La Paz 8, Tokyo 16, Barrow -10, Singapore 27
    assert climate["temperature_c"][:5] == pytest.approx([12, 8, 16, -10, 27], abs=1.5)
    assert (climate["coldest_month_c"] <= climate["temperature_c"]).all()
    assert (climate["warmest_month_c"] >= climate["temperature_c"]).all()
    assert climate["rain_mm"][4] > 2000 > climate["rain_mm"][0] > 500


def test_elevation_and_land():
    assert elevation_m([LA_PAZ])[0] == pytest.approx(3900, abs=500)
    assert elevation_m([PARIS])[0] == pytest.approx(35, abs=60)
    assert elevation_m([ATLANTIC])[0] == -450
    assert is_land([PARIS, LA_PAZ, ATLANTIC, FIJI]).tolist() == [True, True, False, True]


def test_population_and_driving_side():
    people = population_per_km2([PARIS, ATLANTIC, BARROW])
    assert people[0] > 5000
    assert people[1] == 0
    assert people[2] < 100
    points = [PARIS, TOKYO, SINGAPORE, FIJI, LA_PAZ, ATLANTIC]
    assert driving_side(points).tolist() == ["right", "left", "left", "left", "right", ""]


def test_time_zones_on_land_and_at_sea():
    zones = {
        PARIS: "Europe/Paris", TOKYO: "Asia/Tokyo", LA_PAZ: "America/La_Paz",
        FIJI: "Pacific/Fiji", BARROW: "America/Anchorage", ATLANTIC: "Etc/GMT+2",
        (40.71, -74.0): "America/New_York", (28.6, 77.2): "Asia/Kolkata",
        (-33.86, 151.2): "Australia/Sydney", (64.15, -21.94): "Atlantic/Reykjavik",
    }  # fmt: skip
    assert time_zone(list(zones)).tolist() == list(zones.values())


def test_poles_and_antimeridian_have_attributes():
    corners = [(90.0, 180.0), (-90.0, -180.0), (90.0, -180.0), (-90.0, 180.0), (0.0, 180.0)]
    table = describe_earth(corners)
    assert table.num_rows == 5
    assert np.isfinite(table["temperature_c"].to_pylist()).all()
    assert all(table["time_zone"].to_pylist())


def test_bad_coordinates_are_refused():
    for function in (koppen, climatology, elevation_m, is_land, population_per_km2, time_zone):
        with pytest.raises(ValueError, match="latitude 91"):
            function([(91.0, 0.0)])
