"""Pictures of no place are found by their pixels, photos are not taken for them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from geoloc.trips.clues.photos import _facts
from geoloc.trips.clues.screens import is_drawn, mentions_screen


def page(width, height, quality=None, ink=(20, 20, 20), paper=(255, 255, 255)):
    """Draw a page of text, as a screenshot or a scan has it."""
    picture = Image.new("RGB", (width, height), paper)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=height // 40)
    for line in range(2, 38):
        draw.text((width // 12, line * height // 40), "Your booking of 12 May " * 3, ink, font)
    if quality is None:
        return picture
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def scanned(picture, grain=2.0, shade=15.0):
    """Return a page with the grain and the shade of a scan."""
    pixels = np.asarray(picture, float) - np.linspace(0.0, shade, picture.width)[None, :, None]
    grain = np.random.default_rng(0).normal(0.0, grain, (*pixels.shape[:2], 1))
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "picture",
    [
        scanned(page(620, 877)),
        page(1080, 2340),
        page(1240, 1754, 80),
        page(1080, 1920, 90, (230,) * 3, (30, 30, 40)),
    ],
)
def test_pages_and_screens_are_drawn(picture):
    assert is_drawn(picture)


def test_photos_nights_and_tiny_pictures_are_not():
    rng = np.random.default_rng(0)
    noise = np.clip(rng.normal(150, 6, (300, 400, 3)), 0, 255).astype(np.uint8)
    night = np.zeros((300, 400, 3), np.uint8)
    night[100:140, 100:140] = 250
    sky = np.repeat(np.linspace(120, 250, 300)[:, None, None], 400, axis=1) + rng.normal(
        0, 2, (300, 400, 3)
    )
    pale = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    for picture in (Image.fromarray(noise), Image.fromarray(night), pale):
        assert not is_drawn(picture)
    assert not is_drawn(Image.new("RGB", (2, 2)))


def test_only_pictures_without_a_camera_are_taken_for_drawings(tmp_path):
    plain, phone, broken = (tmp_path / name for name in ("a.png", "b.jpg", "c.jpg"))
    page(400, 800).save(plain)
    exif = Image.Exif()
    exif[0x010F] = "Google"
    page(400, 800).save(phone, exif=exif)
    broken.write_bytes(b"no picture")
    assert [_facts(str(path)).drawn for path in (plain, phone, broken)] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "told"),
    [("Screenshot_2024-03-05.png", True), ("Bildschirmfoto 3.png", True), ("IMG_1.jpg", False)],
)
def test_names_tell_screenshots(name, told):
    assert mentions_screen(name) == told
