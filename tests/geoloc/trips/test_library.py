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
    share = (between.lat - 48.0) / 0.02  # a quarter of the time, of which some is spent at a.jpg
    assert 0.15 < share <= 0.25
    assert between.lon == pytest.approx(2.0 + 0.04 * share, abs=1e-4)
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


def test_a_position_of_0_0_is_none_and_times_that_cannot_be_are_named(tmp_path):
    photo(tmp_path / "a.jpg", "2024:03:05 10:00:00", (48.0, 2.0), seed=1)
    photo(tmp_path / "zero.jpg", "2024:03:05 10:10:00", (0.0, 0.0), seed=2)
    photo(tmp_path / "c.jpg", "2024:03:05 10:20:00", (48.02, 2.04), seed=3)
    photo(tmp_path / "old.jpg", "1970:01:01 00:00:12", seed=4)
    photo(tmp_path / "future.jpg", "2099:03:05 10:10:00", seed=5)
    photo(tmp_path / "IMG-20240305-WA0001.jpg", seed=6)
    trip = locate_library(tmp_path, bundle="starter")
    found = {each.photo: each for each in trip.photos}
    assert (found["zero.jpg"].kind, found["zero.jpg"].lat) == (
        "interpolated", pytest.approx(48.01, abs=1e-3),
    )  # fmt: skip
    for name in ("old.jpg", "future.jpg", "IMG-20240305-WA0001.jpg"):
        assert (found[name].kind, found[name].taken_at) == ("guessed", None)
    assert [line for line in trip.problems if "1990" in line] == [
        "future.jpg: time before 1990 or in the future, not used (2 photos);"
        " give the camera's correction with --clock"
    ]


def test_a_track_with_a_gap_places_the_photos_in_it_with_larger_radii(tmp_path):
    pytest.importorskip("gpxpy")
    for hour in (9, 12):
        photo(tmp_path / "p" / f"{hour}.jpg", f"2024:03:05 {hour:02}:05:00", offset="+00:00")
    minutes = [*range(9 * 60, 9 * 60 + 11, 2), *range(15 * 60, 15 * 60 + 11, 2)]
    points = "".join(
        f'<trkpt lat="{47 + minute / 1000}" lon="8"><time>2024-03-05T{minute // 60:02}:'
        f"{minute % 60:02}:00Z</time></trkpt>"
        for minute in minutes
    )
    (tmp_path / "gap.gpx").write_text(
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>"
    )
    on, within = locate_library(tmp_path / "p", [tmp_path / "gap.gpx"], bundle="starter").photos
    assert on.radius_80_km < 0.2
    assert within.radius_80_km > 10 * on.radius_80_km


def test_a_folder_without_photos_is_an_error(tmp_path):
    with pytest.raises(GeolocError, match="no photos"):
        locate_library(tmp_path, bundle="starter")
