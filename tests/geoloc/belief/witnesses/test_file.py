"""What the metadata of files say about the place, and how far they are believed."""

import io
import json
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from geoloc.belief.witnesses.camera_markets import market_of, script_of
from geoloc.belief.witnesses.cell_samples import CellSamples
from geoloc.belief.witnesses.file import FileWitness
from geoloc.belief.witnesses.file_tags import offset_min, read_tags, shown_offset
from geoloc.geolocator import Geolocator
from geoloc.photos.decode import load

TAKEN = "2024:06:01 10:30:00"


def photo(exif=None, gps=None, base=None, name="a.jpg", xmp=b""):
    """A decoded photo whose file has the given tags."""
    tags = Image.Exif()
    tags.update(base or {})
    tags.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.DateTimeOriginal: TAKEN} | (exif or {}))
    tags.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    out = io.BytesIO()
    Image.new("RGB", (32, 32)).save(out, "JPEG", exif=tags, xmp=xmp)
    return load(out.getvalue(), name=name)


def offset(text):
    return {ExifTags.Base.OffsetTimeOriginal: text}


@pytest.fixture(scope="module")
def cells():
    return Geolocator.from_bundle("starter").cells


@pytest.fixture(scope="module")
def witness(cells):
    return FileWitness(CellSamples(cells), counted=True)


def best_countries(cells, observation):
    row = observation.log_likelihood
    return set(cells.country[row >= row.max() - 1e-3].tolist())


def test_an_offset_is_the_countries_of_that_zone_on_that_date(witness, cells):
    japan = best_countries(cells, witness.evidence(photo(offset("+09:00"))))
    assert {"JP", "KR"} <= japan
    assert not {"CN", "FR", "US"} & japan
    summer = best_countries(cells, witness.evidence(photo(offset("+02:00"))))
    assert {"FR", "DE", "ZA"} <= summer
    assert not {"GR", "GB"} & summer
    (finding,) = witness.evidence(photo(offset("+09:00"))).findings
    assert "UTC+09:00 on 1 June 2024, as in" in finding.meaning
    assert "Japan" in finding.meaning


def test_a_clock_left_at_home_never_excludes_a_place(witness, cells):
    camera = witness.evidence(photo(offset("+09:00"), base={ExifTags.Base.Make: "Canon"}))
    phone = witness.evidence(photo(offset("+09:00"), base={ExifTags.Base.Make: "Apple"}))
    spread = np.ptp(camera.log_likelihood)
    assert spread < np.ptp(phone.log_likelihood) < 7.0
    assert spread < 4.5


def test_gps_time_counts_before_the_offset_tag_and_both_are_shown(witness, cells):
    gps = {ExifTags.GPS.GPSTimeStamp: (1.0, 31.0, 20.0), ExifTags.GPS.GPSDateStamp: "2024:06:01"}
    said = witness.evidence(photo(offset("+02:00"), gps))
    assert "JP" in best_countries(cells, said)
    assert [(f.kind, f.used) for f in said.findings] == [("GPS time", True), ("offset tag", False)]
    assert "but UTC+02:00" in said.findings[1].meaning


@pytest.mark.parametrize("time", [(1.0, 17.0, 0.0), (23.0, 45.0, 30.0)])
def test_a_wrong_clock_is_shown_and_not_used(witness, time):
    gps = {ExifTags.GPS.GPSTimeStamp: time, ExifTags.GPS.GPSDateStamp: "2024:06:03"}
    said = witness.evidence(photo(gps=gps))
    assert not any(finding.used for finding in said.findings)
    assert "the clock was wrong" in said.findings[0].meaning
    assert said.log_likelihood is None


def test_names_of_files_and_sidecars_are_read(tmp_path, cells):
    content = photo().content
    (tmp_path / "20240601_103000+0900.jpg").write_bytes(content)
    named = read_tags(load(tmp_path / "20240601_103000+0900.jpg"))
    assert [(c.source, c.offset_min) for c in named.clocks] == [("file name", 540)]
    pixel = tmp_path / "PXL_20240601_013000123.jpg"
    pixel.write_bytes(content)
    assert [c.offset_min for c in read_tags(load(pixel)).clocks] == [540]
    plain = tmp_path / "b.jpg"
    plain.write_bytes(content)
    taken = int(datetime(2024, 6, 1, 1, 30).timestamp())
    (tmp_path / "b.jpg.json").write_text(json.dumps({"photoTakenTime": {"timestamp": str(taken)}}))
    xmp = '<x exif:DateTimeOriginal="2024-06-01T10:30:00+09:00"/>'
    (tmp_path / "b.xmp").write_text(xmp)
    assert "XMP" in [c.source for c in read_tags(load(plain)).clocks]


def test_heights_cameras_and_captions_are_read(witness, cells):
    gps = {ExifTags.GPS.GPSAltitude: 3650.0, ExifTags.GPS.GPSImgDirection: 90.0}
    high = witness.evidence(photo(gps=gps))
    heights = CellSamples(cells).heights_m.mean(axis=1)
    best = heights[np.argsort(-high.log_likelihood)[:20]]
    assert np.median(best) > 2500
    assert [f.used for f in high.findings] == [True, False]
    kiss = witness.evidence(photo(base={ExifTags.Base.Model: "Canon EOS Kiss X5"}))
    assert best_countries(cells, kiss) == {"JP"}
    hangul = photo(base={ExifTags.Base.ImageDescription: "caf"}, xmp=b"")
    assert witness.evidence(hangul) is None
    assert script_of("서울 여행")[1] == {"KR", "KP"}
    assert script_of("東京タワー")[0] == "Japanese kana"
    assert script_of("Straße") is None
    assert market_of("Canon EOS 600D") is None


def test_shown_only_unless_asked(cells):
    said = FileWitness(CellSamples(cells), counted=False).evidence(photo(offset("+09:00")))
    assert said.log_likelihood is None
    assert not said.findings[0].used


def test_photos_without_metadata_say_nothing(witness):
    out = io.BytesIO()
    Image.new("RGB", (32, 32)).save(out, "PNG")
    assert witness.evidence(load(out.getvalue())) is None
    assert witness.evidence(load(Image.new("RGB", (32, 32)))) is None


@pytest.mark.parametrize("text", ["+25:00", "+09:07", "-13:00", "9", "", "+0900h", "Z"])
def test_offsets_that_no_zone_has_are_refused(text):
    assert offset_min(text) is None


@settings(max_examples=50)
@given(st.integers(-48, 56))
def test_offsets_are_read_as_they_are_shown(quarters):
    assert offset_min(shown_offset(15 * quarters).removeprefix("UTC")) == 15 * quarters


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=20),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3),
)
def test_no_tag_breaks_the_reader(text, numbers):
    from geoloc.belief.witnesses import file_tags

    clocks = file_tags._gps_clock(
        {ExifTags.GPS.GPSTimeStamp: numbers, ExifTags.GPS.GPSDateStamp: text}, datetime(2024, 1, 1)
    )
    assert len(clocks) <= 1
    assert file_tags._number(text) is None or isinstance(file_tags._number(text), float)
    file_tags._name_clocks(text, datetime(2024, 1, 1))


def test_the_language_of_captions_in_latin_letters_counts_a_little(witness, cells):
    pytest.importorskip("py3langid")
    german = photo(base={ExifTags.Base.ImageDescription: "Urlaub mit den Kindern am Strand"})
    found = witness.evidence(german)
    assert found.findings[0].meaning == "caption or keywords in German"
    assert {"DE", "AT"} <= best_countries(cells, found)
    assert np.ptp(found.log_likelihood) < np.log(4.0)
    for silent in ("OLYMPUS DIGITAL CAMERA", "holiday beach family sunset", "Monte Cervino"):
        assert witness.evidence(photo(base={ExifTags.Base.ImageDescription: silent})) is None
