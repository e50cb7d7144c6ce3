"""Decisions of a review: reading them, and what they write, log and revert."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from geoloc.errors import GeolocError
from geoloc.io import atomic
from geoloc.io.progress import NullReporter
from geoloc.photos.decode import read_exif
from geoloc.trips.review.apply import Copies, Sidecars, Summary, apply_decisions
from geoloc.trips.review.changes import read_changes, undo_changes
from geoloc.trips.review.decisions import match_library, read_decisions
from tests.geoloc.photos.samples import gps_exif, written_position
from tests.geoloc.trips.made import LYON, write_photos

pyexiv2 = pytest.importorskip("pyexiv2")


class Problems(NullReporter):
    """Keeps the lines that a command would print."""

    def __init__(self):
        self.lines = []

    def problem(self, line: str) -> None:
        self.lines.append(line)


def decision(library: Path, name: str, **changes) -> dict:
    content = (library / name).read_bytes() if (library / name).is_file() else b""
    return {
        "photo": name, "sha256": hashlib.sha256(content).hexdigest(), "lat": LYON[0],
        "lon": LYON[1], "radius_80_km": 1.5, "kind": "guessed", "decision": "accepted",
        "how": "by sight",
    } | changes  # fmt: skip


def save(path: Path, library: Path, *photos: dict, **changes) -> Path:
    values = {"schema_version": 1, "library": str(library), "bundle": "b", "photos": photos}
    path.write_text(json.dumps(values | changes))
    return path


@pytest.fixture
def library(tmp_path) -> Path:
    folder = tmp_path / "library"
    write_photos(folder, 4)
    return folder


@pytest.fixture
def three(tmp_path, library) -> Path:
    """Decisions about three of the photos."""
    photos = [decision(library, f"day/0{i}.jpg") for i in range(3)]
    photos[1] |= {"decision": "corrected", "how": "placed by hand", "lat": 1.5, "lon": -2.25}
    return save(tmp_path / "decisions.json", library, *photos)


def apply(three: Path, target, log: Path | None = None) -> tuple[Summary, list[str]]:
    problems = Problems()
    decided = read_decisions(three)
    log = log or three.with_suffix(".log.jsonl")
    return apply_decisions(decided, Path(decided.library), target, log, problems), problems.lines


def undo(log: Path) -> tuple[int, list[str]]:
    problems = []
    return len(
        list(undo_changes(read_changes(log), lambda change: True, problems.append))
    ), problems


def contents(*folders: Path) -> dict[str, tuple[bytes, int]]:
    files = [p for folder in folders for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_sidecars_hold_marked_estimates_and_are_reverted_byte_for_byte(three, library):
    existing = library / "day" / "02.jpg.xmp"
    existing.write_bytes(
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    before = contents(library)
    assert apply(three, Sidecars("digikam")) == (Summary(3, 0, 0), [])
    with pyexiv2.ImageData(existing.read_bytes()) as image:
        tags = image.read_xmp()
    assert tags["Xmp.xmp.Rating"] == "4"
    assert tags["Xmp.exif.GPSProcessingMethod"] == "ESTIMATE planet-geoloc"
    assert "planet-geoloc (by sight): 8 of 10 such photos lie within 1.5 km" in str(
        tags["Xmp.exif.UserComment"]
    )
    assert tags["Xmp.photoshop.City"] == "Lyon"
    text = (library / "day" / "01.jpg.xmp").read_text()
    assert "placed by hand in a review" in text
    assert undo(three.with_suffix(".log.jsonl")) == (3, [])
    assert contents(library) == before


def test_an_estimate_that_was_applied_is_not_a_measured_position(three, library):
    apply(three, Sidecars("digikam"))
    assert read_exif(library / "day" / "00.jpg").lat is None


def test_copies_are_tagged_beside_an_unchanged_library_and_removed_by_undo(three, library):
    before = contents(library)
    copies = three.parent / "tagged"
    assert apply(three, Copies(copies, library)) == (Summary(3, 0, 0), [])
    assert contents(library) == before
    names = [p.relative_to(copies).as_posix() for p in sorted(copies.rglob("*.jpg"))]
    assert names == ["day/00.jpg", "day/01.jpg", "day/02.jpg"]
    assert written_position(copies / "day" / "01.jpg") == pytest.approx((1.5, -2.25), abs=1e-6)
    assert undo(three.with_suffix(".log.jsonl")) == (3, [])
    assert not copies.exists()
    assert contents(library) == before


def test_a_measured_position_is_kept(tmp_path, library):
    Image.new("RGB", (40, 30)).save(library / "gps.jpg", exif=gps_exif(10.0, 20.0))
    decisions = save(tmp_path / "d.json", library, decision(library, "gps.jpg"))
    before = contents(library)
    for target in (Sidecars("digikam"), Copies(tmp_path / "copies", library)):
        done, lines = apply(decisions, target)
        assert (done, lines) == (
            Summary(0, 1, 0), ["gps.jpg: has a position already, which is kept"],
        )  # fmt: skip
    assert contents(library) == before
    assert not (tmp_path / "copies").exists()


def test_decisions_that_no_longer_fit_are_named_one_by_one_and_the_others_are_written(
    three, library
):
    (library / "day" / "00.jpg").unlink()
    Image.new("RGB", (50, 50), "red").save(library / "day" / "01.jpg")
    done, lines = apply(three, Sidecars("digikam"))
    assert done == Summary(1, 0, 2)
    assert lines == [
        "day/00.jpg: is not in the library any more; place the library again",
        "day/01.jpg: has changed since the review; place the library again",
    ]
    assert [p.name for p in library.rglob("*.xmp")] == ["02.jpg.xmp"]


def test_photos_that_were_moved_within_the_library_are_found_by_content(three, library):
    (library / "new").mkdir()
    (library / "day" / "00.jpg").rename(library / "new" / "renamed.jpg")
    assert apply(three, Sidecars("digikam")) == (Summary(3, 0, 0), [])
    assert (library / "new" / "renamed.jpg.xmp").is_file()


@pytest.mark.parametrize("name", ["../outside.jpg", "/etc/hosts", "day/../../outside.jpg"])
def test_files_outside_the_library_are_never_touched(tmp_path, library, name):
    (tmp_path / "outside.jpg").write_bytes((library / "day" / "00.jpg").read_bytes())
    entry = decision(library, "day/00.jpg") | {"photo": name}
    decided = read_decisions(save(tmp_path / "d.json", library, entry))
    (found,) = match_library(decided, library)
    assert (found.file, found.problem) == (
        None, f"{name}: lies outside the library, and is left out",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "holds no decisions"), ("[]", "holds no decisions"), ("{}", "holds no decisions"),
     ('{"schema_version": 9, "library": "x", "photos": []}', "another version"),
     ('{"schema_version": 1, "library": "x", "photos": 3}', "holds no decisions"),
     ("[" * 100_000, "holds no decisions")],
)  # fmt: skip
def test_a_file_that_holds_no_decisions_is_one_line(tmp_path, content, reason):
    path = tmp_path / "d.json"
    path.write_text(content)
    with pytest.raises(GeolocError, match=rf"d\.json: .*{reason}.*export it again"):
        read_decisions(path)
    with pytest.raises(GeolocError, match=r"none\.json: No such file"):
        read_decisions(tmp_path / "none.json")


@pytest.mark.parametrize(
    "changes",
    [{"lat": 91}, {"lat": None}, {"lat": True}, {"lon": "2"}, {"lat": 0, "lon": 0},
     {"radius_80_km": -1}, {"photo": 3}, {"decision": "maybe"}, {"lat": 1e400}],
)  # fmt: skip
def test_impossible_entries_are_named_and_the_others_are_used(tmp_path, library, changes):
    good = decision(library, "day/00.jpg")
    path = save(tmp_path / "d.json", library, good | changes, good, {"photo": "x"}, 7)
    decided = read_decisions(path)
    assert [each.photo for each in decided.photos] == ["day/00.jpg"]
    assert len(decided.problems) == 3
    assert "entry 1 cannot be used" in decided.problems[0]


def test_a_repeated_run_changes_nothing(three, library):
    apply(three, Sidecars("digikam"))
    log = three.with_suffix(".log.jsonl")
    before, logged = contents(library), log.read_bytes()
    assert apply(three, Sidecars("digikam")) == (Summary(3, 0, 0), [])
    assert (contents(library), log.read_bytes()) == (before, logged)


def test_two_applications_are_undone_by_one_log(tmp_path, three, library):
    before = contents(library)
    apply(three, Sidecars("digikam"))
    apply(three, Copies(tmp_path / "tagged", library))
    assert undo(three.with_suffix(".log.jsonl")) == (6, [])
    assert contents(library) == before


def full_after(monkeypatch, number: int, name: str) -> None:
    """Let the disk be full for files that contain `name`, after `number` of them."""
    original, count = Path.write_bytes, [0]

    def write_bytes(self, data):
        if name in self.name:
            count[0] += 1
            if count[0] > number:
                with self.open("wb") as file:
                    file.write(data[: len(data) // 2])  # what a full disk leaves behind
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return original(self, data)

    monkeypatch.setattr(atomic.Path, "write_bytes", write_bytes)


def test_a_full_disk_leaves_nothing_half_written_and_the_log_tells_what_was_done(
    three, library, monkeypatch
):
    before = contents(library)
    full_after(monkeypatch, 1, ".xmp")
    with pytest.raises(GeolocError, match=r"01\.jpg\.xmp: No space left .*; 1 of 3 photos are wri"):
        apply(three, Sidecars("digikam"))
    assert [p.name for p in library.rglob("*.xmp*")] == ["00.jpg.xmp"]
    log = three.with_suffix(".log.jsonl")
    done = [json.loads(line).get("done") for line in log.read_text().splitlines()]
    assert [Path(name).name for name in done if name] == ["00.jpg.xmp"]
    monkeypatch.undo()
    assert undo(log) == (1, [])
    assert contents(library) == before


def test_a_log_that_cannot_be_written_stops_before_the_library_is_touched(three, library):
    before = contents(library)
    three.with_suffix(".log.jsonl").mkdir()
    with pytest.raises(GeolocError, match=r"decisions\.log\.jsonl: .*0 of 3 photos"):
        apply(three, Sidecars("digikam"))
    assert contents(library) == before


def test_a_torn_last_line_of_the_log_does_not_matter(three, library):
    before = contents(library)
    log = three.with_suffix(".log.jsonl")
    log.write_bytes(b'{"file": "/half a li')
    apply(three, Sidecars("digikam"))
    assert undo(log) == (3, [])
    assert contents(library) == before


def test_a_read_only_library_is_named_with_the_remedy(three, library, monkeypatch):
    def refuse(path, content):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("geoloc.trips.review.changes.atomic_write_bytes", refuse)
    done, lines = apply(three, Sidecars("digikam"))
    assert done == Summary(0, 0, 3)
    assert len(lines) == 3
    assert "00.jpg.xmp: Read-only file system; make it writable, or write copies" in lines[0]


def test_files_that_changed_after_the_application_stay_as_they_are(three, library):
    apply(three, Sidecars("digikam"))
    changed = library / "day" / "00.jpg.xmp"
    changed.write_text("mine")
    undone, lines = undo(three.with_suffix(".log.jsonl"))
    assert (undone, lines) == (2, [f"{changed}: has changed since, and stays as it is"])
    assert changed.read_text() == "mine"


def test_copies_inside_the_library_are_refused(library):
    with pytest.raises(GeolocError, match=r"lies in .*choose a folder outside"):
        Copies(library / "tagged", library)


def test_another_file_is_no_log(tmp_path):
    (tmp_path / "a.txt").write_text("hello\n")
    with pytest.raises(GeolocError, match=r"a\.txt: no log of `geoloc trip apply`"):
        read_changes(tmp_path / "a.txt")
