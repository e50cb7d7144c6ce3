"""The tab "Library": uploads become a review in a frame; nothing is kept."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo extra is not installed")

from demo.page.many import library
from demo.server import _check_library
from geoloc.errors import GeolocError
from geoloc.output.map import base
from tests.demo.states import check_state, check_words
from tests.geoloc.trips.made import make_trip, write_photos

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Places photos as in the trip that was made by hand; notes what it was given."""
    given = {}

    def place(photos, tracks=(), *, bundle):
        found = sorted(path.name for path in Path(photos).rglob("*.jpg"))
        given.update(folder=Path(photos), found=found, tracks=[path.name for path in tracks])
        trip = make_trip()
        placed = tuple(
            replace(photo, photo=Path(photo.photo).name) for photo in trip.photos[: len(found)]
        )
        return replace(trip, photos=placed)

    monkeypatch.setattr(library, "locate_library", place)
    monkeypatch.setattr(base, "MAX_TILES", 1)
    return given


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    write_photos(tmp_path / "journey")
    return sorted((tmp_path / "journey").rglob("*.jpg"))


def test_photos_and_a_track_are_reviewed_in_the_tab(
    visit, serve, geolocator, photos, tmp_path, quick
):
    (tmp_path / "walk.gpx").write_text("<gpx/>")
    tab = visit(serve(geolocator), 1280, 1000)
    tab.get_by_role("tab", name="Library").click()
    check_state(tab, "library")
    tab.get_by_label("Photos and tracks").set_input_files([*photos, tmp_path / "walk.gpx"])
    frame = tab.frame_locator("iframe.review")
    expect(frame.locator("h1")).to_have_text("10 photos in 5 groups")
    check_state(tab, "library-review")
    check_words(tab.frames[-1])
    assert quick["tracks"] == ["walk.gpx"]
    assert quick["found"] == [path.name for path in photos]
    assert not quick["folder"].exists(), "the copies of the uploads are deleted"
    frame.get_by_role("button", name="Accept all within").click()
    with tab.expect_download() as download:
        frame.get_by_role("button", name="Export decisions").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["library"] == "."
    assert [each["photo"] for each in saved["photos"]] == ["02.jpg", "03.jpg", "04.jpg", "08.jpg"]


def test_the_library_of_the_owner_is_offered_by_name(visit, serve, geolocator, photos, tmp_path):
    tab = visit(serve(geolocator, library=tmp_path / "journey"), 390, 844)
    tab.get_by_role("tab", name="Library").click()
    tab.get_by_role("button", name="Place ").click()
    frame = tab.frame_locator("iframe.review")
    expect(frame.locator("h1")).to_have_text("10 photos in 5 groups")


def test_files_without_a_photo_are_refused_in_one_line(geolocator, tmp_path):
    with pytest.raises(GeolocError, match="no photo is among these files"):
        library.review_uploads([tmp_path / "walk.gpx"], geolocator)
    many = [tmp_path / f"{i}.jpg" for i in range(library.MAX_PHOTOS + 1)]
    with pytest.raises(GeolocError, match="301 photos; choose at most 300"):
        library.review_uploads(many, geolocator)


def test_photos_of_the_same_name_are_all_placed(geolocator, photos, tmp_path, quick):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "00.jpg").write_bytes(photos[1].read_bytes())
    library.review_uploads([photos[0], tmp_path / "b" / "00.jpg"], geolocator)
    assert quick["found"] == ["00-2.jpg", "00.jpg"]
    assert not list(Path(tempfile.gettempdir()).glob("*/00-2.jpg"))


def test_a_blurring_server_has_no_such_tab(visit, serve, geolocator):
    tab = visit(serve(geolocator, exact=False))
    tab.get_by_role("tab", name="Play").wait_for()
    expect(tab.get_by_role("tab", name="Library")).to_have_count(0)


def test_photos_of_the_owner_are_shown_on_this_machine_only(tmp_path):
    _check_library(None, "0.0.0.0")
    _check_library(tmp_path, "127.0.0.1")
    with pytest.raises(GeolocError, match="shows your photos to"):
        _check_library(tmp_path, "0.0.0.0")
    with pytest.raises(GeolocError, match="no such folder"):
        _check_library(tmp_path / "none", "localhost")
