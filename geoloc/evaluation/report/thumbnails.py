"""Small pictures inside a page."""

from __future__ import annotations

import base64
import io

from geoloc.errors import PhotoError
from geoloc.photos.decode import load

SIDE_PX = 320
QUALITY = 72


def thumbnail(file: str) -> str:
    """A photo as a small JPEG in a data URI, without metadata; "" if it is not there."""
    if not file:
        return ""
    try:
        image = load(file, min_side=SIDE_PX // 2).image
    except PhotoError:
        return ""
    image.thumbnail((SIDE_PX, SIDE_PX))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
