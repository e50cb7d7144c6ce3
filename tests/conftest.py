"""What tests share: where the data of development lies, and photographs that were never taken."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw

SHARED = Path(os.environ.get("SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Development data, which is not part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the development data is not beside the repository")
    return SHARED


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


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory) -> Path:
    """60 geotagged photos of three places with their own looks, one without GPS, one damaged."""
    folder = tmp_path_factory.mktemp("library")
    rng = np.random.default_rng(0)
    for number in range(60):
        style = number % 3
        lat, lon = np.array(PLACES[style]) + rng.normal(0, 0.05, 2)
        exif = Image.Exif()
        exif[ExifTags.IFD.GPSInfo] = {
            ExifTags.GPS.GPSLatitudeRef: "S" if lat < 0 else "N",
            ExifTags.GPS.GPSLatitude: (abs(lat), 0.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (lon, 0.0, 0.0),
        }
        exif[ExifTags.Base.DateTime] = "2024:05:06 07:08:09"
        draw_photo(style, rng).save(folder / f"{number:02}.jpg", exif=exif)
    draw_photo(0, rng).save(folder / "without.jpg")
    (folder / "damaged.jpg").write_bytes((folder / "00.jpg").read_bytes()[:900])
    return folder
