"""Templates, static files and inline images of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geoloc.encoders.base import Preprocessing
from geoloc.output import html
from geoloc.output import map as component
from geoloc.output.thumbnails import data_uri
from geoloc.types import Float32Array

STATIC = Path(__file__).parents[1] / "static"
MAP_FILES = Path(component.__file__).parent / "templates"

THUMBNAIL_PX = 420
JPEG_QUALITY = 75
SUPPORTING_COLOUR, OPPOSING_COLOUR = (194, 65, 12), (30, 64, 110)
SHOWN_BY_BROWSERS = (b"\xff\xd8", b"\x89PNG", b"GIF8")
"""First bytes of JPEG, PNG and GIF."""
MAX_OPACITY = 200
"""Opacity (0-255) of the strongest patch in an attribution overlay."""


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Return a fragment from the folder `templates`; text in it is escaped.

    Args:
        template: file name below `templates`.
        values: names that the template uses.
    """
    return html.render(template, "demo.page", **values).strip()


def static_file(name: str) -> str:
    """Return the text of a script or style sheet from `demo/static`."""
    return (STATIC / name).read_text(encoding="utf-8")


def map_file(name: str) -> str:
    """Return the text of a script or style sheet of the map."""
    return (MAP_FILES / name).read_text(encoding="utf-8")


def image_uri(image: Image.Image, max_px: int = THUMBNAIL_PX, quality: int = JPEG_QUALITY) -> str:
    """Return an RGB image as a JPEG data URI without metadata.

    Args:
        image: an upright RGB image.
        max_px: the longer side after reduction.
        quality: of the JPEG.
    """
    return data_uri(image, max_px, quality)


def is_shown_by_browsers(path: Path) -> bool:
    """Return whether every browser shows the picture in a file, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(12)
    return start.startswith(SHOWN_BY_BROWSERS) or (start[:4], start[8:]) == (b"RIFF", b"WEBP")


def attribution_overlay(
    image: Image.Image, preprocessing: Preprocessing, patches: Float32Array
) -> Image.Image:
    """Return a grey photo with an overlay of the regions that support or oppose the answer.

    Args:
        image: an upright RGB image.
        preprocessing: of the encoder; defines which part of the photo it sees.
        patches: (rows, columns) signed attribution from `Geolocator.attribution`.
    """
    visible = preprocessing.visible_part(image).copy()
    visible.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    strength = np.abs(patches) / max(float(np.abs(patches).max()), 1e-12)
    mask = Image.fromarray((MAX_OPACITY * strength).astype(np.uint8)).resize(visible.size)
    signs = Image.fromarray(((patches > 0) * 255).astype(np.uint8)).resize(visible.size)
    colours = Image.composite(
        Image.new("RGB", visible.size, SUPPORTING_COLOUR),
        Image.new("RGB", visible.size, OPPOSING_COLOUR),
        signs,
    )
    grey = visible.convert("L").convert("RGB")
    return Image.composite(colours, grey, mask)
