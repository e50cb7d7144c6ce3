"""Copies of photos as people make them: the positive examples of copy recognition."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

BORDERS = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (40, 40, 44))
"""Colours around a screenshot."""

SCREEN = (540, 1170)
"""Width and height of a telephone's screen."""

STATUS_PX = 44
"""Height of its status bar."""

Distortion = Callable[[Image.Image, np.random.Generator], Image.Image]


def smaller(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo at half its size."""
    return image.resize((max(16, image.width // 2), max(16, image.height // 2)))


def recompressed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo after JPEG compression of low quality."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(30, 60)))
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a window of 80 % of each side, in the centre, in a corner or anywhere."""
    side = np.array(image.size)
    window = np.rint(side * 0.8).astype(int)
    place = (np.array([0.5, 0.5]), rng.integers(0, 2, 2), rng.random(2))[rng.integers(3)]
    left, top = ((side - window) * place).astype(int).tolist()
    return image.crop((left, top, left + int(window[0]), top + int(window[1])))


def brighter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo 30 % brighter or darker."""
    return ImageEnhance.Brightness(image).enhance(float(rng.choice([0.7, 1.3])))


def contrasted(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo with 40 % more or less contrast."""
    return ImageEnhance.Contrast(image).enhance(float(rng.choice([0.7, 1.4])))


def screenshot(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo as a telephone shows it: on a plain screen, below a status bar."""
    colour = BORDERS[rng.integers(len(BORDERS))]
    width, height = SCREEN
    screen = Image.new("RGB", SCREEN, colour)
    scale = min(width / image.width, (height - 3 * STATUS_PX) / image.height)
    shown = image.resize((round(image.width * scale), round(image.height * scale)))
    screen.paste(shown, ((width - shown.width) // 2, (height - shown.height) // 2))
    ink = (255, 255, 255) if sum(colour) < 380 else (0, 0, 0)
    draw = ImageDraw.Draw(screen)
    draw.text((24, 14), "12:41", fill=ink)
    draw.rectangle((width - 70, 14, width - 30, 28), outline=ink)
    draw.rectangle((width - 110, 14, width - 90, 28), fill=ink)
    return screen


def framed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo in a frame of 5-10 % of its sides."""
    across, down = (max(4, round(side * float(rng.uniform(0.05, 0.1)))) for side in image.size)
    size = (image.width + 2 * across, image.height + 2 * down)
    frame = Image.new("RGB", size, BORDERS[rng.integers(len(BORDERS))])
    frame.paste(image, (across, down))
    return frame


def passed_on(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo slightly cropped, brightened and compressed."""
    across, down = (round(side * 0.06) for side in image.size)
    window = image.crop((across, down, image.width - across, image.height - down))
    return recompressed(ImageEnhance.Brightness(window).enhance(1.2), rng)


DISTORTIONS: tuple[Distortion, ...] = (
    smaller, recompressed, cropped, brighter, contrasted, screenshot, framed, passed_on
)  # fmt: skip
