import numpy as np
import pytest
from PIL import Image

from geoloc.errors import GeolocError
from geoloc.trips import locate_library


def photo(path, taken=None, position=None, camera="Pinhole One", seed=0, offset=None):
    """Write a JPEG with EXIF."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((96, 72), Image.Resampling.BILINEAR)
    exif = Image.Exif()
    exif[0x0110] = camera
    if taken:
        detail = exif.get_ifd(0x8769)
        detail[0x9003] = taken
        if offset:
            detail[0x9011] = offset
    if position:
        gps = exif.get_ifd(0x8825)
        for (tag, letters), value in zip(((1, "NS"), (3, "EW")), position, strict=True):
            gps[tag] = letters[value < 0]
            degrees = abs(value)
            gps[tag + 1] = (int(degrees), int(degrees % 1 * 60), degrees * 60 % 1 * 60)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, exif=exif)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Three photos within twenty minutes, the outer two with GPS, and an unreadable file."""
    folder = tmp_path_factory.mktemp("library")
    photo(folder / "a.jpg", "2024:03:05 10:00:00", (48.0, 2.0), seed=1)
    photo(folder / "b.jpg", "2024:03:05 10:05:00", seed=2)
    photo(folder / "c.jpg", "2024:03:05 10:20:00", (48.02, 2.04), seed=3)
    (folder / "d.jpg").write_bytes(b"not a photo")
    return folder


def test_a_photo_between_two_geotags_is_interpolated_in_time(library):
    trip = locate_library(library, bundle="starter")
    measured, between, _ = trip.photos
    assert (measured.kind, between.kind) == ("measured", "interpolated")
    assert (between.lat, between.lon) == pytest.approx((48.005, 2.01), abs=1e-4)
    assert "4 minutes" in between.how
    assert len(trip.stays) >= 1
    assert any("d.jpg" in line for line in trip.problems)


def test_a_track_places_photos_without_geotags(tmp_path):
    photo(tmp_path / "photos" / "a.jpg", "2024:03:05 10:05:00", offset="+01:00")
    gpx = tmp_path / "walk.gpx"
    points = "".join(
        f'<trkpt lat="{47 + minute / 100}" lon="8">'
        f"<time>2024-03-05T09:{minute:02}:00Z</time></trkpt>"
        for minute in range(0, 20, 2)
    )
    gpx.write_text(
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>"
    )
    pytest.importorskip("gpxpy")
    trip = locate_library(tmp_path / "photos", [gpx], bundle="starter")
    assert (trip.photos[0].lat, trip.photos[0].lon) == pytest.approx((47.05, 8.0), abs=1e-3)
    assert trip.photos[0].taken_at == "2024-03-05T10:05:00+01:00"
    assert trip.tracks


def test_a_track_corrects_a_clock_that_is_two_hours_slow(tmp_path):
    pytest.importorskip("gpxpy")
    minutes = np.arange(0, 60, 2)
    lat = 47 + np.cumsum(np.random.default_rng(0).uniform(0.002, 0.02, len(minutes)))
    for number in range(10):
        shown, place = f"2024:03:05 07:{3 * 2 * number:02}:00", (float(lat[3 * number]), 8.0)
        photo(tmp_path / "photos" / f"{number}.jpg", shown, place, seed=number, offset="+00:00")
    points = "".join(
        f'<trkpt lat="{at}" lon="8"><time>2024-03-05T09:{minute:02}:00Z</time></trkpt>'
        for minute, at in zip(minutes, lat, strict=True)
    )
    gpx = tmp_path / "walk.gpx"
    gpx.write_text(
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>"
    )
    (clock,) = locate_library(tmp_path / "photos", [gpx], bundle="starter").clocks
    assert clock.applied
    assert clock.evidence == "moves like the track walk.gpx"
    assert clock.offset_s == pytest.approx(7200.0, abs=60.0)


def test_a_table_of_known_places_counts_like_a_measurement(library, tmp_path):
    table = tmp_path / "known.csv"
    table.write_text("file,lat,lon\nb.jpg,47.5,3.5\nzzz.jpg,1,1\n")
    trip = locate_library(library, bundle="starter", fixed=table)
    assert (trip.photos[1].kind, trip.photos[1].lat) == ("measured", 47.5)
    assert any("zzz.jpg" in line for line in trip.problems)


def test_photos_without_times_are_placed_alone_and_the_trip_says_so(tmp_path):
    for number in range(2):
        photo(tmp_path / f"{number}.jpg", seed=number)
    trip = locate_library(tmp_path, bundle="starter")
    assert {each.kind for each in trip.photos} == {"guessed"}
    assert any("--assume-order" in line for line in trip.problems)
    assert locate_library(tmp_path, bundle="starter", assume_order=True).photos[0].taken_at is None


def test_unreadable_files_are_named_one_by_one_and_the_others_placed(tmp_path):
    for number in range(3):
        photo(tmp_path / f"{number}.jpg", f"2024:03:05 10:0{number}:00", (48.0, 2.0), seed=number)
        (tmp_path / f"{number}-broken.jpg").write_bytes(b"not a photo")
    trip = locate_library(tmp_path, bundle="starter")
    assert {each.kind for each in trip.photos} == {"measured"}
    assert len(trip.photos) == 3
    assert [sum(f"{n}-broken.jpg" in line for line in trip.problems) for n in range(3)] == [1] * 3


def test_a_folder_without_photos_is_an_error(tmp_path):
    with pytest.raises(GeolocError, match="no photos"):
        locate_library(tmp_path, bundle="starter")
