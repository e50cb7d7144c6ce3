"""The commands people type, as whole processes."""

import json
import subprocess
import sys

import pytest

from geoloc.bundle import directory
from tests.geoloc.photos.test_decode import bad_inputs


def geoloc(*arguments: object, cwd=None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geoloc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_help_and_typos():
    assert "locate" in geoloc("--help").stdout
    wrong = geoloc("locat")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_locate_prints_a_table(photo_folder):
    done = geoloc("locate", photo_folder / "00.jpg", "--top", 3)
    assert done.returncode == 0, done.stderr
    assert "8 of 10 photos like this lie within" in done.stdout
    assert "file says: 48." in done.stdout  # its GPS, shown and not used
    assert "(not used)" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line[:2] in ("1 ", "2 ", "3 ")]) == 3


def test_json_and_geojson(photo_folder):
    done = geoloc("locate", photo_folder / "00.jpg", photo_folder / "without.jpg", "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(answer["candidates"]) for answer in answers] == [5, 5]
    first, second = answers
    assert first["schema_version"] == 2
    assert first["exif"]["lat"] == pytest.approx(48.86, abs=0.3)
    assert second["exif_distance_km"] is None
    assert 0 < first["radii_km"]["50"] <= first["radii_km"]["80"] <= first["radii_km"]["95"]
    assert first["candidates"][0]["lat"] == first["lat"]
    probabilities = [candidate["probability"] for candidate in first["candidates"]]
    assert sum(probabilities) <= 1
    done = geoloc("locate", photo_folder / "00.jpg", "--geojson", "--top", 2)
    collection = json.loads(done.stdout)
    lon, lat = collection["features"][0]["geometry"]["coordinates"]
    assert (lat, lon) == (first["lat"], first["lon"])
    assert len(collection["features"]) == 2


def test_bad_photos_are_one_line_each_and_the_others_are_answered(tmp_path, photo_folder):
    bad = bad_inputs(tmp_path)
    photos = [*bad, photo_folder / "00.jpg"]
    done = geoloc("locate", *photos, "--bundle", "starter", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, (name, reason) in zip(lines, bad.items(), strict=True):
        assert name in line
        assert reason in line


def test_bad_bundles_are_one_line(tmp_path, photo_folder):
    half = tmp_path / "half.bundle"
    half.mkdir()
    for name in ("bundle.json", "cells.parquet"):
        (half / name).write_bytes((directory.EMBEDDED / "starter" / name).read_bytes())
    (tmp_path / "empty.bundle").mkdir()
    for name, reason in {
        "nosuch": "starter",
        "half.bundle": "missing",
        "empty.bundle": "no bundle",
    }.items():
        done = geoloc("locate", photo_folder / "00.jpg", "--bundle", name, cwd=tmp_path)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert name in done.stderr
        assert reason in done.stderr


def test_a_map_is_written_or_the_reason_said(tmp_path, photo_folder):
    done = geoloc("locate", photo_folder / "00.jpg", "--map", tmp_path / "map.html")
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "map.html").read_text(encoding="utf-8")
    done = geoloc("locate", photo_folder / "00.jpg", "--map", tmp_path / "nowhere" / "map.html")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_known_beforehand_is_kept_to(photo_folder):
    photo = photo_folder / "00.jpg"
    done = geoloc("locate", photo, "--within", "portugal", "--json")
    assert done.returncode == 0, done.stderr
    (answer,) = map(json.loads, done.stdout.splitlines())
    assert answer["within"] == "Portugal"
    assert {c["place"]["country"] for c in answer["candidates"]} == {"Portugal"}
    assert answer["evidence"]["cell_path"][0] == "PT"
    assert sum(cell["probability"] for cell in answer["region"]) <= 1.0001
    assert all(cell["cell_id"].startswith("PT") for cell in answer["region"])
    circle = geoloc("locate", photo, "--within", "-33.87,151.21,30km")
    assert circle.returncode == 0, circle.stderr
    assert "known beforehand: within 30 km of -33.87" in circle.stdout


@pytest.mark.parametrize(
    ("within", "reason"),
    [
        ("Portugl", "Portugal"),
        ("0,-130,5km", "no geocell"),
        ("91,0,92,1", "90"),
        ("nowhere.geojson", "nowhere.geojson"),
    ],
)
def test_a_place_that_is_none_is_one_line(photo_folder, within, reason):
    photo = photo_folder / "00.jpg"
    done = geoloc("locate", photo, "--bundle", "starter", "--within", within)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert within.split(",")[0] in line
    assert reason in line


def test_photos_of_one_place_get_one_answer(photo_folder, tmp_path):
    photo, other = photo_folder / "00.jpg", photo_folder / "03.jpg"
    alone, twice, both = (
        json.loads(geoloc("locate", *photos, "--together", "--json").stdout)
        for photos in ([photo], [photo, photo], [photo, other])
    )
    assert (alone["lat"], alone["lon"]) == (twice["lat"], twice["lon"])
    assert twice["radius_km"] == pytest.approx(alone["radius_km"], rel=1e-3)
    assert (alone["photos"], twice["photos"], both["photos"]) == (1, 2, 2)
    assert both["photo"] == f"{photo}, {other}"
    assert 0 <= both["agreement"] <= 1
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    done = geoloc("locate", photo, tmp_path / "broken.jpg", "--together", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["photos"] == 1
    assert "broken.jpg" in done.stderr
