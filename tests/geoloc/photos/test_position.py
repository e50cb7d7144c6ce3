"""Whether a photo has a position: one answer for EXIF, embedded XMP and both kinds of sidecars."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from geoloc.guess import Exif
from geoloc.photos import decode
from geoloc.photos.exif import MAX_XMP_BYTES, xmp_gps
from geoloc.photos.position import ESTIMATE_METHOD, position
from geoloc.photos.tables import read_folder
from tests.geoloc.photos.samples import encoded, gps_exif, picture

SYDNEY = (pytest.approx(-33.85667), pytest.approx(151.215))
EAST = (151.215, "E")

SIDECAR = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:exif="http://ns.adobe.com/exif/1.0/">{}</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
LIGHTROOM = SIDECAR.format(
    '<rdf:Description rdf:about="" exif:GPSLatitude="33,51.4S" exif:GPSLongitude="151,12.9E"/>'
)
DIGIKAM = SIDECAR.format(
    '<rdf:Description rdf:about=""><exif:GPSLatitude>33,51,24S</exif:GPSLatitude></rdf:Description>'
    '<rdf:Description rdf:about=""><exif:GPSLongitude>151,12,54E</exif:GPSLongitude>'
    "</rdf:Description>"
)
ESTIMATED = LIGHTROOM.replace(
    "exif:GPSLongitude", f'exif:GPSProcessingMethod="{ESTIMATE_METHOD}" exif:GPSLongitude'
)
NESTED = SIDECAR.format(
    '<rdf:Description rdf:about=""><exif:Shown rdf:parseType="Resource"><rdf:Description'
    ' exif:GPSLatitude="33,51.4S" exif:GPSLongitude="151,12.9E"/></exif:Shown></rdf:Description>'
)
BOMB = '<!DOCTYPE x [<!ENTITY a "33,51.4S">]>' + LIGHTROOM.replace("33,51.4S", "&a;")


def photo(gps: dict[int, object] | None = None, packet: str = "", kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    if gps:
        exif[ExifTags.IFD.GPSInfo] = gps
    return encoded(picture(), kind, exif=exif, **xmp_option(packet, kind))


def xmp_option(packet: str, kind: str) -> dict[str, object]:
    """Return the option of Pillow that embeds XMP in a file of some format."""
    if kind == "TIFF":
        return {"tiffinfo": {700: packet.encode()}}
    if kind != "PNG":
        return {"xmp": packet.encode()} if packet else {}
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet)
    return {"pnginfo": text}


@pytest.mark.parametrize("ref", ["S", "s", b"S\0", "South", "south latitude", "SOUTH", " S "])
def test_hemisphere_is_a_letter_or_a_word(ref):
    assert position((33.0, 51.0, 24.0), ref, *EAST) == SYDNEY


@pytest.mark.parametrize("ref", ["", None, "\0", b"", "E", "x", "O", 5])
def test_without_a_hemisphere_there_is_no_position(ref):
    assert position((33.0, 51.0, 24.0), ref, *EAST) is None


@pytest.mark.parametrize(
    "lat",
    [
        33.856667,
        IFDRational(33856667, 1000000),
        (33.856667,),
        (33.0, 51.4),
        (-33.0, 51.0, 24.0),
        (-33.0, -51.0, -24.0),
        "33,51.4S",
        "33,51,24S",
        "33 51.4 s",
        "33° 51' 24\" South",
        "-33,51.4",
        b"33.856667\0",
    ],
)
def test_every_form_of_an_angle_is_read(lat):
    assert position(lat, "S", *EAST) == SYDNEY


def test_a_minus_sign_is_south_or_west_and_not_a_second_reversal():
    assert position((-33.0, 51.4), "N", 151.215, "E") == SYDNEY
    assert position((0.0, -30.0), "S", (0.0, 0.0, -36.0), "W") == (-0.5, pytest.approx(-0.01))


@pytest.mark.parametrize(
    "lat",
    [IFDRational(0, 0), (IFDRational(0, 0),) * 3, (33.0, IFDRational(0, 0), 0.0), (33.0, -51.0),
     (), (1.0, 2.0, 3.0, 4.0), 91.0, None, "", "south", "3,8587N", "1e5", float("inf"), {}],
)  # fmt: skip
def test_what_is_no_angle_is_no_position(lat):
    assert position(lat, "N", 5.0, "E") is None


def test_zero_north_zero_east_is_no_position_and_the_equator_is():
    assert position(0.0, "N", 0.0, "E") is None
    assert position("0,0.0S", "", "0,0W", "") is None
    assert position(0.0, "N", 0.5, "E") == (0.0, 0.5)


values = st.one_of(
    st.none(), st.floats(), st.text(), st.binary(), st.integers(), st.tuples(st.floats()),
    st.lists(st.one_of(st.floats(), st.text(max_size=3), st.none()), max_size=5),
    st.from_regex(r"-?[0-9]{1,3}[,. ][0-9]{1,4}[,. ]?[0-9]*[NSEWnsew]?"),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(values, values, values, values, values)
def test_any_values_give_a_position_on_earth_or_none(lat, lat_ref, lon, lon_ref, method):
    found = position(lat, lat_ref, lon, lon_ref, method)
    assert found is None or (abs(found[0]) <= 90.0 and abs(found[1]) <= 180.0 and any(found))


@settings(max_examples=200, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_positions_in_xmp_are_read_as_written(lat, lon):
    def text(angle: float, sides: str) -> str:
        degrees, rest = divmod(round(abs(angle) * 6_000_000), 6_000_000)
        return f"{degrees},{rest / 100_000:.5f}{sides[angle < 0]}"

    found = position(text(lat, "NS"), None, text(lon, "EW"), None)
    if found is None:
        assert round(abs(lat) * 6_000_000) == round(abs(lon) * 6_000_000) == 0
    else:
        assert found == (pytest.approx(lat, abs=2e-7), pytest.approx(lon, abs=2e-7))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_xmp_gives_no_error(data):
    whole = data.draw(st.sampled_from([LIGHTROOM, DIGIKAM, BOMB, "", "<"])).encode()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    packet = whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:]
    assert isinstance(xmp_gps(packet), dict)


@pytest.mark.parametrize("packet", [BOMB, NESTED, "x" * (MAX_XMP_BYTES + 1)], ids=len)
def test_document_types_other_places_and_excess_are_not_read(packet):
    assert xmp_gps(packet) == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packet", [LIGHTROOM, DIGIKAM])
def test_xmp_is_read_in_every_encoding_and_form(packet, encoding):
    found = xmp_gps(packet.encode(encoding) + b"\0" * (2 if encoding == "utf-8" else 0))
    assert found.keys() == {"GPSLatitude", "GPSLongitude"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_embedded_xmp_is_read_where_exif_has_no_position(kind):
    embedded = xmp_option(LIGHTROOM, kind)
    content = encoded(picture(), kind, **embedded)
    found = decode.load(content).exif
    assert (found.lat, found.lon) == SYDNEY
    assert decode.read_exif(content) == found
    if kind != "TIFF":
        both = encoded(picture(), kind, exif=gps_exif(1.0, 2.0), **embedded)
        assert decode.read_exif(both).lat == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "a.XMP"])
def test_sidecars_of_both_conventions_are_read(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(photo())
    assert decode.read_exif(tmp_path / "a.jpg") == Exif()
    (tmp_path / name).write_text(DIGIKAM)
    assert decode.load(tmp_path / "a.jpg").exif == decode.read_exif(tmp_path / "a.jpg")
    assert tuple(read_folder(tmp_path).latlon[0]) == SYDNEY
    (tmp_path / name).write_text(ESTIMATED)
    assert decode.read_exif(tmp_path / "a.jpg") == Exif(), "an estimate is not a known position"


def test_unusable_positions_of_a_folder_are_one_line_with_a_count(tmp_path):
    parts = (33.0, 51.0, 24.0)
    for number, (lat, ref) in enumerate([(parts, ""), (parts, None), (0.0, "N"), (parts, "S")]):
        gps = {ExifTags.GPS.GPSLatitude: lat, ExifTags.GPS.GPSLongitude: 0.0,
               ExifTags.GPS.GPSLongitudeRef: "E"}  # fmt: skip
        if ref is not None:
            gps[ExifTags.GPS.GPSLatitudeRef] = ref
        (tmp_path / f"{number}.jpg").write_bytes(photo(gps))
    folder = read_folder(tmp_path)
    assert folder.geotagged(tmp_path).file.tolist() == ["3.jpg"]
    (line,) = folder.geotagged(tmp_path).problems(tmp_path)
    assert "3 of 3 photos have GPS coordinates that are no position" in line


def test_photo_whose_sidecar_would_have_too_long_a_name_is_read(tmp_path):
    long = tmp_path / f"{'a' * 250}.jpg"
    long.write_bytes(photo())
    assert decode.read_exif(long) == Exif()
