"""Files of placed libraries, read back by other readers."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import GeolocError
from geoloc.photos.coordinate_columns import choose_coordinates
from geoloc.trips.outputs import COLUMNS, OUTPUTS, lines, write_trip
from geoloc.trips.trip import Trip
from tests.geoloc.trips.made import NICE, PARIS, make_trip

KML = "{http://www.opengis.net/kml/2.2}"


def written(tmp_path: Path, ending: str, trip: Trip | None = None) -> Path:
    return write_trip(trip or make_trip(), tmp_path / f"trip{ending}")


def test_jsonl_has_every_photo_with_place_radius_how_and_class(tmp_path):
    rows = [json.loads(line) for line in written(tmp_path, ".jsonl").read_text().splitlines()]
    assert len(rows) == 10
    assert rows[2] | {"sha256": ""} == {
        "photo": "day/02.jpg", "sha256": "", "camera": "Canon EOS",
        "taken_at": "2024-05-06T10:00:00+02:00", "kind": "interpolated", "lat": PARIS[0],
        "lon": PARIS[1], "radius_50_km": 0.6, "radius_80_km": 1.2,
        "radius_95_km": pytest.approx(3.6), "probability": 0.9, "stay": 1,
        "how": "between two geotagged photos 11 minutes apart", "bundle": "starter",
        "place": {"country_code": "FR", "country": "France", "region": "", "town": "Paris",
                  "town_distance_km": 0.5}, "schema_version": 1,
    }  # fmt: skip
    assert (rows[9]["kind"], rows[9]["lat"]) == ("not a place", None)


def test_json_holds_the_whole_trip(tmp_path):
    trip = make_trip()
    read = Trip.from_dict(json.loads(written(tmp_path, ".json", trip).read_text()))
    assert read == trip


def test_csv_has_all_columns_and_no_formulas(tmp_path):
    trip = make_trip()
    trip = replace(trip, photos=(replace(trip.photos[0], photo="=1+1.jpg"), *trip.photos[1:]))
    content = written(tmp_path, ".csv", trip).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["photo"] == "'=1+1.jpg"
    assert [row["journey"] for row in rows] == ["0"] * 10
    assert rows[9]["lat"] == ""


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_an_estimate_is_never_read_as_a_known_position(tmp_path, ending):
    content = written(tmp_path, ending).read_text()
    names = list(COLUMNS) if ending == ".csv" else list(json.loads(content.splitlines()[0]))
    chosen = choose_coordinates(names)
    assert (chosen.lat, chosen.lon) in ((None, None), ("exif_lat", "exif_lon"))


def test_measured_photos_keep_their_position_as_that_of_the_file(tmp_path):
    content = written(tmp_path, ".csv").read_text(encoding="utf-8")
    known = [row["exif_lat"] for row in csv.DictReader(io.StringIO(content))]
    assert known == ["48.856600"] * 2 + [""] * 8


def test_geoparquet_has_points_and_null_for_photos_without_a_place(tmp_path):
    table = pq.read_table(written(tmp_path, ".parquet"))
    assert table.column_names == [*COLUMNS, "geometry", "bbox"]
    points = shapely.from_wkb(table["geometry"].to_pylist())
    assert points[9] is None
    assert (points[8].x, points[8].y) == NICE[::-1]
    assert table["bbox"].to_pylist()[9] is None
    box = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]["bbox"]
    assert box == [PARIS[1], NICE[0], NICE[1], PARIS[0]]


def test_a_library_without_any_place_is_written_in_every_format(tmp_path):
    trip = make_trip()
    nowhere = tuple(
        replace(p, kind="not a place", lat=None, lon=None, radius_50_km=None, radius_80_km=None,
                radius_95_km=None, place=None, taken_at=None, stay=None)
        for p in trip.photos
    )  # fmt: skip
    trip = replace(trip, photos=nowhere, stays=(), tracks=())
    for ending in OUTPUTS:
        assert written(tmp_path, ending, trip).stat().st_size > 0


def test_geojson_has_points_journey_and_track(tmp_path):
    features = json.loads(written(tmp_path, ".geojson").read_text())["features"]
    kinds = [each["geometry"] and each["geometry"]["type"] for each in features]
    assert kinds == ["Point"] * 9 + [None] + ["MultiLineString"] * 2
    assert features[0]["geometry"]["coordinates"] == list(PARIS[::-1])
    assert [each["properties"].get("line") for each in features[-2:]] == ["journey 1", "track 1"]
    (line,) = features[-2]["geometry"]["coordinates"]
    assert (line[0], line[-1], len(line)) == (list(PARIS[::-1]), list(NICE[::-1]), 9)


def test_kml_has_time_stamps_and_the_track(tmp_path):
    trip = make_trip()
    odd = replace(trip.photos[0], photo='a<b>&"\x00.jpg')
    root = ElementTree.parse(
        written(tmp_path, ".kml", replace(trip, photos=(odd, *trip.photos[1:])))
    )
    marks = root.findall(f".//{KML}Placemark")
    assert len(marks) == 9 + 2
    assert marks[0].findtext(f"{KML}name") == 'a<b>&"\\x00.jpg'
    assert marks[2].findtext(f"{KML}TimeStamp/{KML}when") == "2024-05-06T10:00:00+02:00"
    assert "between two geotagged photos" in marks[2].findtext(f"{KML}description")
    lines_ = [mark.findtext(f".//{KML}LineString/{KML}coordinates") for mark in marks[9:]]
    assert all(len(each.split()) >= 3 for each in lines_)


def test_unknown_ending_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(GeolocError, match=r"trip\.gpx: unknown output format; .* \.parquet"):
        written(tmp_path, ".gpx")
    assert not list(tmp_path.iterdir())


def test_names_with_undecodable_bytes_are_written(tmp_path):
    trip = make_trip()
    trip = replace(trip, photos=(replace(trip.photos[0], photo="\udcff.jpg"), *trip.photos[1:]))
    for ending in OUTPUTS:
        written(tmp_path, ending, trip)


points = st.tuples(st.floats(-85, 85), st.floats(-180, 180, exclude_max=True))


@given(st.lists(points, min_size=2, max_size=12))
def test_lines_are_cut_where_they_cross_the_antimeridian(latlon):
    parts = lines(np.array(latlon))
    for end in (0, -1):
        lat, lon = np.concatenate(parts)[end] - latlon[end]
        assert lat == 0
        assert np.remainder(lon + 180, 360) == pytest.approx(180, abs=1e-9)
    for part in parts:
        assert len(part) >= 2
        assert (np.abs(np.diff(part[:, 1])) <= 180 + 1e-9).all()
        assert (np.abs(part) <= (90, 180)).all()
