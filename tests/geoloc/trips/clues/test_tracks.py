import json
import struct
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest

from geoloc.trips.clues.tracks import TrackError, read

KML = (
    '<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">'
    "<Placemark><gx:Track><when>2024-03-05T09:00:00Z</when><when>2024-03-05T09:01:00Z</when>"
    "<gx:coord>8.0 47.0 400</gx:coord><gx:coord>8.01 47.01 400</gx:coord></gx:Track></Placemark>"
    "</kml>"
)


def test_kml_and_kmz_tracks_have_the_same_points(tmp_path):
    (tmp_path / "a.kml").write_text(KML)
    with zipfile.ZipFile(tmp_path / "a.kmz", "w") as archive:
        archive.writestr("doc.kml", KML)
    one, two = (read(tmp_path / name)[0] for name in ("a.kml", "a.kmz"))
    assert one.latlon.tolist() == two.latlon.tolist() == [[47.0, 8.0], [47.01, 8.01]]
    assert one.utc_s[1] - one.utc_s[0] == 60.0


@pytest.mark.parametrize(
    "export",
    [
        {"locations": [{"latitudeE7": 47e7, "longitudeE7": 8e7, "timestampMs": "1709629200000"}]},
        {"locations": [
            {"latitudeE7": 47e7, "longitudeE7": 8e7, "timestamp": "2024-03-05T09:00:00Z"}
        ]},
        {"timelineObjects": [{"placeVisit": {
            "location": {"latitudeE7": 47e7, "longitudeE7": 8e7},
            "duration": {"startTimestamp": "2024-03-05T09:00:00Z",
                         "endTimestamp": "2024-03-05T10:00:00Z"}}}]},
        {"semanticSegments": [{"startTime": "2024-03-05T10:00:00+01:00",
                               "endTime": "2024-03-05T11:00:00+01:00", "timelinePath": [
            {"point": "47.0°, 8.0°", "time": "2024-03-05T10:00:00+01:00"}]}]},
        [{"startTime": "2024-03-05T09:00:00Z", "endTime": "2024-03-05T10:00:00Z", "timelinePath": [
            {"point": "geo:47.0,8.0", "durationMinutesOffsetFromStartTime": "0"}]}],
    ],
)  # fmt: skip
def test_every_kind_of_timeline_export_is_read(tmp_path, export):
    path = tmp_path / "timeline.json"
    path.write_text(json.dumps(export))
    track, _ = read(path)
    assert track.latlon[0].tolist() == [47.0, 8.0]
    assert track.utc_s[0] == 1709629200.0


def test_points_nobody_could_reach_are_left_out_and_counted(tmp_path):
    path = tmp_path / "a.json"
    fixes = [
        {"latitudeE7": lat * 1e7, "longitudeE7": 8e7, "timestampMs": str(1709629200000 + k * 60000)}
        for k, lat in enumerate((47.0, 47.001, 12.0, 47.002, 47.003, 0.0))
    ]
    fixes[-1]["longitudeE7"] = 0
    path.write_text(json.dumps({"locations": fixes}))
    track, lines = read(path)
    assert track.latlon[:, 0].tolist() == [47.0, 47.001, 47.002, 47.003]
    assert len(lines) == 2


FIT_EPOCH = datetime(1989, 12, 31, tzinfo=UTC).timestamp()
CRC_TABLE = (
    0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
    0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
)  # fmt: skip


def fit_crc(content):
    """Return the checksum of the FIT protocol, nibble by nibble."""
    crc = 0
    for byte in content:
        for nibble in (byte & 0xF, byte >> 4):
            crc = (crc >> 4) ^ CRC_TABLE[crc & 0xF] ^ CRC_TABLE[nibble]
    return struct.pack("<H", crc)


def fit_file(points):
    """Return a FIT file whose records have a time, and a position or none."""
    fields = ((253, 4, 0x86), (0, 4, 0x85), (1, 4, 0x85))  # time uint32, lat and lon sint32
    body = struct.pack("<BBBHB", 0x40, 0, 0, 20, len(fields))
    body += b"".join(struct.pack("<BBB", *field) for field in fields)
    for utc_s, *latlon in points:
        place = [0x7FFFFFFF] * 2 if latlon[0] is None else [
            round(each * 2**31 / 180.0) for each in latlon
        ]  # fmt: skip
        body += struct.pack("<BIii", 0, int(utc_s - FIT_EPOCH), *place)
    header = struct.pack("<BBHI4s", 14, 0x20, 2132, len(body), b".FIT")
    content = header + fit_crc(header) + body
    return content + fit_crc(content)


def test_a_fit_file_is_read_without_its_records_that_have_no_position(tmp_path):
    path = tmp_path / "ride.fit"
    start = 1709629200.0
    path.write_bytes(
        fit_file([(start, 47.0, -8.0), (start + 60, None), (start + 120, 47.01, -8.02)])
    )
    track, lines = read(path)
    assert track.utc_s.tolist() == [start, start + 120.0]
    assert track.latlon == pytest.approx(np.array([[47.0, -8.0], [47.01, -8.02]]), abs=1e-6)
    assert not lines


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.gpx", "<gpx"), ("a.kml", "<!DOCTYPE x><kml/>"), ("a.kmz", "no"), ("a.fit", "no"),
        ("a.json", "{}"), ("a.txt", ""), ("b.kml", "<kml/>"),
    ],
)  # fmt: skip
def test_files_without_a_track_are_one_line_with_their_name(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(TrackError, match=name) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_track_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(TrackError, match=r"none\.gpx: No such file or directory; check the path"):
        read(tmp_path / "none.gpx")
