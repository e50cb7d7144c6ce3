"""Pictures as pages show them: small JPEGs inside the page, without what the file says."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from geoloc.encoders.base import Preprocessing
from geoloc.types import Float32Array

THUMBNAIL_PX = 480
ACCENT, AGAINST = (194, 65, 12), (30, 64, 110)


def data_uri(image: Image.Image, most_px: int = THUMBNAIL_PX) -> str:
    """An upright RGB picture, reduced to a longer side of `most_px`, as an address of its own."""
    small = image.copy()
    small.thumbnail((most_px, most_px))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def heat(image: Image.Image, pixels: Preprocessing, patches: Float32Array) -> Image.Image:
    """The photo as the encoder saw it, coloured where it speaks for the answer, and against.

    Args:
        image: upright RGB.
        pixels: how the encoder is fed; says which part of the photo it saw.
        patches: (rows, columns) signed, from `Geolocator.attribution`.
    """
    if pixels.resize == "crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    shown = image.copy()
    shown.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    strength = np.abs(patches) / max(float(np.abs(patches).max()), 1e-12)
    mask = Image.fromarray((200 * strength).astype(np.uint8)).resize(shown.size)
    signs = Image.fromarray(((patches > 0) * 255).astype(np.uint8)).resize(shown.size)
    colours = Image.composite(
        Image.new("RGB", shown.size, ACCENT), Image.new("RGB", shown.size, AGAINST), signs
    )
    grey = shown.convert("L").convert("RGB")
    return Image.composite(colours, grey, mask)
