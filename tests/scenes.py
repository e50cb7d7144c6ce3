"""Photographs that were never taken, of three places with their own looks."""

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageDraw


def draw_photo(style: int, rng: np.random.Generator) -> Image.Image:
    """A picture whose colours and shapes tell which of three places it shows."""
    sky, ground = [((90, 160, 230), (60, 120, 40)), ((230, 170, 90), (170, 120, 60)),
                   ((150, 150, 160), (70, 70, 80))][style]  # fmt: skip
    image = Image.new("RGB", (320, 240), sky)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 130 + int(rng.integers(-20, 20)), 320, 240), fill=ground)
    for _ in range(12):
        x, y, size = (int(v) for v in rng.integers((0, 60, 12), (320, 200, 40)))
        box = (x, y, x + size, y + 2 * size)
        if style == 0:
            draw.ellipse(box, fill=(30, 90 + int(rng.integers(60)), 30))
        elif style == 1:
            draw.polygon(
                [(x, y), (x + size, y + 2 * size), (x - size, y + 2 * size)], (200, 150, 80)
            )
        else:
            draw.rectangle(box, fill=(200, 60 + int(rng.integers(80)), 50), outline="white")
    return image


PLACES = ((48.86, 2.35), (-33.87, 151.21), (35.68, 139.69))


def write_dated_photo(path: Path) -> Path:
    """Write noise with a time and an offset from UTC, as a camera in Japan does."""
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: "2024:06:01 10:30:00",
            ExifTags.Base.OffsetTimeOriginal: "+09:00",
        }
    )
    Image.effect_noise((320, 240), 40).convert("RGB").save(path, exif=tags)
    return path
