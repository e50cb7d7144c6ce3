"""What all commands have in common: exit codes, exclusive options, quietness, and inputs."""

import csv
import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from geoloc.cli.console import exit_code
from geoloc.cli.main import app
from geoloc.output.formats import COLUMNS
from tests.commands import process
from tests.geoloc.batch.library import DAMAGED, draw
from tests.geoloc.cli.test_main import commands
from training.data import manifest as training_manifest


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of two photos and a damaged one, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(2):
        draw(tmp_path / "in" / f"{number}.jpg", number)
    (tmp_path / "in" / "bad.jpg").write_bytes(DAMAGED)
    return tmp_path / "in"


def records(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("answered", "failed", "code"), [(3, 0, 0), (3, 1, 1), (1, 9, 1), (0, 1, 2), (0, 0, 2)]
)
def test_exit_code_says_whether_all_some_or_no_inputs_were_answered(answered, failed, code):
    assert exit_code(answered, failed) == code


@pytest.mark.usefixtures("quick")
def test_locate_and_batch_have_the_same_exit_codes(geoloc, photos):
    for inputs, code in {
        ("in/0.jpg",): 0, ("in",): 1, ("in/bad.jpg",): 2, ("in/0.jpg", "in/none.jpg"): 1,
        ("in/none.jpg",): 2,
    }.items():  # fmt: skip
        located = geoloc("locate", *inputs, "--bundle", "starter")
        assert (inputs, located.returncode) == (inputs, code)
        batch = geoloc("batch", *inputs, "-o", f"{len(inputs)}{code}.jsonl", "--bundle", "starter")
        assert (inputs, batch.returncode) == (inputs, code)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["locate", "in", "--json", "--geojson"], "--json and --geojson exclude each other"),
        (["locate", "in", "--open"], "add  --map"),
        (["locate", "in", "--map", "map.png"], "ends with .html"),
        (["play", "in", "--html", "page.txt"], "ends with .html"),
        (["results", "-o", "page.csv"], "ends with .html"),
        (["evaluate", "in", "-o", "report.pdf"], "ends with .html"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_unusable_options_are_refused_in_one_line(geoloc, arguments, remedy):
    done = geoloc(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert remedy in line


@pytest.mark.parametrize("command", ["locate", "batch"])
def test_misspelt_option_is_no_photo(command, tmp_path):
    done = process(command, "a.jpg", "--jsn", "-o", "out.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "--jsn" in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_command_that_prints_notices_can_be_quiet():
    without = {
        name
        for name, command in commands(app, ("geoloc",))
        if command.default_command is not None
        and "--quiet" not in {n for a in command.assemble_argument_collection() for n in a.names}
    }
    assert without == {"geoloc bundle list"}


@pytest.mark.usefixtures("quick")
def test_quiet_commands_print_errors_and_results_only(geoloc, photos):
    done = geoloc("batch", "in", "-o", "out.csv", "--quiet", "--bundle", "starter")
    (line,) = done.stderr.splitlines()
    assert line.startswith("in/bad.jpg: not a picture")
    done = geoloc("locate", "in/0.jpg", "--map", "m.html", "-q", "--json", "--bundle", "starter")
    assert (len(records(done)), done.stderr) == (1, "")
    (photos.parent / "truth.csv").write_text("file,lat,lon\nin/0.jpg,1,2\nin/1.jpg,3,4\n")
    done = geoloc("evaluate", "truth.csv", "--predictions", "out.csv", "-o", "r.html", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert geoloc("results", "r.json", "-o", "a/b/results.html", "-q").stderr == ""
    assert (photos.parent / "a" / "b" / "results.html").is_file()
    assert geoloc("bundle", "verify", "starter", "-q").stdout == ""


@pytest.mark.usefixtures("quick")
def test_locate_takes_folders_patterns_and_standard_input(geoloc, photos, monkeypatch):
    content = (photos / "0.jpg").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    done = geoloc("locate", "in", "in/[01].jpg", "-", "--json", "--bundle", "starter")
    names = [record["photo"] for record in records(done)]
    assert names == [f"in/{each}.jpg" for each in (0, 1, "bad", 0, 1)] + ["standard input"]
    first, *_, last = records(done)
    assert (first["lat"], first["lon"]) == (last["lat"], last["lon"])


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("https://example.org/a b.jpg", "curl -sL 'https://example.org/a b.jpg' | geoloc locate -"),
        ("s3://bucket/photos/", "run  geoloc batch s3://bucket/photos/ -o answers.jsonl"),
        ("list.csv", "run  geoloc batch list.csv -o answers.jsonl"),
        ("shard.tar", "run  geoloc batch shard.tar -o answers.jsonl"),
        ("empty", "no photos in it; give a folder or a pattern with photos"),
        ("*.xyz", "no photos in it; give a folder or a pattern with photos"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_inputs_that_locate_does_not_take_have_a_remedy(geoloc, photos, place, remedy):
    for name in ("list.csv", "shard.tar"):
        (photos.parent / name).touch()
    (photos.parent / "empty").mkdir()
    done = geoloc("locate", place, "in/0.jpg", "--json", "--bundle", "starter")
    failed, answered = records(done)
    assert failed["error"].startswith(f"{place}: ")
    assert failed["error"].endswith(remedy)
    assert answered["photo"] == "in/0.jpg"
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.usefixtures("quick")
def test_bytes_that_are_no_photo_are_reported(geoloc, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    done = geoloc("locate", "-", "--bundle", "starter")
    assert done.returncode == 2
    assert done.stderr.startswith("geoloc: standard input: ")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "geojson"])
@pytest.mark.usefixtures("quick")
def test_answers_of_batch_are_an_input_of_every_command(geoloc, photos, ending):
    rows = [f"in/{number}.jpg,{10 * number}.5,{20 * number}.25,{number:03}" for number in range(3)]
    draw(photos / "2.jpg", 2)
    (photos.parent / "places.csv").write_text("\n".join(["file,lat,lon,group", *rows]))
    out = f"results/answers.{ending}"
    assert geoloc("batch", "places.csv", "-o", out, "--bundle", "starter").returncode == 0
    scored = geoloc("evaluate", "places.csv", "--predictions", out, "--resamples", 5)
    assert scored.returncode == 0, scored.stderr
    itself = geoloc("evaluate", out, "--predictions", out, "--resamples", 5)
    assert itself.stdout.splitlines()[1:] == scored.stdout.splitlines()[1:], "truth of the list"
    for places in ("places.csv", out):
        played = geoloc(
            *("play", places, "--player", out, "--player", "prior", "--bundle", "starter"),
            *("--mode", "duel", "--rounds", 3, "--games", 2),
        )
        assert played.returncode == 0, played.stderr
    manifest, skipped = training_manifest.read(out)
    assert not skipped.problems
    assert manifest.latlon.tolist() == [[0.5, 0.25], [10.5, 20.25], [20.5, 40.25]]
    assert manifest.group.tolist() == ["000", "001", "002"]
    assert all(map(os.path.isfile, manifest.file))
    again = geoloc("batch", out, "-o", "again.csv", "--bundle", "starter")
    assert again.returncode == 0, again.stderr
    with open("again.csv", encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert header == [*COLUMNS, "input_lat", "input_lon", "group"]
