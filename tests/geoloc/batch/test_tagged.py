"""Copies and sidecars of a whole batch: each in its place, and what is left out is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from geoloc.batch import tagged
from geoloc.errors import MissingExtraError
from geoloc.output.formats import Record
from geoloc.photos import decode
from tests.geoloc.output.records import make_guess

pytest.importorskip("pyexiv2")


@pytest.fixture
def library(tmp_path) -> Path:
    """Two walks with photos of the same name, and one that cannot hold a position."""
    root = tmp_path / "library"
    for walk in ("a", "b"):
        (root / walk).mkdir(parents=True)
        Image.new("RGB", (40, 30), "red").save(root / walk / "1.jpg")
    Image.new("P", (40, 30)).save(root / "b" / "2.gif")
    return root


def records(root: Path) -> list[Record]:
    return [
        Record(make_guess(photo=path.name), {}, str(path))
        for path in sorted(root.rglob("*.*"))
        if path.suffix in (".jpg", ".gif")
    ]


def test_copies_keep_their_places_and_the_originals_stay(library, tmp_path):
    before = {path: path.read_bytes() for path in library.rglob("*.*")}
    said = []
    act = tagged.copies(tmp_path / "copies", library, said.append)
    for record in [*records(library), *records(library)]:  # a run that is done again
        act(record)
    assert {path: path.read_bytes() for path in library.rglob("*.*")} == before
    found = {p.relative_to(tmp_path / "copies").as_posix() for p in tmp_path.rglob("copies/*/*")}
    assert found == {"a/1.jpg", "b/1.jpg"}
    assert decode.read_exif(tmp_path / "copies" / "a" / "1.jpg").lat == pytest.approx(48.85)
    assert len(said) == 2
    assert all("2.gif: cannot hold metadata" in line for line in said)


def test_photos_from_elsewhere_keep_their_whole_path(library, tmp_path):
    act = tagged.copies(tmp_path / "copies", library / "b", [].append)
    for record in records(library / "a"):
        act(record)
    (copy,) = (tmp_path / "copies").rglob("*.jpg")
    assert copy == tmp_path / "copies" / (library / "a" / "1.jpg").relative_to("/")


def test_a_position_of_its_own_is_said(library, tmp_path):
    tagged.copies(tmp_path / "copies", library, [].append)(records(library)[0])
    said = []
    once_more = tagged.copies(tmp_path / "again", tmp_path / "copies", said.append)
    once_more(records(tmp_path / "copies")[0])
    assert said == ["1.jpg: has a position of its own, which its copy keeps"]
    assert (tmp_path / "again" / "a" / "1.jpg").exists()


def test_sidecars_are_written_once(library):
    said = []
    act = tagged.sidecars("digikam", said.append)
    for record in [*records(library), *records(library)]:
        act(record)
    assert said == [], "a run that is done again finds its own estimates"
    for record in records(library):
        act(replace(record, guess=make_guess(1.0, 2.0, photo=record.guess.photo)))
    sidecars = {path.relative_to(library).as_posix() for path in library.rglob("*.xmp")}
    assert sidecars == {"a/1.jpg.xmp", "b/1.jpg.xmp", "b/2.gif.xmp"}
    assert len(said) == 3
    assert said[0] == "1.jpg: has a position already, which is kept"


def test_members_of_shards_are_left_out(tmp_path):
    said = []
    tagged.copies(tmp_path / "copies", tmp_path, said.append)(Record(make_guess(), {}, None))
    assert said == ["photo.jpg: is no file of its own; nothing to tag"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_ends_the_batch(library, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyexiv2", None)
    with pytest.raises(MissingExtraError):
        tagged.sidecars("digikam", [].append)(records(library)[0])
