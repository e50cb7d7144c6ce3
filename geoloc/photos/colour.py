"""Conversion of decoded pictures of any mode, depth and colour profile to 8-bit RGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def to_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture as 8-bit RGB; transparent pixels become white."""
    if picture.mode.startswith(("I", "F")):
        return _from_deep_grey(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return picture.convert("RGB")


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
    values = np.nan_to_num(np.asarray(picture, np.float64))
    whites = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0, 65535.0)
    brightest = values.max()
    white = next((white for white in whites if brightest <= white), brightest)
    grey = np.clip(values * (255.0 / white), 0.0, 255.0).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
