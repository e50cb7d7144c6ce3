import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.trips.clues.times import exif_time, iso, name_time, parse_iso, parse_offset

MORNING = 1709631000.0  # 2024-03-05 09:30:00 as if UTC


@pytest.mark.parametrize(
    "name",
    ["IMG_20240305_093000.jpg", "PXL_20240305_093000123.jpg", "2024-03-05 09.30.00.jpg",
     "20240305_093000(0).jpg", "signal-2024-03-05-09-30-00.jpg", "Foto 2024-03-05 at 09.30.00.png"],
)  # fmt: skip
def test_times_in_file_names_are_read(name):
    assert name_time(name).local_s == MORNING


@pytest.mark.parametrize(
    "name",
    ["IMG-20240305-WA0001.jpg", "DSC01234.jpg", "1680959118a60d96.jpg", "IMG_20241399_0.jpg"],
)
def test_names_without_a_time_of_day_have_none(name):
    assert name_time(name).local_s is None


def test_exif_has_offset_sub_seconds_and_a_gps_stamp():
    detail = {0x9003: "2024:03:05 09:30:00", 0x9011: "+01:00", 0x9291: "25"}
    gps = {29: "2024:03:05", 7: (8.0, 30.0, 1.0)}
    time = exif_time({}, detail, gps)
    assert (time.local_s, time.zone_s, time.utc_s) == (MORNING + 0.25, 3600.0, MORNING - 3599.0)


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "2024:13:41 00:00:00", "", None, b"\xff"])
def test_damaged_times_are_none(text):
    assert exif_time({}, {0x9003: text}, {29: text, 7: text}).local_s is None


@given(st.integers(631152000, 4000000000), st.integers(-56, 56))
def test_times_survive_iso(seconds, quarters):
    time = parse_iso(iso(seconds, quarters * 900.0))
    assert (time.local_s or 0.0) - (time.zone_s or 0.0) == seconds


@given(st.text(max_size=12))
def test_offsets_never_raise(text):
    offset = parse_offset(text)
    assert offset is None or abs(offset) <= 15 * 3600
