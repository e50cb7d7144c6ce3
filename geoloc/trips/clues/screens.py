"""Pictures of no place: screenshots, scanned pages, drawings, which have few colours.

Only pictures without a camera in their metadata are looked at. A photo of a page was taken
somewhere, and its time still tells where; a screenshot was not.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

WORDS = ("screenshot", "screen shot", "screen_shot", "bildschirmfoto", "capture d’écran")
"""In file names and comments of screenshots."""

COLOURS, LEAST_SHARE = 3, 0.7
"""A picture was drawn, not photographed, if so many of its pixels have its most frequent colours.
This held for three of 7,778 photos, and they are drawings; see tests/benchmarks/README.md."""

BLACK = 16
"""Darker colours are no evidence: photos at night, and out of caves, are black."""

BIN = 8
"""Levels of 255 that are one colour: grain and compression change them."""

MOST_ROWS, LEAST_PIXELS = 256, 100


def mentions_screen(text: str) -> bool:
    """Return whether a name or a comment says that a picture is a screenshot."""
    lower = text.lower()
    return any(word in lower for word in WORDS)


def is_drawn(picture: Image.Image) -> bool:
    """Return whether a picture is a drawing: a screen, a page, or a diagram.

    Args:
        picture: opened; its pixels are read.

    Raises:
        OSError: the pixels cannot be read.
    """
    pixels = np.asarray(picture.convert("RGB"))
    rows = np.unique(np.linspace(0, len(pixels) - 1, min(MOST_ROWS, len(pixels))).astype(int))
    looked = pixels[rows].reshape(-1, 3)
    if len(looked) < LEAST_PIXELS:
        return False
    light = (looked[looked.max(axis=1) >= BLACK] // BIN).astype(np.int64)
    steps = 256 // BIN
    number = np.bincount((light[:, 0] * steps + light[:, 1]) * steps + light[:, 2])
    return bool(np.sort(number)[-COLOURS:].sum() >= LEAST_SHARE * len(looked))
