"""Boxes of text lines: from the detector's map to quadrilaterals, and to upright crops."""

from __future__ import annotations

import numpy as np
import shapely
from PIL import Image

from geoloc.types import BoolArray, Float32Array, Float64Array

TEXT = 0.3
"""Pixels above this probability belong to text."""

LINE = 0.5
"""Lines of a lower mean probability are dropped."""

UNCLIP = 1.6
"""The detector marks the core of a line; its box grows by UNCLIP x area / circumference."""

UPRIGHT = 1.5
"""Boxes at least so many times higher than wide are lines written downwards or turned."""

_SMALLEST_PX = 3


def line_boxes(heat: Float32Array, limit: int) -> Float64Array:
    """Return the boxes of the text lines in a map of text pixels, the largest first.

    Args:
        heat: (H, W) in 0..1.
        limit: number of lines at most.

    Returns:
        (L, 4, 2) corners (x, y) in pixels of the map: of a horizontal line the upper left, upper
        right, lower right and lower left.
    """
    from scipy import ndimage

    mask = ndimage.binary_dilation(heat > TEXT, np.ones((2, 2)))
    label, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return np.zeros((0, 4, 2))
    parts = np.arange(1, count + 1)
    strong = ndimage.mean(np.where(heat > TEXT, heat, TEXT), label, parts) >= LINE
    size = ndimage.sum(mask, label, parts)
    largest = [part for part in np.argsort(-size) if strong[part]][:limit]
    spans = ndimage.find_objects(label)
    boxes = [_grown(_rectangle(label[spans[p]] == p + 1, spans[p])) for p in largest]
    return np.array([box for box in boxes if box is not None]).reshape(-1, 4, 2)


def crop(image: Image.Image, box: Float64Array) -> Image.Image:
    """Return the upright picture of a box (4, 2); text that runs downwards is turned left."""
    upper_left, upper_right, lower_right, lower_left = box
    width = max(np.hypot(*(upper_right - upper_left)), np.hypot(*(lower_right - lower_left)))
    height = max(np.hypot(*(lower_left - upper_left)), np.hypot(*(lower_right - upper_right)))
    corners = np.concatenate([upper_left, lower_left, lower_right, upper_right]).tolist()
    size = (max(1, round(width)), max(1, round(height)))
    line = image.transform(size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    return line.transpose(Image.Transpose.ROTATE_90) if height >= UPRIGHT * width else line


def _rectangle(mask: BoolArray, span: tuple[slice, slice]) -> Float64Array:
    """Return the smallest rectangle (4, 2) around the pixels of a mask that starts at a span."""
    from scipy import ndimage

    rows, columns = np.nonzero(mask & ~ndimage.binary_erosion(mask))
    points = np.column_stack([columns + span[1].start, rows + span[0].start]).astype(np.float64)
    shape = shapely.oriented_envelope(shapely.MultiPoint(points))
    if shape.geom_type != "Polygon":
        return np.repeat(points[:1], 4, axis=0)
    return _ordered(np.array(shape.exterior.coords)[:4])


def _ordered(corners: Float64Array) -> Float64Array:
    """Return corners clockwise, from the upper left one of the two leftmost."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = (half[np.argsort(half[:, 1], kind="stable")] for half in (by_x[:2], by_x[2:]))
    return np.array([left[0], right[0], right[1], left[1]])


def _grown(box: Float64Array) -> Float64Array | None:
    """Return a rectangle grown on all sides, in place of pyclipper; None for one too small."""
    along, down = box[1] - box[0], box[3] - box[0]
    width, height = float(np.hypot(*along)), float(np.hypot(*down))
    if min(width, height) < _SMALLEST_PX:
        return None
    grow = UNCLIP * width * height / (2.0 * (width + height))
    x, y = along / width * grow, down / height * grow
    return np.asarray(box + np.array([-x - y, x - y, x + y, y - x]))
