import base64
import gzip
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from demo.page import rendering, view
from demo.page.controller import DELETED, EXPORTS, MAX_PHOTOS, UNREAD, Controller
from demo.page.runs import RUNS, Run
from demo.page.session import Asked, Cancelled
from geoloc.belief.witnesses.options import WitnessOptions
from geoloc.encoders.base import Preprocessing
from geoloc.errors import ConstraintError, GeolocError, PhotoError
from geoloc.photos.decode import read_exif
from tests.demo.fakes import FakeGeolocator
from tests.demo.guesses import SYDNEY


def anywhere():
    return Asked()


def blur_location(guess):
    """Round to whole degrees and remove the town."""
    place = replace(SYDNEY, town="")
    candidates = tuple(
        replace(item, lat=float(round(item.lat)), lon=float(round(item.lon)), place=place)
        for item in guess.candidates
    )
    return replace(guess, lat=-34.0, lon=151.0, place=place, candidates=candidates)


@pytest.fixture
def controller(geolocator):
    return Controller({"fake": geolocator}, lambda guess: guess)


def test_photos_are_encoded_once(controller, geolocator, photo, plain, broken):
    shown = controller.locate([photo, broken, plain], "fake", False, anywhere)
    session = shown["session"]
    assert geolocator.encoder.encoded == 2
    assert [guess.photo for guess in session.guesses] == ["holiday.jpg", "plain.png"]
    assert isinstance(session.answer(1), PhotoError)
    assert session.answer(2).photo == "plain.png"
    again = controller.rerank(session, True, lambda: Asked(("Tasmania, Australia",)))
    assert len(again["session"].guesses[0].photos) == 2
    assert again["session"].guesses[0].within == "Tasmania, Australia"
    assert "cannot be read" in controller.select(again["session"], 1)["answer"]
    assert geolocator.encoder.encoded == 2


def test_an_invalid_form_is_reported_and_ignored(controller, plain):
    def wrong():
        raise ConstraintError("no such place")

    shown = controller.locate([plain], "fake", False, wrong)
    assert shown["notice"] == "no such place"
    assert shown["session"].guesses[0].within is None
    assert controller.rerank(shown["session"], False, wrong) == {"notice": "no such place"}
    outside = controller.rerank(shown["session"], False, lambda: Asked(("Peru",)))
    assert "the model has no place there" in outside["notice"]


def test_a_cancelled_run_ends_before_its_next_photo(controller, geolocator, photo, plain):
    RUNS.cancel("run 7")
    with pytest.raises(Cancelled):
        controller.locate([photo, plain], "fake", False, anywhere, "run 7")
    assert geolocator.encoder.encoded == 0
    assert controller.locate([photo, plain], "fake", False, anywhere, "run 8")["session"].guesses
    assert RUNS.of("run 8") == Run(photos=2, read=2)
    assert RUNS.of("no run") == Run()


def test_another_bundle_with_the_same_encoder_answers_without_the_photo(photo, broken):
    bundles = FakeGeolocator("first"), FakeGeolocator("second")
    controller = Controller({each.bundle.name: each for each in bundles}, lambda guess: guess)
    session = controller.locate([photo, broken], "first", False, anywhere, "run")["session"]
    photo.unlink()  # long after the upload
    shown = controller.switch(session, "second", False, lambda: Asked(("Tasmania, Australia",)))
    assert shown["session"].guesses[0].bundle == "second"
    assert shown["session"].guesses[0].within == "Tasmania, Australia"
    assert [each.encoder.encoded for each in bundles] == [1, 0]


def test_another_encoder_encodes_again_and_asks_for_a_photo_that_was_deleted(photo):
    bundles = FakeGeolocator("first"), FakeGeolocator("second", encoder="another")
    controller = Controller({each.bundle.name: each for each in bundles}, lambda guess: guess)
    session = controller.locate([photo], "first", False, anywhere, "run")["session"]
    shown = controller.switch(session, "second", False, anywhere)
    assert shown["session"].guesses[0].bundle == "second"
    assert shown["session"].run == "run"
    assert [each.encoder.encoded for each in bundles] == [1, 1]
    photo.unlink()
    assert controller.switch(session, "second", False, anywhere) == {"notice": DELETED}


def test_text_of_a_deleted_photo_is_not_passed_over_in_silence(controller, photo):
    session = controller.locate([photo], "fake", False, anywhere, "run")["session"]
    photo.unlink()
    reading = Asked(evidence=WitnessOptions(read_text=True))
    assert controller.rerank(session, False, lambda: reading)["notice"] == UNREAD
    assert controller.rerank(session, False, anywhere)["notice"] == ""


def test_the_server_sends_back_no_photo_that_the_browser_shows_itself(controller, photo, heic):
    own = controller.locate([photo], "fake", False, anywhere, "run 1")["photo"]
    assert 'data-run="run 1" data-index="0"' in own
    assert "data:image" not in own
    for paths, run in (([heic], "run 2"), ([photo], "")):  # of no use to browsers; an example
        sent = controller.locate(paths, "fake", False, anywhere, run)["photo"]
        assert 'src="data:image/jpeg' in sent
    several = controller.locate([photo, heic], "fake", False, anywhere, "run 3")
    assert several["strip"].count('src="data:image/jpeg') == 2
    assert len(several["strip"]) < 20_000


def test_all_photos_of_a_visit_are_on_one_map_with_the_place_that_was_searched(
    controller, photo, plain, broken
):
    asked = Asked(("Tasmania, Australia", "-33.9,151.2,50km"))
    shown = controller.locate([photo, broken, plain], "fake", False, lambda: asked)
    others = [pin for pin in shown["world"]["pins"] if pin["kind"] == "photo"]
    assert [pin["photo"] for pin in others] == [2]
    assert others[0]["title"].startswith("plain.png: ")
    assert len(shown["world"]["searched"]["features"]) == 2
    assert controller.locate([photo], "fake", False, anywhere)["world"]["searched"] is None
    together = controller.locate([plain, broken, photo], "fake", True, anywhere)
    titles = [pin["title"] for pin in together["world"]["pins"] if pin["kind"] == "file"]
    assert titles == ["GPS position in the file holiday.jpg"]
    assert "Left out, because it cannot be read: broken.jpg." in together["answer"]


def test_a_link_holds_the_answer_and_neither_photo_nor_metadata(controller, photo):
    kept = controller.locate([photo], "fake", False, anywhere)["keep"]
    assert kept["title"] == str(SYDNEY)
    assert {pin["kind"] for pin in kept["map"]["pins"]} == {"answer", "other"}
    assert "147.33" not in json.dumps(kept["map"]["window"])  # the position in the file
    assert "data:image" not in json.dumps(kept)


def test_an_answer_is_small(controller, photo, plain):
    shown = controller.locate([photo, plain], "fake", False, anywhere)
    drawn = {name: shown[name] for name in ("world", "keep", "places", "answer", "neighbours")}
    assert len(gzip.compress(json.dumps(drawn).encode())) < 60_000


def test_too_many_photos_are_reported(controller, plain):
    shown = controller.locate([plain] * (MAX_PHOTOS + 2), "fake", False, anywhere)
    assert len(shown["session"].uploads) == MAX_PHOTOS
    assert f"first {MAX_PHOTOS} of {MAX_PHOTOS + 2}" in shown["notice"]


def test_neither_page_nor_exports_contain_the_exact_location(geolocator, photo, plain):
    controller = Controller({"fake": geolocator}, blur_location)
    for together in (False, True):
        shown = controller.locate([plain, photo], "fake", together, anywhere)
        session = shown.pop("session")
        assert shown["world"]["window"][0] < -34.0 < shown["world"]["window"][2]
        for drawn in (shown["world"], shown["keep"]["map"]):  # around the blurred place
            del drawn["regions"], drawn["circle"], drawn["window"]
        saved = [controller.export(session, kind)["base64"] for kind in EXPORTS]
        texts = [base64.b64decode(text).decode() for text in saved]
        texts += [
            json.dumps(shown),
            json.dumps(controller.explain(session)),
        ]
        for text in texts:
            assert "-33.87" not in text
            assert "151.21" not in text


def test_metadata_is_stripped_until_the_upload_is_deleted(controller, photo):
    session = controller.locate([photo], "fake", False, anywhere)["session"]
    file = controller.strip_metadata(session)
    assert file["name"] == "holiday-clean.jpg"
    assert read_exif(photo).lat is not None
    assert read_exif(base64.b64decode(file["base64"])).lat is None
    photo.unlink()
    with pytest.raises((GeolocError, OSError)):
        controller.strip_metadata(session)
    assert controller.explain(session)["attribution"] == ""
    assert controller.rerank(session, False, anywhere)[
        "session"
    ].guesses  # answers outlive the file


def test_the_overlay_colours_supporting_and_opposing_regions():
    grey = Image.new("RGB", (80, 40), (128, 128, 128))
    pixels = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, resize="crop")
    shown = rendering.attribution_overlay(
        grey, pixels, np.array([[2.0, -1.0], [2.0, 0.0]], np.float32)
    )
    assert shown.size == (40, 40)  # the cropped part that the encoder sees
    supporting, opposing = shown.getpixel((2, 2)), shown.getpixel((37, 2))
    assert supporting[0] > supporting[2] + 50
    assert opposing[2] > opposing[0]


def test_thumbnails_are_small_and_without_metadata(photo):
    uri = rendering.image_uri(Image.open(photo).resize((2000, 1000)))
    small = base64.b64decode(uri.partition(",")[2])
    assert Image.open(io.BytesIO(small)).size == (
        rendering.THUMBNAIL_PX,
        rendering.THUMBNAIL_PX // 2,
    )
    assert read_exif(small).lat is None


def test_the_same_place_needs_more_than_one_photo(controller, photo):
    shown = controller.locate([photo], "fake", True, anywhere)
    assert not shown["session"].together
    assert view.strip(shown["session"]) == ""
