"""Decoding of photos of every format, and one-line errors for everything else."""

import io
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from geoloc.errors import PhotoError
from geoloc.guess import Exif
from geoloc.photos import decode
from tests.geoloc.photos.samples import (
    bmp_header,
    encoded,
    gps_exif,
    picture,
    png_header,
    write_bad_inputs,
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_every_format_is_decoded(kind):
    loaded = decode.load(encoded(picture(), kind), name="x")
    assert loaded.image.mode == "RGB"
    assert loaded.image.size == (64, 48)
    left, right = loaded.image.getpixel((8, 8)), loaded.image.getpixel((56, 8))
    assert left[0] > 150 > left[2]
    assert right[2] > 150 > right[0]


def test_heic_of_phones_is_decoded_upright():
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = gps_exif(-33.86, 151.21)
    exif[ExifTags.Base.Orientation] = 6
    content = encoded(picture(128, 96), "HEIF", exif=exif.tobytes())
    loaded = decode.load(content)
    assert loaded.image.size == (96, 128)  # upright
    assert loaded.exif.lat == pytest.approx(-33.86)
    stripped = decode.load(decode.strip(content))
    assert stripped.image.size == (96, 128)
    assert stripped.exif == Exif()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "I;16", "F"])
def test_every_colour_mode_keeps_its_brightness(mode):
    if mode == "I;16":
        ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
        image = Image.fromarray(ramp)
    elif mode == "F":
        image = Image.fromarray(np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64))
    else:
        ramp = np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
        image = Image.fromarray(ramp).convert("RGB").convert(mode)
    loaded = decode.load(encoded(image, "TIFF")).image
    assert loaded.mode == "RGB"
    grey = np.asarray(loaded.convert("L"), float)
    assert grey[:8].mean() < 60
    assert grey[-8:].mean() > 195


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("deep", "shown"), [(200, 1), (32896, 128), (65535, 255)])
def test_sixteen_bits_are_scaled_by_their_range_not_their_content(kind, deep, shown):
    flat = Image.fromarray(np.full((32, 32), deep, np.uint16))
    assert decode.load(encoded(flat, kind)).image.getpixel((5, 5)) == (shown,) * 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_become_white(mode):
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": clear.getpixel((0, 0))} if mode == "P" else {}
    loaded = decode.load(encoded(clear, "PNG", **options))
    assert loaded.image.getpixel((5, 5)) == (255, 255, 255)


def test_animation_is_decoded_as_its_first_frame():
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode.load(animation).image.getpixel((5, 5))[0] > 200


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation):
    turns = {2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
             4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE],
             6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
             8: [Image.Transpose.ROTATE_270]}  # fmt: skip
    stored = picture()
    for turn in turns.get(orientation, []):
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    loaded = decode.load(encoded(stored, "PNG", exif=exif)).image
    assert np.array_equal(np.asarray(loaded), np.asarray(picture()))


def test_large_jpegs_are_decoded_at_the_reduced_size_that_is_needed():
    content = encoded(picture(1600, 1200), "JPEG")
    assert min(decode.load(content, min_side=150).image.size) == 300
    assert min(decode.load(content, min_side=700).image.size) == 1200


def test_panoramas_beyond_the_limit_are_decoded_at_reduced_size(monkeypatch):
    monkeypatch.setattr(decode, "MAX_MEGAPIXELS", 1)
    content = encoded(picture(3000, 1000), "JPEG", exif=gps_exif(1.0, 2.0))
    loaded = decode.load(content)
    assert loaded.image.size == (1500, 500)
    assert loaded.exif.lat == pytest.approx(1.0)
    assert decode.load(content, min_side=100).image.size == (750, 250)
    assert decode.load(encoded(picture(1000, 1000), "JPEG")).image.size == (1000, 1000)
    mpo = encoded(picture(3000, 1000), "MPO", save_all=True, append_images=[picture()])
    assert decode.load(mpo).image.size == (1500, 500)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: decode.load(encoded(picture(3000, 1000), "PNG"), name="x.png"),
        lambda: decode.load(encoded(picture(3000, 1000), "JPEG", progressive=True), name="x.png"),
        lambda: decode.load(encoded(picture(3000, 1000), "JPEG"), name="x.png", max_megapixels=2),
        lambda: decode.load(picture(3000, 1000), name="x.png"),
    ],
    ids=["other format", "rows at the end only", "limit of the caller", "picture in memory"],
)
def test_what_cannot_be_reduced_is_refused_with_the_remedy(monkeypatch, refused):
    monkeypatch.setattr(decode, "MAX_MEGAPIXELS", 1)
    with pytest.raises(
        PhotoError, match=r"x\.png: 3000 x 1000 pixels are more than . megapixels; "
    ):
        refused()


def test_errors_of_one_kind_are_counted_together():
    kinds = set()
    for name, content in (("a", png_header(60_000, 60_000)), ("b", png_header(50_000, 60_000))):
        with pytest.raises(PhotoError) as refused:
            decode.load(content, name=name)
        assert refused.value.name == name
        kinds.add(refused.value.kind)
    assert kinds == {"their pixels are more than 300 megapixels; make it smaller first"}


def test_mpo_files_are_decoded_at_reduced_size():
    pair = encoded(picture(1600, 1200), "MPO", save_all=True, append_images=[picture()])
    assert decode.load(pair, min_side=150).image.size == (400, 300)


@settings(max_examples=50, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_gps_positions_are_read_as_written(lat, lon):
    assume(max(abs(lat), abs(lon)) > 1e-3)  # 0 N 0 E is no position
    exif = decode.read_exif(encoded(picture(), "JPEG", exif=gps_exif(lat, lon)))
    assert exif.lat == pytest.approx(lat, abs=1e-4)
    assert exif.lon == pytest.approx(lon, abs=1e-4)
    assert exif.taken_at == "2024-05-06T07:08:09"


@pytest.mark.parametrize(
    "lat",
    [(91.0, 0.0, 0.0), (90.0, 1.0, 0.0), (IFDRational(1, 0),) * 3, (5.0, IFDRational(0, 0), 0.0)],
    ids=["beyond the pole", "a minute beyond", "infinite", "no number"],
)
def test_impossible_gps_position_is_ignored(lat):
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitude: lat, ExifTags.GPS.GPSLongitude: (5.0, 0.0, 0.0),
    }  # fmt: skip
    assert decode.read_exif(encoded(picture(), "JPEG", exif=exif)) == Exif()


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "2024:13:01 00:00:00", "yesterday", ""])
def test_impossible_time_is_ignored(taken):
    assert decode.read_exif(encoded(picture(), "JPEG", exif=gps_exif(1, 2, taken))).taken_at is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_strip_removes_metadata_and_keeps_the_picture_upright(kind):
    exif = gps_exif(48.0, 2.0)
    exif[ExifTags.Base.Orientation] = 6
    stripped = decode.strip(encoded(picture(), kind, exif=exif))
    with Image.open(io.BytesIO(stripped)) as image:
        assert image.format == kind
        assert image.size == (48, 64)  # upright
    read = decode.read_exif(stripped)
    assert (read.lat, read.lon, read.taken_at) == (None, None, None)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "I;16"])
def test_strip_keeps_every_pixel(mode):
    if mode == "I;16":
        image = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20)
    else:
        image = picture().convert("L").convert("RGBA")
        image.putalpha(picture().getchannel("R"))
        image = image.convert(mode)
    content = encoded(image, "PNG", exif=gps_exif(48.0, 2.0))
    with Image.open(io.BytesIO(decode.strip(content))) as stripped:
        assert stripped.mode == mode
        assert np.array_equal(
            np.asarray(stripped.convert("RGBA")), np.asarray(image.convert("RGBA"))
        )
        assert "exif" not in stripped.info


@pytest.mark.parametrize("profile", [b"nonsense", "sRGB"])
def test_strip_removes_colour_profiles_and_comments(profile):
    if profile == "sRGB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stripped = decode.strip(
        encoded(picture(), "JPEG", icc_profile=profile, comment=b"secret", quality=95)
    )
    assert b"secret" not in stripped
    with Image.open(io.BytesIO(stripped)) as image:
        assert "icc_profile" not in image.info
        assert np.abs(np.asarray(image, int) - np.asarray(picture(), int)).mean() < 3


def test_unreadable_file_gives_one_line_with_name_reason_and_remedy(tmp_path):
    for name, reason in write_bad_inputs(tmp_path).items():
        with pytest.raises(PhotoError) as caught:
            decode.load(tmp_path / name)
        line = str(caught.value)
        assert "\n" not in line
        assert name in line
        assert reason in line
        assert ";" in line, "the remedy comes after the reason"


def test_strip_converts_colours_by_their_profile():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    red = Image.new("RGB", (32, 32), "red")
    with Image.open(io.BytesIO(decode.strip(encoded(red, "PNG", icc_profile=swapped)))) as image:
        r, g, b = image.getpixel((5, 5))
    assert max(r, g) < 40
    assert b > 215


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files_are_refused(kind, share):
    pytest.importorskip("pillow_heif").register_heif_opener()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8))
    content = encoded(noise, kind)
    for min_side in (None, 30):
        with pytest.raises(PhotoError):
            decode.load(content[: int(share * len(content))], min_side=min_side)


def test_jpeg_padded_with_zeros_is_refused():
    thumbnail = Image.Exif()
    thumbnail[ExifTags.Base.MakerNote] = b"\xff\xd8\xff\xd9"  # an end of another picture
    content = encoded(picture(640, 480), "JPEG", exif=thumbnail)
    half = len(content) // 2
    with pytest.raises(PhotoError, match="its end is missing"):
        decode.load(content[:half] + bytes(half))
    assert decode.load(content[:2] + b"\xff\xff" + content[2:]).image.size == (640, 480)
    assert decode.load(content + b"a video, as phones append them").image.size == (640, 480)


def test_postscript_is_not_executed_and_is_refused():
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"
    with pytest.raises(PhotoError, match="not a picture"):
        decode.load(script)


@pytest.mark.parametrize("name", ["a\nb.jpg", "\udcff.jpg", "a\x1b[2Jb.jpg", "a\u2028b.jpg"])
def test_unusual_names_give_one_printable_line(tmp_path, name):
    with pytest.raises(PhotoError) as caught:
        decode.load(tmp_path / name)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    line.encode()
    assert "\x1b" not in line


def test_names_in_other_scripts_are_kept():
    name = "Снимок экрана 3.45\u202fPM 東京.jpg"
    assert decode.load(encoded(picture(), "JPEG"), name=name).name == name


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_missing_permission_is_reported(tmp_path):
    (tmp_path / "locked.jpg").touch(mode=0)
    with pytest.raises(PhotoError, match=r"locked\.jpg: cannot be opened \(Permission denied\)"):
        decode.load(tmp_path / "locked.jpg")


def test_300_megapixels_are_allowed_and_pillows_own_limit_is_restored(recwarn):
    def refusal(content: bytes) -> str:
        """Open a picture by its header; an allowed one goes on to its EXIF, which is empty."""
        try:
            return str(decode.read_exif(content, name="x"))
        except PhotoError as error:
            return str(error)

    limit = Image.MAX_IMAGE_PIXELS
    headers = [bmp_header(20_000, 15_000), bmp_header(20_001, 15_000)] * 50
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(refusal, headers))
    assert answers[::2] == [str(Exif())] * 50
    assert set(answers[1::2]) == {answers[1]}
    assert "20001 x 15000" in answers[1]
    assert Image.MAX_IMAGE_PIXELS == limit
    assert not recwarn.list


def test_pillows_limit_stays_a_number_while_another_thread_decodes():
    opened = Image.open

    def crop_while_open(*arguments, **options):
        Image.new("RGB", (8, 8)).crop((0, 0, 4, 4))
        assert 2 * Image.MAX_IMAGE_PIXELS > 300_000_000
        return opened(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "open", crop_while_open)
        decode.load(encoded(picture(640, 480), "JPEG"))


def test_pil_images_are_checked_like_files():
    content = encoded(picture(640, 480), "JPEG")
    for image in (Image.new("RGB", (1, 1)), Image.open(io.BytesIO(content[:2000]))):
        with pytest.raises(PhotoError):
            decode.load(image)


def test_bytes_files_pictures_and_arrays_are_the_same_photo(tmp_path):
    content = encoded(picture(), "PNG")
    (tmp_path / "x.png").write_bytes(content)
    with (tmp_path / "x.png").open("rb") as file:
        sources = [content, bytearray(content), tmp_path / "x.png", str(tmp_path / "x.png"), file]
        loaded = [decode.load(source) for source in sources]
    assert len({each.sha256 for each in loaded}) == 1
    pixels = np.asarray(picture())
    in_memory = [decode.load(source) for source in (picture(), pixels, pixels[:, ::-1][:, ::-1])]
    assert len({each.sha256 for each in in_memory}) == 1
    for photo in (*loaded, *in_memory):
        assert np.array_equal(np.asarray(photo.image), pixels)
    assert in_memory[1].name == "photo"
    assert decode.read_exif(pixels) == Exif()
    assert decode.load(decode.strip(pixels)).image.size == (64, 48)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (np.zeros((48, 64), np.uint8), r"shape \(48, 64\).*give RGB values of shape \(H, W, 3\)"),
        (np.zeros((48, 64, 4), np.uint8), r"shape \(48, 64, 4\)"),
        (np.zeros((3, 48, 64), np.uint8), r"shape \(3, 48, 64\)"),
        (np.zeros((48, 64, 3), np.float32), "type float32.*uint8"),
        (np.zeros((0, 64, 3), np.uint8), "empty"),
        (np.zeros((8, 64, 3), np.uint8), "64 x 8 pixels show nothing"),
        (None, "NoneType is no photo; give a path"),
        (["a.jpg"], "list is no photo"),
    ],
)
def test_other_arrays_and_types_are_refused_with_what_is_expected(source, reason):
    for function in (decode.load, decode.strip):
        with pytest.raises(PhotoError, match=reason):
            function(source)
