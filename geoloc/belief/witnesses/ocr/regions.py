"""Parts of a photo that may hold text, from the detector's map of a reduced picture."""

from __future__ import annotations

from geoloc.types import Float32Array

REACH = 24
"""Text within 1/24 of the long side belongs to one part, twice as far to its sides."""

MARGIN = 0.02
"""Around the parts, in long sides of the picture."""

MOST_COVERED = 0.5
"""Share of the picture from which on all of it is one part."""

Part = tuple[float, float, float, float]
"""Left, top, right and bottom in 0..1."""


def text_regions(heat: Float32Array, threshold: float) -> list[Part]:
    """Return rectangles around the text of a small map.

    Args:
        heat: (H, W) of a reduced picture.
        threshold: pixels above it may be text.
    """
    from scipy import ndimage

    height, width = heat.shape
    reach = max(1, max(height, width) // REACH)
    mask = ndimage.maximum_filter(heat, (reach, 2 * reach)) > threshold
    label, count = ndimage.label(mask)
    return [
        (columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
        for rows, columns in ndimage.find_objects(label, count)
    ]


def padded(parts: list[Part], size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Return parts as pixels of a picture, with a margin, or the whole of it.

    The whole picture costs less than several parts that cover most of it.

    Args:
        parts: from `text_regions`.
        size: width and height of the picture.
    """
    if sum((right - left) * (bottom - top) for left, top, right, bottom in parts) > MOST_COVERED:
        return [(0, 0, *size)]
    margin, (width, height) = MARGIN * max(size), size
    return [
        (
            max(0, round(left * width - margin)),
            max(0, round(top * height - margin)),
            min(width, round(right * width + margin)),
            min(height, round(bottom * height + margin)),
        )
        for left, top, right, bottom in parts
    ]
