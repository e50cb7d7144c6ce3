"""Times and tracks that cannot be true: each is one line, and the other photos go on."""

from datetime import datetime

import numpy as np
import pytest

from geoloc.trips.clues.photos import LibraryPhoto
from geoloc.trips.clues.positions import fitting
from geoloc.trips.clues.times import PhotoTime, name_time
from geoloc.trips.clues.tracks import Track
from geoloc.trips.journey import set_clocks
from geoloc.trips.model.parameters import TripParameters
from geoloc.trips.model.persons import place_all
from geoloc.trips.moves import Sights
from tests.geoloc.trips.model.test_smoothing import evidence

START = 1_700_000_000.0


def taken(times, camera="Canon EOS"):
    photos = [
        LibraryPhoto(f"{i:02}.jpg", "", camera, PhotoTime(at, 0.0, None, "exif"), None, None)
        for i, at in enumerate(times)
    ]
    nowhere = np.full((len(photos), 2), np.nan)
    return set_clocks(photos, Sights(nowhere, evidence([5] * len(photos)), TripParameters()))


def test_a_track_of_another_journey_is_left_out_with_one_line():
    track = Track("alps.gpx", START + np.arange(4) * 600.0, np.full((4, 2), [47.0, 8.0]))
    times, known = START + np.array([300.0, 900.0]), np.array([[-33.9, 151.2], [np.nan, np.nan]])
    kept, lines = fitting([track], times, known)
    assert not kept
    assert len(lines) == 1
    assert "alps.gpx" in lines[0]
    assert "give the track of this journey" in lines[0]


def test_a_track_that_nobody_gets_to_from_the_photos_around_it_is_left_out_with_one_line():
    track = Track("sydney.gpx", START + np.arange(4) * 600.0, np.full((4, 2), [-33.9, 151.2]))
    times, known = START + np.array([-3000.0, 900.0]), np.array([[47.0, 8.0], [np.nan, np.nan]])
    kept, (line,) = fitting([track], times, known)
    assert not kept
    assert line.startswith("sydney.gpx: left out, because nobody gets from it")
    kept, lines = fitting([track], times, np.array([[-33.0, 151.0], [np.nan, np.nan]]))
    assert (kept, lines) == ([track], [])


def test_a_track_of_another_year_is_left_out_with_one_line():
    track = Track("alps.gpx", START - 4e7 + np.arange(4) * 600.0, np.full((4, 2), [47.0, 8.0]))
    kept, lines = fitting([track], START + np.arange(3.0), np.full((3, 2), np.nan))
    assert not kept
    assert len(lines) == 1


@pytest.mark.parametrize(("stated_h", "assumed_h"), [(11.0, 11.0), (None, 10.0), (1.0, 10.0)])
def test_a_camera_without_a_zone_has_that_of_the_phone_beside_it(stated_h, assumed_h):
    """In Sydney in summer; a phone that states the zone of Europe there is not believed."""
    zone = None if stated_h is None else stated_h * 3600.0
    photos = [
        LibraryPhoto("p.jpg", "", "Phone", PhotoTime(START, zone, None, "exif"), -33.9, 151.2),
        LibraryPhoto("c.jpg", "", "Camera", PhotoTime(START + 60, None, None, "exif"), None, None),
    ]
    known = np.array([[-33.9, 151.2], [np.nan, np.nan]])
    times = set_clocks(photos, Sights(known, evidence([5, 5]), TripParameters()))
    assert times.zone_s[1] == assumed_h * 3600.0


def test_photos_of_one_second_have_no_time():
    times = taken([START] * 20)
    assert np.isnan(times.utc_s).all()
    assert any("20 photos have one and the same second" in line for line in times.problems)


@pytest.mark.parametrize("year", [1970, 1980, 1989, 2090])
def test_a_time_that_cannot_be_true_is_named_and_the_others_are_kept(year):
    wrong = datetime.fromisoformat(f"{year}-06-01T12:00:00+00:00").timestamp()
    times = taken([START, wrong, START + 60.0])
    assert np.isnan(times.utc_s).tolist() == [False, True, False]
    (line,) = times.problems
    assert line.startswith("01.jpg: time before 1990 or in the future")


@pytest.mark.parametrize("name", ["IMG_202403.jpg", "2024-03.jpg", "IMG_20240300_101010.jpg"])
def test_a_file_name_without_a_day_is_no_time(name):
    assert name_time(name).local_s is None


def test_two_cameras_of_one_model_in_two_folders_keep_their_own_journeys():
    time_s = np.repeat(np.arange(10) * 600.0, 2)
    known = np.full((20, 2), np.nan)
    known[0], known[18], known[1], known[19] = (47, 8), (47.1, 8.1), (10, 100), (10.1, 100.1)
    names = ["ann/1.jpg", "ben/1.jpg"] * 10
    placed = place_all(["Pixel 7"] * 20, names, time_s, known, evidence([5] * 20), TripParameters())
    assert (placed.latlon[::2, 0] > 40.0).all()
    assert (placed.latlon[1::2, 0] < 20.0).all()


@pytest.mark.parametrize("camera", ["", "Pixel 7"], ids=["no name", "one model"])
def test_two_alike_cameras_are_told_apart_by_the_numbers_of_their_files(camera):
    time_s = np.arange(24) * 300.0
    known = np.full((24, 2), np.nan)
    known[0], known[22], known[1], known[23] = (47, 8), (47.1, 8.1), (10, 100), (10.1, 100.1)
    names = [f"DSC{(100 if i % 2 else 7200) + i:05}.JPG" for i in range(24)]
    placed = place_all([camera] * 24, names, time_s, known, evidence([5] * 24), TripParameters())
    assert (placed.latlon[::2, 0] > 40.0).all()
    assert (placed.latlon[1::2, 0] < 20.0).all()


@pytest.mark.parametrize(
    "names",
    [
        [f"DSC{(i * 37) % 9999:05}.JPG" for i in range(24)],
        [f"{i * 7919 % 1000003:06}.jpg" for i in range(24)],
        [f"IMG_20240305_{100000 + i}.jpg" for i in range(24)],
        [f"DSC{(9990 + i - 1) % 9999 + 1:05}.JPG" for i in range(24)],
    ],
    ids=["gaps", "no order", "dates", "counter starts again"],
)
@pytest.mark.parametrize("camera", ["", "Pixel 7"], ids=["no name", "one model"])
def test_one_camera_stays_one(names, camera):
    time_s = np.arange(24) * 300.0
    known = np.full((24, 2), np.nan)
    known[0], known[23] = (47.0, 8.0), (47.1, 8.1)
    placed = place_all([camera] * 24, names, time_s, known, evidence([5] * 24), TripParameters())
    assert set(placed.case[1:23].tolist()) == {"between"}
