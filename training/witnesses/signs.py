"""Simulated signs: lines of text in installed fonts, tilted, blurred, noisy, partly hidden."""

from __future__ import annotations

import subprocess
import unicodedata
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from geoloc.types import Float64Array

TEST_FONTS = 4
"""One font family in so many is kept for tests, by the order of the names."""

MARGIN = 0.35
"""Free space around a line, in heights of a letter."""

STYLES = ("Regular", "Bold", "Medium", "Book", "Roman")

_SYMBOL_FONTS = ("Emoji", "Symbol", "Math", "Music", "LastResort", "OpenSymbol", "Blank")


@cache
def _fonts() -> list[tuple[str, str, list[tuple[int, int]]]]:
    """Return family, path and ranges of characters of the installed upright fonts, sorted."""
    listed = subprocess.run(
        ["fc-list", "--format=%{family[0]}\t%{file}\t%{style[0]}\t%{charset}\n"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    rows = [row.split("\t") for row in listed if not any(s in row for s in _SYMBOL_FONTS)]
    fonts = []
    for family, path, style, charset in rows:
        if style in STYLES:
            ends = [each.split("-") for each in charset.split()]
            fonts.append((family, path, [(int(e[0], 16), int(e[-1], 16)) for e in ends]))
    return sorted(fonts)


@cache
def fonts_for(text: str, *, test: bool = False) -> tuple[str, ...]:
    """Return the installed fonts that have all letters of a text, in the order of their names.

    Args:
        text: to be written.
        test: return fonts of the families kept for tests; all others otherwise. If every family
            that fits belongs to the other side, its fonts are returned.

    Returns:
        Paths of files, none if no font fits.
    """
    letters = {ord(c) for c in text if not c.isspace()}
    rows = [
        (family, path)
        for family, path, ranges in _fonts()
        if all(any(low <= c <= high for low, high in ranges) for c in letters)
    ]
    families = sorted({family for family, _ in rows})
    kept = {family for at, family in enumerate(families) if at % TEST_FONTS == TEST_FONTS - 1}
    side = [path for family, path in rows if (family in kept) == test]
    return tuple(side or [path for _, path in rows])


def line(
    text: str, rng: np.random.Generator, height_px: float = 40.0, *, test: bool = False
) -> Image.Image | None:
    """Return a text on a plain board in random colours; None if no installed font has it.

    Args:
        text: one line.
        rng: random numbers.
        height_px: of the letters, roughly.
        test: draw from the fonts kept for tests.
    """
    text = unicodedata.normalize("NFC", text)
    fonts = fonts_for(text, test=test)
    if not fonts:
        return None
    font = ImageFont.truetype(fonts[rng.integers(len(fonts))], max(8, round(height_px)))
    left, top, right, bottom = font.getbbox(text)
    margin = MARGIN * height_px * rng.uniform(0.4, 1.5)
    size = (round(right - left + 2 * margin), round(bottom - top + 2 * margin))
    board, ink = colours(rng)
    sign = Image.new("RGB", (max(8, size[0]), max(8, size[1])), board)
    ImageDraw.Draw(sign).text((margin - left, margin - top), text, font=font, fill=ink)
    return sign


def colours(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return colours of board and letters that differ in brightness."""
    light, dark = rng.uniform(150, 256, 3), rng.uniform(0, 105, 3)
    pair = [tuple(map(int, light)), tuple(map(int, dark))]
    return (pair[0], pair[1]) if rng.random() < 0.5 else (pair[1], pair[0])


def weather(sign: Image.Image, rng: np.random.Generator, strength: float = 1.0) -> Image.Image:
    """Return a sign blurred and noisy, in proportion to strength, and in another light."""
    blur = strength * rng.uniform(0.0, 1.6) * sign.height / 60.0
    pixels = np.asarray(sign.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    noisy = pixels * rng.uniform(0.6, 1.1) + rng.normal(0.0, strength * 12.0, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def tilted(sign: Image.Image, rng: np.random.Generator, strength: float = 1.0) -> Image.Image:
    """Return a sign in perspective, RGBA, transparent around it."""
    width, height = sign.size
    pad = round(0.25 * height) + 2
    corners = np.array([[0, 0], [0, height], [width, height], [width, 0]], np.float64) + pad
    moved = corners + rng.uniform(-1, 1, (4, 2)) * strength * 0.18 * height
    plain = Image.new("RGBA", (width + 2 * pad, height + 2 * pad))
    plain.paste(sign, (pad, pad))
    return plain.transform(
        plain.size, Image.Transform.PERSPECTIVE, _homography(moved, corners),
        Image.Resampling.BICUBIC,
    )  # fmt: skip


def on_photo(
    photo: Image.Image, sign: Image.Image, rng: np.random.Generator, hidden: float = 0.0
) -> Image.Image:
    """Return a photo with a tilted sign at a random place.

    Args:
        photo: RGB.
        sign: RGB, smaller than the photo.
        rng: random numbers.
        hidden: share of the sign's width that a pole of the photo's own colours covers.
    """
    layer = tilted(weather(sign, rng), rng)
    shrink = min(1.0, 0.9 * photo.width / layer.width, 0.9 * photo.height / layer.height)
    layer = layer.resize((max(1, int(layer.width * shrink)), max(1, int(layer.height * shrink))))
    x, y = (int(rng.integers(0, a - b + 1)) for a, b in zip(photo.size, layer.size, strict=True))
    result = photo.copy()
    result.paste(layer, (x, y), layer)
    if hidden > 0.0:
        width = max(1, int(hidden * layer.width))
        at = x + int(rng.integers(0, layer.width - width + 1))
        source = int(rng.integers(0, photo.width - width + 1))
        pole = photo.crop((source, y, source + width, y + layer.height))
        result.paste(pole, (at, y))
    return result


def _homography(source: Float64Array, target: Float64Array) -> list[float]:
    """Return the eight coefficients that map points (4, 2) of the source to the target."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(c) for c in np.linalg.solve(np.array(rows), np.array(values))]
