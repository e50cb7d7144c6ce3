"""Estimates in copies of photos and in sidecars, read back by other libraries."""

import hashlib
import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.guess import Exif
from geoloc.output.tagging import sidecar_path, tag_copy, write_sidecar
from geoloc.photos.position import ESTIMATE_METHOD
from tests.geoloc.output.records import make_guess
from tests.geoloc.photos.samples import written_position

pyexiv2 = pytest.importorskip("pyexiv2")
SYDNEY = make_guess(-33.8587, 151.2140, radius_80_km=12.0)
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXIF, PHOTOSHOP, IPTC = (
    f"{{{space}}}" for space in ("http://ns.adobe.com/exif/1.0/",
                                 "http://ns.adobe.com/photoshop/1.0/",
                                 "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/")
)  # fmt: skip


def picture(path: Path, exif: Image.Exif | None = None, **options) -> Path:
    """Write a small gradient, whose bytes change if it is encoded again."""
    image = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    image.save(path, exif=exif or Image.Exif(), **options)
    return path


def scan(jpeg: bytes) -> bytes:
    """Return the compressed pixels and everything after them."""
    return jpeg[jpeg.index(b"\xff\xda") :]


def tags(path: Path) -> dict:
    with pyexiv2.ImageData(path.read_bytes()) as image:
        return image.read_exif() | image.read_xmp()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
def test_copy_contains_the_estimate_and_the_same_pixels(tmp_path, ending):
    source = picture(tmp_path / f"a.{ending}")
    before = source.read_bytes()
    target = tmp_path / f"copy.{ending}"
    assert tag_copy(source, target, SYDNEY) is True
    assert source.read_bytes() == before
    with Image.open(source) as old, Image.open(target) as new:
        assert new.tobytes() == old.tobytes()
        gps = new.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert float(gps[ExifTags.GPS.GPSHPositioningError]) == 12_000
    assert ESTIMATE_METHOD.encode() in bytes(gps[ExifTags.GPS.GPSProcessingMethod])
    found = written_position(target)
    assert found == pytest.approx((SYDNEY.lat, SYDNEY.lon), abs=1e-6)
    written = tags(target)
    assert "estimated from the picture by planet-geoloc" in written["Exif.Photo.UserComment"]
    assert written["Xmp.photoshop.City"] == "Paris"
    assert target.stat().st_mtime == source.stat().st_mtime
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{ending}", f"copy.{ending}"}


def test_other_metadata_of_a_jpeg_is_unchanged(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "The harbour"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.MakerNote: b"maker\0" + bytes(range(200)),
         ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09"}
    )  # fmt: skip
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = picture(tmp_path / "a.jpg", exif, quality=80, icc_profile=srgb)
    source.write_bytes(source.read_bytes() + b"a motion picture behind the picture")
    target = tmp_path / "copy.jpg"
    tag_copy(source, target, SYDNEY)
    assert scan(target.read_bytes()) == scan(source.read_bytes())
    with Image.open(source) as old, Image.open(target) as new:
        assert new.info["icc_profile"] == old.info["icc_profile"]
        ours, theirs = new.getexif(), old.getexif()
        for name in (ExifTags.Base.ImageDescription, ExifTags.Base.Orientation):
            assert ours[name] == theirs[name]
        details = ours.get_ifd(ExifTags.IFD.Exif)
        kept = theirs.get_ifd(ExifTags.IFD.Exif)
        assert details.items() >= kept.items()


@settings(max_examples=50, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180, exclude_max=True), st.floats(0, 20_000))
def test_positions_are_accurate_everywhere_on_earth(tmp_path_factory, lat, lon, radius_km):
    folder = tmp_path_factory.getbasetemp()
    source = folder / "plain.jpg"
    if not source.exists():
        picture(source)
    guess = make_guess(lat, lon, radius_80_km=radius_km)
    tag_copy(source, folder / "copy.jpg", guess)
    found = written_position(folder / "copy.jpg")
    assert found == pytest.approx((lat, lon), abs=2e-7)
    (folder / "plain.jpg.xmp").unlink(missing_ok=True)
    assert write_sidecar(source, guess)
    values = description(folder / "plain.jpg.xmp")
    for name, sides, angle in (("Latitude", "NS", lat), ("Longitude", "EW", lon)):
        degrees, minutes = values[f"{EXIF}GPS{name}"][:-1].split(",")
        side = values[f"{EXIF}GPS{name}"][-1]
        signed = (int(degrees) + float(minutes) / 60) * (1 if side == sides[0] else -1)
        assert float(minutes) < 60
        assert signed == pytest.approx(angle, abs=2e-7)


def description(sidecar: Path) -> dict[str, str]:
    """Return the properties of a sidecar, read as XML."""
    values = {}
    for node in ElementTree.parse(sidecar).getroot().iter(f"{RDF}Description"):
        values |= node.attrib | {child.tag: "".join(child.itertext()).strip() for child in node}
    return values


@pytest.mark.parametrize("place", ["exif", "xmp"])
def test_position_in_the_photo_is_kept(tmp_path, place):
    source = picture(tmp_path / "a.jpg")
    with pyexiv2.ImageData(source.read_bytes()) as image:
        if place == "exif":
            image.modify_exif({"Exif.GPSInfo.GPSLatitudeRef": "N",
                               "Exif.GPSInfo.GPSLatitude": "1/1 2/1 3/1"})  # fmt: skip
        else:
            image.modify_xmp({"Xmp.exif.GPSLatitude": "1,2.5N"})
        source.write_bytes(image.get_bytes())
    assert tag_copy(source, tmp_path / "copy.jpg", SYDNEY) is False
    assert (tmp_path / "copy.jpg").read_bytes() == source.read_bytes()


def test_comment_and_place_names_are_kept(tmp_path):
    source = picture(tmp_path / "a.jpg")
    with pyexiv2.ImageData(source.read_bytes()) as image:
        image.modify_exif({"Exif.Photo.UserComment": "charset=Unicode über den Dächern"})
        image.modify_xmp({"Xmp.photoshop.City": "Wien"})
        source.write_bytes(image.get_bytes())
    assert tag_copy(source, tmp_path / "copy.jpg", SYDNEY)
    written = tags(tmp_path / "copy.jpg")
    assert written["Exif.Photo.UserComment"] == tags(source)["Exif.Photo.UserComment"]
    assert written["Xmp.photoshop.City"] == "Wien"
    assert "Xmp.photoshop.Country" not in written
    assert ESTIMATE_METHOD in written["Exif.GPSInfo.GPSProcessingMethod"]


@pytest.mark.parametrize(
    ("confidence", "names"),
    [("city", {"Country", "State", "City"}), ("region", {"Country", "State"}),
     ("country", {"Country"}), ("not sure", set())],
)  # fmt: skip
def test_place_names_stop_at_the_claimed_level(tmp_path, confidence, names):
    source = picture(tmp_path / "a.jpg")
    guess = replace(SYDNEY, confidence=confidence)
    tag_copy(source, tmp_path / "copy.jpg", guess)
    write_sidecar(source, guess)
    for found in (tags(tmp_path / "copy.jpg"), tags(tmp_path / "a.jpg.xmp")):
        written = {name.rpartition(".")[2] for name in found if ".photoshop." in name}
        assert written == names
        assert ("Xmp.iptc.CountryCode" in found) == bool(names)


@pytest.mark.parametrize("link", ["same", "symlink", "hard link"])
def test_original_is_never_overwritten(tmp_path, link):
    source = picture(tmp_path / "a.jpg")
    target = tmp_path / "b.jpg" if link != "same" else source
    if link == "symlink":
        target.symlink_to(source)
    elif link == "hard link":
        os.link(source, target)
    before = source.read_bytes()
    with pytest.raises(GeolocError, match=r"a\.jpg: a copy cannot replace the photo"):
        tag_copy(source, target, SYDNEY)
    assert source.read_bytes() == before


def heic() -> bytes:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(out)
    return out.getvalue()


@pytest.mark.parametrize("content", [heic(), b"GIF89a" + bytes(30), b"no picture", b""])
def test_unsupported_file_is_an_error_of_one_line(tmp_path, content):
    source = tmp_path / "a.heic"
    source.write_bytes(content)
    with pytest.raises(GeolocError, match=r"a\.heic: cannot hold metadata .*sidecars") as refused:
        tag_copy(source, tmp_path / "copy.heic", SYDNEY)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "copy.heic").exists()


def test_file_names_that_are_not_text(tmp_path):
    source = picture(tmp_path / "a.jpg")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.jpg"))
    shutil.copy(source, odd)
    assert tag_copy(odd, odd.with_name(f"copy {odd.name}"), SYDNEY)
    assert write_sidecar(odd, SYDNEY)
    assert os.fsencode(sidecar_path(odd)).endswith(b"\xff\n.jpg.xmp")


@pytest.mark.parametrize(
    ("convention", "name"), [("digikam", "walk.final.jpg.xmp"), ("lightroom", "walk.final.xmp")]
)
def test_sidecar_name_follows_the_convention(tmp_path, convention, name):
    source = picture(tmp_path / "walk.final.jpg")
    before = hashlib.sha256(source.read_bytes()).digest()
    assert write_sidecar(source, SYDNEY, convention) is True
    assert hashlib.sha256(source.read_bytes()).digest() == before
    assert {path.name for path in tmp_path.iterdir()} == {"walk.final.jpg", name}
    values = description(tmp_path / name)
    assert values[f"{EXIF}GPSProcessingMethod"] == ESTIMATE_METHOD
    assert values[f"{EXIF}GPSHPositioningError"] == "12000/1"
    assert "estimated from the picture" in values[f"{EXIF}UserComment"]
    assert values[f"{PHOTOSHOP}City"] == "Paris"
    assert values[f"{PHOTOSHOP}State"] == "Île-de-France"
    assert values[f"{PHOTOSHOP}Country"] == "France"
    assert values[f"{IPTC}CountryCode"] == "FR"


DIGIKAM = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:own="http://example.org/own/"
 xmp:Rating="4" own:note="mine"%s>
<digiKam:TagsList><rdf:Seq><rdf:li>Trips/Sydney</rdf:li></rdf:Seq></digiKam:TagsList>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_existing_properties_of_a_sidecar_are_kept(tmp_path):
    source = picture(tmp_path / "a.jpg")
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_text(DIGIKAM % "")
    assert write_sidecar(source, SYDNEY)
    values = description(sidecar)
    assert values["{http://ns.adobe.com/xap/1.0/}Rating"] == "4"
    assert values["{http://example.org/own/}note"] == "mine"
    assert values["{http://www.digikam.org/ns/1.0/}TagsList"] == "Trips/Sydney"
    assert values[f"{EXIF}GPSProcessingMethod"] == ESTIMATE_METHOD


def test_existing_position_is_not_replaced(tmp_path):
    source = picture(tmp_path / "a.jpg")
    sidecar = tmp_path / "a.jpg.xmp"
    position = ' xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="1,2.5N"'
    sidecar.write_text(DIGIKAM % position)
    before = sidecar.read_bytes()
    assert write_sidecar(source, SYDNEY) is False
    assert sidecar.read_bytes() == before
    sidecar.unlink()
    assert write_sidecar(source, SYDNEY)
    assert write_sidecar(source, SYDNEY), "writing the same estimate again is allowed"
    assert write_sidecar(tmp_path / "b.jpg", replace(SYDNEY, exif=Exif(1.0, 2.0))) is False
    assert not (tmp_path / "b.jpg.xmp").exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no XML",
        "<html></html>",
        (DIGIKAM % "")[:400],
        (DIGIKAM % "").replace("rdf:Seq>", "rdf:Sea>"),
    ],
)
def test_unreadable_sidecar_is_not_changed(tmp_path, content):
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_text(content)
    with pytest.raises(GeolocError, match=r"a\.jpg\.xmp: .*move it away"):
        write_sidecar(tmp_path / "a.jpg", SYDNEY)
    assert sidecar.read_text() == content


def test_missing_exiv2_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyexiv2", None)
    with pytest.raises(MissingExtraError, match=r"planet-geoloc\[tag\]"):
        write_sidecar(tmp_path / "a.jpg", SYDNEY)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
def test_exiftool_reads_the_same_values(tmp_path):
    source = picture(tmp_path / "a.jpg")
    tag_copy(source, tmp_path / "copy.jpg", SYDNEY)
    write_sidecar(source, SYDNEY)
    command = ["exiftool", "-json", "-n", tmp_path / "copy.jpg", tmp_path / "a.jpg.xmp"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    for values in json.loads(shown.stdout):
        assert values["GPSProcessingMethod"] == ESTIMATE_METHOD
        assert values["GPSHPositioningError"] == 12_000
        assert (values["City"], values["CountryCode"]) == ("Paris", "FR")
        position = (values["GPSLatitude"], values["GPSLongitude"])
        assert tuple(map(float, position)) == pytest.approx((SYDNEY.lat, SYDNEY.lon), abs=1e-6)


@pytest.mark.parametrize("where", ["a.xmp", "a.jpg.xmp", "embedded"])
@pytest.mark.parametrize("convention", ["digikam", "lightroom"])
def test_no_estimate_beside_a_real_position(tmp_path, convention, where):
    source = picture(tmp_path / "a.jpg")
    position = {"Xmp.exif.GPSLatitude": "1,2.5N", "Xmp.exif.GPSLongitude": "3,4.5E"}
    if where == "embedded":
        with pyexiv2.ImageData(source.read_bytes()) as image:
            image.modify_xmp(position)
            source.write_bytes(image.get_bytes())
    else:
        text = "".join(f' exif:{name[9:]}="{value}"' for name, value in position.items())
        (tmp_path / where).write_text(
            DIGIKAM % f' xmlns:exif="http://ns.adobe.com/exif/1.0/"{text}'
        )
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert write_sidecar(source, SYDNEY, convention) is False
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_estimate_of_the_other_convention_is_no_position(tmp_path):
    source = picture(tmp_path / "a.jpg")
    assert write_sidecar(source, SYDNEY, "digikam")
    assert write_sidecar(source, SYDNEY, "lightroom")
