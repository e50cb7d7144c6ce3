import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from demo.page import pictures, view
from demo.page.controller import EXPORTS, MOST_PHOTOS, Desk
from geoloc.belief.constraints import ConstraintError
from geoloc.encoders.base import Preprocessing
from geoloc.errors import GeolocError, PhotoError
from geoloc.photos.decode import read_exif
from tests.demo.answers import SYDNEY
from tests.demo.conftest import FakeGeolocator


def no_form():
    return None


def coarse(guess):
    """Whole degrees, and no file position."""
    place = replace(SYDNEY, town="")
    candidates = tuple(
        replace(item, lat=float(round(item.lat)), lon=float(round(item.lon)), place=place)
        for item in guess.candidates
    )
    return replace(guess, lat=-34.0, lon=151.0, place=place, candidates=candidates)


@pytest.fixture
def desk(geolocator):
    return Desk({"fake": geolocator}, lambda guess: guess)


def test_photos_are_looked_at_once(desk, geolocator, photo, plain, broken):
    shown = desk.look([photo, broken, plain], "fake", False, no_form)
    session = shown["session"]
    assert geolocator.encoder.looked == 2
    assert [guess.photo for guess in session.guesses] == ["holiday.jpg", "plain.png"]
    assert isinstance(session.answer(1), PhotoError)
    assert session.answer(2).photo == "plain.png"
    again = desk.again(session, True, lambda: "Tasmania, Australia")
    assert again["session"].guesses[0].photos == 2
    assert again["session"].guesses[0].within == "Tasmania, Australia"
    assert "cannot be read" in desk.choose(again["session"], 1)["answer"]
    assert geolocator.encoder.looked == 2


def test_a_form_that_makes_no_sense_is_told_and_left_out(desk, plain):
    def wrong():
        raise ConstraintError("no such place")

    shown = desk.look([plain], "fake", False, wrong)
    assert shown["notice"] == "no such place"
    assert shown["session"].guesses[0].within == ""
    assert desk.again(shown["session"], False, wrong) == {"notice": "no such place"}
    outside = desk.again(shown["session"], False, lambda: "Peru")
    assert "no geocell of this bundle lies there" in outside["notice"]


def test_too_many_photos_are_told(desk, plain):
    shown = desk.look([plain] * (MOST_PHOTOS + 2), "fake", False, no_form)
    assert len(shown["session"].seen) == MOST_PHOTOS
    assert f"first {MOST_PHOTOS} of {MOST_PHOTOS + 2}" in shown["notice"]


def test_nothing_finer_than_allowed_is_shown_or_saved(geolocator, photo, plain):
    desk = Desk({"fake": geolocator}, coarse)
    for together in (False, True):
        shown = desk.look([plain, photo], "fake", together, no_form)
        session = shown.pop("session")
        figure = shown.pop("world").to_dict()
        pins, region = figure["data"][2], figure["data"][0]
        saved = [desk.save(session, kind)["base64"] for kind in EXPORTS]
        texts = [base64.b64decode(text).decode() for text in saved]
        texts += [json.dumps(shown), json.dumps(desk.explain(session)), str(pins), str(region)]
        for text in texts:
            assert "-33.87" not in text
            assert "151.21" not in text


def test_a_photo_is_given_back_clean_as_long_as_it_is_there(desk, photo):
    session = desk.look([photo], "fake", False, no_form)["session"]
    file = desk.clean(session)
    assert file["name"] == "holiday-clean.jpg"
    assert read_exif(photo).lat is not None
    assert read_exif(base64.b64decode(file["base64"])).lat is None
    photo.unlink()
    with pytest.raises((GeolocError, OSError)):
        desk.clean(session)
    assert desk.explain(session)["heat"] == ""
    assert desk.again(session, False, no_form)["session"].guesses  # answers outlive the file


def test_attribution_is_asked_for_once_where_there_is_none(photo, monkeypatch):
    without, calls = FakeGeolocator(), []
    monkeypatch.setattr(without, "attribution", lambda path: calls.append(path))
    desk = Desk({"fake": without}, lambda guess: guess)
    session = desk.look([photo], "fake", False, no_form)["session"]
    assert [desk.explain(session)["heat"] for _ in range(3)] == ["", "", ""]
    assert len(calls) == 1
    patches = np.array([[1.0, -1.0]], np.float32)
    desk = Desk({"fake": FakeGeolocator(patches=patches)}, lambda guess: guess)
    assert "data:image/jpeg" in desk.explain(session)["heat"]


def test_the_heat_map_shows_where_the_photo_speaks():
    grey = Image.new("RGB", (80, 40), (128, 128, 128))
    pixels = Preprocessing(32, (0.5,) * 3, (0.5,) * 3, resize="crop")
    shown = pictures.heat(grey, pixels, np.array([[2.0, -1.0], [2.0, 0.0]], np.float32))
    assert shown.size == (40, 40)  # what the encoder saw
    speaks, against = shown.getpixel((2, 2)), shown.getpixel((37, 2))
    assert speaks[0] > speaks[2] + 50
    assert against[2] > against[0]


def test_thumbnails_are_small_and_silent(photo):
    address = pictures.data_uri(Image.open(photo).resize((2000, 1000)))
    small = base64.b64decode(address.partition(",")[2])
    assert Image.open(io.BytesIO(small)).size == (480, 240)
    assert read_exif(small).lat is None


def test_one_place_needs_more_than_one_photo(desk, photo):
    shown = desk.look([photo], "fake", True, no_form)
    assert not shown["session"].together
    assert view.strip(shown["session"]) == ""
