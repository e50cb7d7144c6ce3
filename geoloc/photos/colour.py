"""Conversion of decoded pictures of any mode, depth and colour profile to 8-bit RGB."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from geoloc.types import Float32Array

STRIP_PIXELS = 2_000_000
"""Pixels that are converted at a time: intermediate results of a whole picture of 64 megapixels
would take gigabytes."""


def to_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture as 8-bit RGB; transparent pixels become white."""
    if picture.mode.startswith(("I", "F")):
        return _from_deep_grey(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        return _on_white(picture)
    return picture.convert("RGB")


def _on_white(picture: Image.Image) -> Image.Image:
    """Convert a picture with transparency."""
    rgb = Image.new("RGB", picture.size, "white")
    for box in _strips(picture):
        opaque = picture.crop(box).convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        rgb.paste(Image.alpha_composite(white, opaque).convert("RGB"), box)
    return rgb


def _strips(picture: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of strips over the whole width, from top to bottom."""
    width, height = picture.size
    rows = max(STRIP_PIXELS // width, 1)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def to_srgb(picture: Image.Image) -> Image.Image:
    """Convert colours to sRGB by the profile of the picture; an invalid profile is ignored."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    from PIL import ImageCms

    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, given, srgb, outputMode=mode) or picture
    except (ImageCms.PyCMSError, OSError):
        return picture


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point grey to 8 bits, which Pillow would clip at 255.

    Files of 32 bits and floating point do not declare their white level: the smallest of 1, 255 and
    65535 that the brightest pixel does not exceed is taken.
    """
    whites = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0, 65535.0)
    brightest = max(float(_grey(picture, box).max()) for box in _strips(picture))
    white = next((white for white in whites if brightest <= white), brightest)
    rgb = Image.new("RGB", picture.size)
    for box in _strips(picture):
        grey = np.clip(_grey(picture, box) * np.float32(255.0 / white), 0.0, 255.0)
        rgb.paste(Image.fromarray(grey.round().astype(np.uint8)).convert("RGB"), box)
    return rgb


def _grey(picture: Image.Image, box: tuple[int, int, int, int]) -> Float32Array:
    """Return the values of a strip (H, W); 0 where they are not numbers."""
    return np.nan_to_num(np.asarray(picture.crop(box)).astype(np.float32))
