"""Borders of screenshots and frames are removed; pictures without borders stay as they are."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from geoloc.encoders.borders import without_borders


@pytest.fixture
def picture():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("colour", ["black", "white", "grey"])
@pytest.mark.parametrize("margin", [(20, 20), (0, 300), (30, 0)])
def test_plain_borders_are_removed(picture, colour, margin):
    across, down = margin
    framed = Image.new("RGB", (160 + 2 * across, 120 + 2 * down), colour)
    framed.paste(picture, (across, down))
    assert np.array_equal(without_borders(framed), picture)


def test_a_clock_in_the_border_is_removed_with_it(picture):
    screen = Image.new("RGB", (160, 320), "black")
    screen.paste(picture, (0, 100))
    ImageDraw.Draw(screen).text((8, 8), "12:41", fill="white")
    assert np.array_equal(without_borders(screen), picture)


def test_a_frame_in_a_screenshot_is_removed_too(picture):
    framed = Image.new("RGB", (180, 140), "white")
    framed.paste(picture, (10, 10))
    screen = Image.new("RGB", (180, 300), "black")
    screen.paste(framed, (0, 80))
    assert np.array_equal(without_borders(screen), picture)


def test_pictures_without_a_pair_of_borders_stay_as_they_are(picture):
    sky = picture.copy()
    sky.paste((250, 250, 250), (0, 0, 160, 50))
    plain = Image.new("RGB", (64, 48), "blue")
    for image in (picture, sky, plain):
        assert without_borders(image) is image
