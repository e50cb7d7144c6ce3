"""Photos as small JPEGs in data URIs, without metadata."""

from __future__ import annotations

import base64
import io

from PIL import Image

from geoloc.errors import PhotoError
from geoloc.photos.decode import load


def data_uri(
    image: Image.Image,
    max_side_px: int,
    quality: int,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> str:
    """Return an RGB image as a JPEG data URI.

    Args:
        image: left unchanged.
        max_side_px: the longer side is reduced to this many pixels.
        quality: of the JPEG, 1..95.
        resampling: filter of the reduction.
    """
    small = image.copy()
    small.thumbnail((max_side_px, max_side_px), resampling)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def thumbnail(
    file: str,
    max_side_px: int,
    quality: int,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> str:
    """Return a photo file as a JPEG data URI, "" if it cannot be read; see `data_uri`."""
    try:
        image = load(file, min_side=max_side_px // 2).image
    except PhotoError:
        return ""
    return data_uri(image, max_side_px, quality, resampling)
