"""Tagged copies and sidecars of a batch: each in its place, and a warning for each omission."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from geoloc.batch import tagged
from geoloc.errors import MissingExtraError
from geoloc.output.formats import Record
from tests.geoloc.output.records import make_guess
from tests.geoloc.photos.samples import written_position

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


def test_copies_keep_relative_paths_and_originals_are_not_changed(library, tmp_path):
    before = {path: path.read_bytes() for path in library.rglob("*.*")}
    warnings = []
    action = tagged.copy_action(tmp_path / "copies", library, warnings.append)
    for record in [*records(library), *records(library)]:  # a repeated run
        action(record)
    assert {path: path.read_bytes() for path in library.rglob("*.*")} == before
    found = {p.relative_to(tmp_path / "copies").as_posix() for p in tmp_path.rglob("copies/*/*")}
    assert found == {"a/1.jpg", "b/1.jpg"}
    assert written_position(tmp_path / "copies" / "a" / "1.jpg")[0] == pytest.approx(48.85)
    assert len(warnings) == 2
    assert all("2.gif: cannot hold metadata" in line for line in warnings)


def test_photos_outside_the_common_folder_keep_their_absolute_path(library, tmp_path):
    action = tagged.copy_action(tmp_path / "copies", library / "b", [].append)
    for record in records(library / "a"):
        action(record)
    (copy,) = (tmp_path / "copies").rglob("*.jpg")
    assert copy == tmp_path / "copies" / (library / "a" / "1.jpg").relative_to("/")


def test_position_of_a_photo_is_kept_with_a_warning(library, tmp_path):
    tagged.copy_action(tmp_path / "copies", library, [].append)(records(library)[0])
    warnings = []
    once_more = tagged.copy_action(tmp_path / "again", tmp_path / "copies", warnings.append)
    once_more(records(tmp_path / "copies")[0])
    assert warnings == ["1.jpg: has a position of its own, which its copy keeps"]
    assert (tmp_path / "again" / "a" / "1.jpg").exists()


def test_sidecars_are_written_once(library):
    warnings = []
    action = tagged.sidecar_action("digikam", warnings.append)
    for record in [*records(library), *records(library)]:
        action(record)
    assert warnings == [], "a repeated run finds its own estimates"
    for record in records(library):
        action(replace(record, guess=make_guess(1.0, 2.0, photo=record.guess.photo)))
    sidecars = {path.relative_to(library).as_posix() for path in library.rglob("*.xmp")}
    assert sidecars == {"a/1.jpg.xmp", "b/1.jpg.xmp", "b/2.gif.xmp"}
    assert len(warnings) == 3
    assert warnings[0] == "1.jpg: has a position already, which is kept"


def test_photos_in_shards_are_skipped_with_a_warning(tmp_path):
    warnings = []
    tagged.copy_action(tmp_path / "copies", tmp_path, warnings.append)(
        Record(make_guess(), {}, None)
    )
    assert warnings == ["photo.jpg: is no file of its own, and cannot be tagged"]
    assert list(tmp_path.iterdir()) == []


def test_missing_library_ends_the_batch(library, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyexiv2", None)
    with pytest.raises(MissingExtraError):
        tagged.sidecar_action("digikam", [].append)(records(library)[0])
