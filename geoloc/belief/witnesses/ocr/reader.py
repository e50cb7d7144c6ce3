"""`TextReader`: the lines of text in a photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from geoloc.belief.witnesses.ocr import tesseract
from geoloc.belief.witnesses.ocr.boxes import UPRIGHT, crop, line_boxes, text_regions
from geoloc.belief.witnesses.ocr.networks import TextNetworks
from geoloc.types import Float64Array

SKETCH_PX = 480
"""Long side of the reduced picture that shows whether and where there is text."""

MAY_BE_TEXT = 0.15
"""Pixels of the reduced picture above this probability are looked at in detail."""

LONG_SIDE_PX = 1600
"""Long side of the picture in which lines are found; their crops are cut from up to twice of it."""

SHORT_SIDE_PX = 736
"""Smaller pictures are enlarged to this, which finds more of their text."""

MOST_LINES = 120
"""Lines read in one photo, the largest first: a page of 2,000 words says nothing more."""

READABLE = 0.6
"""Confidence below which a line is read again, upside down and by other models."""

MOST_COVERED = 0.5
"""Share of the picture from which on all of it is looked at."""

MARGIN = 0.02
"""Around the parts that are looked at, in long sides of the picture."""

_MAX_ENLARGED = 2.0


@dataclass(frozen=True)
class Line:
    """One line of text in a photo."""

    text: str
    confidence: float
    """Of the reading, 0..1."""
    box: tuple[tuple[float, float], ...]
    """Four corners (x, y), each 0..1 of the photo's width and height, clockwise from the upper
    left."""
    model: str = "PP-OCRv6"
    """That read the line; a script model of Tesseract by its name."""


@dataclass(frozen=True)
class Reading:
    """All lines of a photo, and what could not be read."""

    lines: tuple[Line, ...] = ()
    unread: int = 0
    """Lines that were found and could not be read: too small, blurred, or in another script."""
    missing: tuple[str, ...] = ()
    """Script models of Tesseract that are not installed, named if lines could not be read."""


class TextReader:
    """Finds lines in a photo and reads them."""

    def __init__(self, threads: int = 1) -> None:
        """Take the number of CPU threads.

        Raises:
            TextModelsError: the networks are not installed.
        """
        self._networks = TextNetworks(threads)

    def read(self, image: Image.Image) -> Reading:
        """Return the text of an upright RGB photo; nothing if its sketch shows none."""
        boxes = self._boxes(image)
        crops = [crop(image, box) for box in boxes]
        relative = boxes / np.array(image.size)
        found = [
            Line(*self._either_way(each), _corners(box))
            for each, box in zip(crops, relative, strict=True)
        ]
        doubtful = [i for i, line in enumerate(found) if line.confidence < READABLE]
        others = self._scripts.read([crops[i] for i in doubtful])
        for i, other in zip(doubtful, others, strict=True):
            if other is not None:
                found[i] = replace(found[i], text=other[0], confidence=other[1], model=other[2])
        lines = tuple(line for line in found if line.text and line.confidence >= READABLE)
        unread = len(found) - len(lines)
        return Reading(lines, unread, self._scripts.missing if unread else ())

    def _boxes(self, image: Image.Image) -> Float64Array:
        """Return the boxes (L, 4, 2) of the lines in pixels of the image."""
        sketch = _reduced(image, SKETCH_PX / max(image.size))
        scale = LONG_SIDE_PX / max(image.size)
        scale = min(scale, max(1.0, SHORT_SIDE_PX / min(image.size)), _MAX_ENLARGED)
        boxes = [np.zeros((0, 4, 2))]
        for part in _padded(text_regions(self._networks.heat(sketch), MAY_BE_TEXT), image.size):
            detail = _reduced(image.crop(part), scale)
            heat = self._networks.heat(detail)
            shrink = [(part[2] - part[0]) / heat.shape[1], (part[3] - part[1]) / heat.shape[0]]
            boxes.append(line_boxes(heat, MOST_LINES) * shrink + part[:2])
        found = np.concatenate(boxes)
        height = np.hypot(*(found[:, 3] - found[:, 0]).T) * np.hypot(*(found[:, 1] - found[:, 0]).T)
        return np.asarray(found[np.argsort(-height, kind="stable")[:MOST_LINES]])

    def _either_way(self, line: Image.Image) -> tuple[str, float]:
        """Return the better reading of a line, which may stand on its head."""
        text, confidence = self._networks.read([line])[0]
        if confidence >= READABLE:
            return text, confidence
        turned = self._networks.read([line.transpose(Image.Transpose.ROTATE_180)])[0]
        return max((text, confidence), turned, key=lambda one: one[1])

    @cached_property
    def _scripts(self) -> tesseract.ScriptModels:
        return tesseract.ScriptModels()


def _corners(box: Float64Array) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in np.clip(box, 0.0, 1.0))


def _padded(
    areas: list[tuple[float, float, float, float]], size: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """Return areas in 0..1 as pixels of a picture, with a margin, or the whole of it.

    The whole picture costs less than several parts that cover most of it.
    """
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in areas)
    if covered > MOST_COVERED:
        return [(0, 0, *size)]
    margin = MARGIN * max(size)
    return [
        (
            max(0, round(left * size[0] - margin)),
            max(0, round(top * size[1] - margin)),
            min(size[0], round(right * size[0] + margin)),
            min(size[1], round(bottom * size[1] + margin)),
        )
        for left, top, right, bottom in areas
    ]


def _reduced(image: Image.Image, scale: float) -> Image.Image:
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
