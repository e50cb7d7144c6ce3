"""`geoloc locate` and the help of all commands."""

import json
import os
from collections.abc import Iterator

import pytest
from cyclopts import App

from geoloc.bundle import directory
from geoloc.cli.main import app
from tests.commands import process
from tests.geoloc.photos.samples import write_bad_inputs
from training.cli.main import app as train_app


def commands(app: App, path: tuple[str, ...]) -> Iterator[tuple[str, App]]:
    """Yield all commands below a command, with their names."""
    for name in app:
        if not name.startswith("-"):
            yield " ".join((*path, name)), app[name]
            yield from commands(app[name], (*path, name))


ALL_COMMANDS = [*commands(app, ("geoloc",)), *commands(train_app, ("geoloc-train",))]


@pytest.mark.parametrize(("name", "command"), ALL_COMMANDS, ids=[name for name, _ in ALL_COMMANDS])
def test_every_command_and_option_has_help(name, command):
    assert command.help
    if command.default_command is None:
        return
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if not argument.children:  # groups of options are not shown
            assert argument.parameter.help, argument.names


def test_the_walk_over_commands_finds_them():
    names = [name for name, _ in ALL_COMMANDS]
    assert {"geoloc locate", "geoloc batch", "geoloc bundle build geoclip"} < set(names)
    (locate,) = (command for name, command in ALL_COMMANDS if name == "geoloc locate")
    options = [a.name for a in locate.assemble_argument_collection()]
    assert options[:2] == ["PHOTOS", "--bundle"]


def test_help_is_printed_by_the_module():
    shown = process("--help")
    assert shown.returncode == 0
    for name in (
        "locate",
        "batch",
        "bundle",
        "evaluate",
        "results",
        "play",
        "--install-completion",
    ):
        assert name in shown.stdout
    wrong = process("locat")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("command", ["locate", "batch"])
def test_usage_says_that_several_photos_are_accepted(geoloc, command):
    usage = geoloc(command, "--help").stdout.splitlines()[0]
    assert usage.startswith(f"Usage: geoloc {command} ")
    assert usage.endswith(" PHOTOS...")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_the_shell_in_use(tmp_path, shell):
    other = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment = other | {"HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    done = process("--install-completion", env=environment)
    assert done.returncode == 0, done.stderr
    (script,) = tmp_path.rglob("*geoloc*")
    text = script.read_text()
    for word in ("locate", "within", "evaluate"):
        assert word in text


def test_locate_prints_a_table(geoloc, photo_folder):
    done = geoloc("locate", photo_folder / "00.jpg", "--top", 3)
    assert done.returncode == 0, done.stderr
    assert "8 of 10 photos like this lie within" in done.stdout
    assert "EXIF: 48." in done.stdout  # GPS of the file
    assert "(not used)" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line[:2] in ("1 ", "2 ", "3 ")]) == 3


def test_answers_as_json_and_geojson(geoloc, photo_folder):
    done = geoloc("locate", photo_folder / "00.jpg", photo_folder / "without.jpg", "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(answer["candidates"]) for answer in answers] == [5, 5]
    first, second = answers
    assert first["schema_version"] == 4
    assert first["exif"]["lat"] == pytest.approx(48.86, abs=0.3)
    assert second["exif_distance_km"] is None
    assert 0 < first["radius_50_km"] <= first["radius_80_km"] <= first["radius_95_km"]
    places = [each["probability"] for each in first["candidates"]]
    assert places == sorted(places, reverse=True)
    assert 0 < first["probability"] <= places[0]
    probabilities = [candidate["probability"] for candidate in first["candidates"]]
    assert sum(probabilities) <= 1
    done = geoloc("locate", photo_folder / "00.jpg", "--geojson", "--top", 2)
    collection = json.loads(done.stdout)
    lon, lat = collection["features"][0]["geometry"]["coordinates"]
    assert (lat, lon) == (first["lat"], first["lon"])
    ranks = [feature["properties"]["rank"] for feature in collection["features"]]
    assert [rank for rank in ranks if rank is not None] == [1, 2]


def test_unreadable_photos_are_one_line_each_and_the_others_are_answered(
    geoloc, tmp_path, photo_folder, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    bad = {**write_bad_inputs(tmp_path), "folder.jpg": "no photos in it"}
    photos = [*bad, photo_folder / "00.jpg"]
    done = geoloc("locate", *photos, "--bundle", "starter", "--json")
    assert done.returncode == 1
    *errors, answer = map(json.loads, done.stdout.splitlines())
    assert [each["photo"] for each in errors] == list(bad)
    assert [f"geoloc: {each['error']}" for each in errors] == done.stderr.splitlines()
    assert "error" not in answer
    collection = json.loads(geoloc("locate", *photos, "--bundle", "starter", "--geojson").stdout)
    failed = [each for each in collection["features"] if each["geometry"] is None]
    assert [each["properties"] for each in failed] == errors
    assert geoloc("locate", "missing.jpg", "--bundle", "starter").returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, (name, reason) in zip(lines, bad.items(), strict=True):
        assert name in line
        assert reason in line


def test_unusable_bundle_is_reported_in_one_line(geoloc, tmp_path, photo_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
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
        done = geoloc("locate", photo_folder / "00.jpg", "--bundle", name)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert name in done.stderr
        assert reason in done.stderr


def test_map_is_written_or_the_reason_is_reported(geoloc, tmp_path, photo_folder):
    done = geoloc("locate", photo_folder / "00.jpg", "--map", tmp_path / "map.html")
    assert done.returncode == 0, done.stderr
    assert '<div id="map" class="planet">' in (tmp_path / "map.html").read_text(encoding="utf-8")
    done = geoloc("locate", photo_folder / "00.jpg", "--map", tmp_path / "a" / "b" / "map.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a" / "b" / "map.html").is_file()
    (tmp_path / "file").touch()
    done = geoloc("locate", photo_folder / "00.jpg", "--map", tmp_path / "file" / "map.html")
    assert done.returncode == 2
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_respect_the_constraint(geoloc, photo_folder):
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
    assert "Within 30 km of -33.87" in circle.stdout


@pytest.mark.parametrize(
    ("within", "reason"),
    [
        ("Portugl", "Portugal"),
        ("0,-130,5km", "no place there"),
        ("91,0,92,1", "90"),
        ("nowhere.geojson", "nowhere.geojson"),
    ],
)
def test_unknown_place_is_reported_in_one_line(geoloc, photo_folder, within, reason):
    photo = photo_folder / "00.jpg"
    done = geoloc("locate", photo, "--bundle", "starter", "--within", within)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert within.split(",")[0] in line
    assert reason in line


def test_photos_of_one_place_get_one_answer(geoloc, photo_folder, tmp_path):
    photo, other = photo_folder / "00.jpg", photo_folder / "03.jpg"
    alone, twice, both = (
        json.loads(geoloc("locate", *photos, "--together", "--json").stdout)
        for photos in ([photo], [photo, photo], [photo, other])
    )
    assert (alone["lat"], alone["lon"]) == (twice["lat"], twice["lon"])
    assert twice["radius_80_km"] == pytest.approx(alone["radius_80_km"], rel=1e-3)
    assert [each["photos"] for each in (alone, twice, both)] == [
        [str(photo)], [str(photo)] * 2, [str(photo), str(other)]
    ]  # fmt: skip
    assert both["photo"] == f"{photo}, {other}"
    assert 0 <= both["agreement"] <= 1
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    done = geoloc("locate", photo, tmp_path / "broken.jpg", "--together", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["photos"] == [str(photo)]
    assert "broken.jpg" in done.stderr
