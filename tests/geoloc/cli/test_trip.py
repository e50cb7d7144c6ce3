"""`geoloc trip`: a folder and a track in, a reviewed and tagged library out, and back again."""

import json
import re
import shutil

import pytest

from geoloc.trips.outputs import OUTPUTS
from tests.geoloc.trips.library import write_gpx, write_library

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def journey(tmp_path, monkeypatch):
    """A library and a track in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_library(tmp_path / "journey")
    write_gpx(tmp_path / "walk.gpx")
    return tmp_path / "journey"


def place(geoloc, out: str, *options: object):
    return geoloc("trip", "journey", "-o", out, "--bundle", "starter", *options)


def decisions_of(page) -> dict:
    """Return the decisions that the page saves when every group is accepted, without a browser."""
    data = json.loads(re.search(r"^const data = (\{.*\});$", page.read_text(), flags=re.M)[1])
    fields = ("photo", "sha256", "time", "kind", "lat", "lon", "radius_80_km", "how")
    photos = [dict(zip(fields, each, strict=False)) for each in data["photos"]]
    decided = [
        {name: each[name] for name in ("photo", "sha256", "lat", "lon", "radius_80_km", "how")}
        | {"kind": data["kinds"][each["kind"]], "decision": "accepted"}
        for each in photos
        if data["kinds"][each["kind"]] != "measured" and each["lat"] is not None
    ]
    return {"schema_version": 1, "library": data["library"], "bundle": "b", "photos": decided}


def test_a_folder_and_a_track_become_a_reviewed_and_tagged_library(geoloc, journey, tmp_path):
    pytest.importorskip("pyexiv2")
    before = {path: path.read_bytes() for path in journey.rglob("*")}
    done = place(geoloc, "review.html", "--track", "walk.gpx")
    assert (done.returncode, done.stdout) == (0, "")
    assert "review.html: 12 photos: 4 measured, " in done.stderr
    assert {path: path.read_bytes() for path in journey.rglob("*")} == before
    decided = decisions_of(tmp_path / "review.html")
    number = len(decided["photos"])
    assert 6 <= number <= 8
    (tmp_path / "decisions.json").write_text(json.dumps(decided))
    done = geoloc("trip", "apply", "decisions.json", "--xmp", "digikam")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"{number} photos tagged; to revert:  geoloc trip undo decisions.log.jsonl"
    )
    assert len(list(journey.glob("camera-*.jpg.xmp"))) == number
    again = place(geoloc, "again.csv")
    assert "12 photos: 4 measured, " in again.stderr, "estimates are not taken for positions"
    done = geoloc("trip", "undo", "decisions.log.jsonl")
    assert (done.returncode, done.stderr) == (0, f"{number} changes reverted\n")
    assert {path: path.read_bytes() for path in journey.rglob("*")} == before


@pytest.mark.parametrize("ending", sorted(OUTPUTS))
def test_every_format_of_batch_is_written(geoloc, journey, ending):
    done = place(geoloc, f"new/trip{ending}")
    assert done.returncode == 0, done.stderr
    assert (journey.parent / "new" / f"trip{ending}").stat().st_size > 500


def test_a_second_run_uses_the_cached_embeddings(geoloc, journey, quick):
    place(geoloc, "a.jsonl")
    assert quick.encoder.embedded == 12
    place(geoloc, "b.jsonl")
    assert quick.encoder.embedded == 12
    rows = (journey.parent / "a.jsonl").read_text()
    assert (journey.parent / "b.jsonl").read_text() == rows


def test_a_file_of_the_user_is_never_overwritten(geoloc, journey):
    mine = journey.parent / "mine.csv"
    mine.write_text("file,lat,lon\n")
    done = place(geoloc, "mine.csv")
    assert (done.returncode, mine.read_text()) == (2, "file,lat,lon\n")
    assert "not overwritten" in done.stderr
    assert place(geoloc, "trip.csv").returncode == 0
    assert place(geoloc, "trip.csv").returncode == 0, "its own output is replaced"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "trip.gpx"], "unknown output format"),
        (["-o", "walk.kml", "--track", "walk.kml"], "is an input of this command"),
        (["-o", "a.csv", "--clock", "Canon"], "give CAMERA=+HH:MM:SS"),
        (["-o", "a.csv", "--clock", "Canon=1h"], "give CAMERA=+HH:MM:SS"),
        (["-o", "a.csv", "--immich", "http://127.0.0.1:1", "--fixed", "t.csv"], "exclude each"),
        (["-o", "a.csv", "--immich", "http://127.0.0.1:1"], "set IMMICH_API_KEY"),
    ],
)
def test_unusable_options_are_refused_before_any_photo_is_read(geoloc, journey, options, reason):
    shutil.copy(journey.parent / "walk.gpx", journey.parent / "walk.kml")
    done = geoloc("trip", "journey", *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("geoloc trip: ")
    assert reason in line
    assert not (journey.parent / "a.csv").exists()


def test_a_clock_of_a_camera_that_is_not_there_names_those_that_are(geoloc, journey):
    done = place(geoloc, "trip.csv", "--clock", "Nikon=+01:00:00")
    assert done.returncode == 1
    assert (
        "--clock Nikon: no photo is of this camera; cameras: Canon EOS 90D, Google" in done.stderr
    )
    done = place(geoloc, "trip.csv", "--clock", "Canon EOS 90D=-00:10:00")
    assert done.returncode == 0
    assert "clock of Canon EOS 90D: corrected by -10.0 min" in done.stderr


def test_half_of_the_files_unreadable(geoloc, journey):
    for i in range(12):
        (journey / f"bad-{i:02}.jpg").write_bytes(b"not a picture")
    done = place(geoloc, "trip.jsonl")
    assert done.returncode == 1
    assert sum("bad-" in line for line in done.stderr.splitlines()) == 12
    assert len((journey.parent / "trip.jsonl").read_text().splitlines()) == 12


def test_apply_asks_for_one_way_to_write(geoloc, journey):
    pytest.importorskip("pyexiv2")
    (journey.parent / "d.json").write_text('{"schema_version":1,"library":"journey","photos":[]}')
    for options in ([], ["--xmp", "digikam", "--write-exif", "copies"]):
        done = geoloc("trip", "apply", "d.json", *options)
        assert done.returncode == 2
        assert "give one of  --xmp digikam" in done.stderr
    done = geoloc("trip", "apply", "d.json", "--xmp", "digikam", "--library", "none")
    assert "none: no such folder; give the library with --library FOLDER" in done.stderr
    done = geoloc("trip", "undo", "none.jsonl")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
