"""`TextReader`: the lines of text in a photo."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from geoloc.belief.witnesses.ocr.boxes import crop, line_boxes
from geoloc.belief.witnesses.ocr.networks import TextNetworks
from geoloc.belief.witnesses.ocr.regions import padded, text_regions
from geoloc.belief.witnesses.ocr.scripts import NOTHING, ScriptIdentifier, characters, describe
from geoloc.belief.witnesses.ocr.tesseract import MODELS, ScriptModels
from geoloc.types import Float32Array, Float64Array

SKETCH_PX = 480
"""Long side of the reduced picture that shows whether and where there is text."""

MAY_BE_TEXT = 0.3
"""Pixels of the reduced picture above this probability are looked at in detail."""

LONG_SIDE_PX = 1600
"""Long side of the picture in which lines are found; lines are cut from the photo as it is."""

MOST_PIXELS = 1_400_000
"""Of a part in which lines are found: the network's memory grows with them."""

SHORT_SIDE_PX = 736
"""Smaller pictures are enlarged to this, which finds more of their text."""

MOST_ENLARGED = 2.0

MOST_LINES = 120
"""Lines read in one photo, the largest first: a page of 2,000 words says nothing more."""

READABLE = 0.6
"""Confidence below which a line is not read by the networks."""

UPRIGHT = 0.85
"""Confidence below which a line is read upside down as well."""

CERTAIN = 0.97
"""Confidence from which on the networks are believed whatever the identifier of scripts says."""

SCRIPT = 0.45
"""Probability from which on a line is taken for one in a script that the networks cannot read."""

READ_BY_TESSERACT = 0.45
"""Confidence from which on a reading of Tesseract is shown."""


@dataclass(frozen=True)
class Line:
    """One line of text in a photo."""

    text: str
    """"" if its script is recognised and its letters are not."""
    confidence: float
    """Of the reading, or else of the script, 0..1."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom, as shares of the photo's width and height."""
    script: str = ""
    """Of a line that the networks cannot read, as in `tesseract.MODELS`."""


@dataclass(frozen=True)
class Reading:
    """All lines of a photo, and what could not be read."""

    lines: tuple[Line, ...] = ()
    unread: int = 0
    """Lines that were found and are too small or too blurred."""
    remedies: tuple[str, ...] = ()
    """What to install to read the lines in other scripts."""


class TextReader:
    """Finds lines in a photo and reads them."""

    def __init__(self, threads: int = 1) -> None:
        """Take the number of CPU threads.

        Raises:
            TextModelsError: the networks are not installed.
        """
        self.networks = TextNetworks(threads)
        self.scripts = ScriptModels()

    def read(self, image: Image.Image) -> Reading:
        """Return the text of an upright RGB photo; nothing if its sketch shows none."""
        boxes = self._boxes(image)
        crops = [crop(image, box) for box in boxes]
        rows = [self._line(each, box / image.size) for each, box in zip(crops, boxes, strict=True)]
        lines = self._by_tesseract(rows, crops)
        kept = tuple(line for line in lines if line.text or line.script)
        waiting = {line.script for line in kept if line.script and not line.text}
        missing = sorted(waiting - {*self.scripts.installed})
        return Reading(kept, len(rows) - len(kept), tuple(map(self.scripts.remedy, missing)))

    def crops(self, image: Image.Image) -> list[Image.Image]:
        """Return the upright pictures of the lines, the largest first."""
        return [crop(image, box) for box in self._boxes(image)]

    def _boxes(self, image: Image.Image) -> Float64Array:
        """Return the boxes (L, 4, 2) of the lines in pixels of the image."""
        sketch = _resized(image, min(1.0, SKETCH_PX / max(image.size)))
        areas = text_regions(self.networks.heat(sketch), MAY_BE_TEXT)
        scale = min(max(1.0, SHORT_SIDE_PX / min(image.size)), MOST_ENLARGED)
        scale = min(scale, LONG_SIDE_PX / max(image.size))
        boxes = [np.zeros((0, 4, 2))]
        for part in padded(areas, image.size):
            area = (part[2] - part[0]) * (part[3] - part[1])
            detail = min(scale, (MOST_PIXELS / area) ** 0.5)
            heat = self.networks.heat(_resized(image.crop(part), detail))
            shrink = [(part[2] - part[0]) / heat.shape[1], (part[3] - part[1]) / heat.shape[0]]
            boxes.append(line_boxes(heat, MOST_LINES) * shrink + part[:2])
        found = np.concatenate(boxes)
        size = np.hypot(*(found[:, 3] - found[:, 0]).T) * np.hypot(*(found[:, 1] - found[:, 0]).T)
        return np.asarray(found[np.argsort(-size, kind="stable")[:MOST_LINES]])

    def _line(self, picture: Image.Image, box: Float64Array) -> Line:
        """Read a line by the networks, upside down if that reads better."""
        edges = [*box.min(axis=0), *box.max(axis=0)]
        left, top, right, bottom = (round(min(max(float(x), 0.0), 1.0), 4) for x in edges)
        seen = self.networks.probabilities(picture)
        text, confidence = self.networks.decode(seen)
        script, chance = self._script(seen, confidence)
        if confidence < UPRIGHT and not script:
            seen = self.networks.probabilities(picture.transpose(Image.Transpose.ROTATE_180))
            text, confidence = max((text, confidence), self.networks.decode(seen), key=_second)
        place = (left, top, right, bottom)
        if script:
            return Line("", chance, place, script)
        return Line(text if confidence >= READABLE else "", confidence, place)

    def _script(self, seen: Float32Array, confidence: float) -> tuple[str, float]:
        """Return the script of a line that the networks cannot read; "" for others."""
        if confidence >= CERTAIN:
            return "", 0.0
        chances = ScriptIdentifier.load()(describe(seen, characters(seen.shape[1])))
        script, chance = max(chances.items(), key=_second)
        other = script in MODELS and script != NOTHING and chance >= SCRIPT
        return (script, chance) if other else ("", 0.0)

    def _by_tesseract(self, lines: list[Line], crops: Sequence[Image.Image]) -> list[Line]:
        """Read the lines of each script at once; their confidence is that of their reading."""
        lines = [*lines]
        for script in {line.script for line in lines if line.script}:
            rows = [row for row, line in enumerate(lines) if line.script == script]
            texts = self.scripts.read([crops[row] for row in rows], script)
            for row, (text, confidence) in zip(rows, texts, strict=True):
                if confidence >= READ_BY_TESSERACT and _share(text, script) > 0.5:
                    lines[row] = Line(text, confidence, lines[row].box, script)
        return lines


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


def _share(text: str, script: str) -> float:
    """Return the share of the letters of a text that belong to a script."""
    letters = [c for c in text if c.isalpha()]
    own = [c for c in letters if unicodedata.name(c, "").startswith(script.upper())]
    return len(own) / max(1, len(letters))


def _resized(image: Image.Image, scale: float) -> Image.Image:
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
