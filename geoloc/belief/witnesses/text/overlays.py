"""Text that a camera or a website put on the photo: positions, dates, watermarks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue, Spot

_PART = r"\s*\d{1,2}(?:[.,]\d+)?\s*"
_DEGREES = rf"\d{{1,3}}(?:[.,]\d{{3,}}\s*°?|\s*°{_PART}['′’]?(?:{_PART}[\"″”]?)?)"
POSITION = re.compile(
    rf"(?i)(?:[NS]\s*{_DEGREES}|{_DEGREES}\s*[NS])\W*(?:[EWO]\s*{_DEGREES}|{_DEGREES}\s*[EWO])"
    r"|[-+]?\d{1,2}\.\d{4,}\s*°?\s*[,;/ ]\s*[-+]?\d{1,3}\.\d{4,}"
    r"|\b(?:lat|lon|long|latitude|longitude|gps)\b\W*[-+]?\d{1,3}[.,]\d{2,}"
)
"""Coordinates in degrees."""

POSITION_LABEL = re.compile(r"(?i)\b(?:latitude|longitude|long|lat|lon|gps)\b\W*?(?=[-+\d])")

DATE = re.compile(
    r"(?<!\d)(?:19|20)\d{2}[-/.: ]\d{1,2}[-/.: ]\d{1,2}(?!\d)(?:\W*\d{1,2}[:.]\d{2})?"
    r"|(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d{2}\W+\d{1,2}:\d{2}"
    r"|(?<!\d)\d{1,2}:\d{2}:\d{2}(?!\d)|'\d{2} \d{1,2} \d{1,2}"
)

CAMERA = re.compile(
    r"(?i)\bshot on\b|\bgopro\b|\bdji\b|\bgarmin\b|\bnikon\b|\bcanon\b|\bhuawei\b|\bxiaomi\b"
    r"|\bredmi\b|\bai (?:quad|dual|triple) camera\b|\bdashcam\b|\bkm/h\s+[NS]\d|\bmapillary\b"
)

WATERMARK = re.compile(
    r"(?i)©|\(c\)\s|\bcopyright\b|alamy|shutterstock|getty ?images|dreamstime|depositphotos|istock"
    r"|123rf|adobe ?stock|flickr|instagram|facebook|youtube|tiktok|wikimedia|\bphoto by\b"
    r"|all rights reserved|\bgoogle\b|\bstreet view\b"
)

BURNT_IN_POSITION = "burnt-in position"
"""Kind of overlays that can be evidence."""

_KINDS = (
    (BURNT_IN_POSITION, POSITION, "coordinates written on the photo by a camera or an app"),
    ("burnt-in date", DATE, "a date or time, as cameras write it on photos"),
    ("camera overlay", CAMERA, "written on the photo by a camera or an app"),
    ("watermark", WATERMARK, "the mark of an owner or a website"),
)


POSITION_KM = 5.0
"""Distance from burnt-in coordinates at which a photo that bears them is e times rarer."""

_NUMBER = re.compile(
    r"(?i)([NSEWO])?[^\w-]*([-+]?\d{1,3}(?:[.,]\d+)?)\s*°?"
    r"(?:\s*(\d{1,2}(?:[.,]\d+)?)\s*['′’](?:\s*(\d{1,2}(?:[.,]\d+)?)\s*[\"″”]?)?)?"
    r"(?(1)|\s*([NSEWO]?))(?![^\W_])"
)
"""Degrees, minutes, seconds, with a letter before or after them."""


def find(lines: Sequence[Line], *, used: bool = False) -> list[Clue]:
    """Return what is no part of the scene.

    All lines of an overlay are excluded from the other cues: see `Clue.line`.

    Args:
        lines: of a photo.
        used: whether the user wants burnt-in coordinates as evidence.
    """
    found = []
    for row, line in enumerate(lines):
        for kind, pattern, meaning in _KINDS:
            if pattern.search(line.text):
                place = position(line.text) if used and pattern is POSITION else None
                spots = (Spot(*place, POSITION_KM),) if place else ()
                told = meaning if spots else f"{meaning}; shown, not used as evidence"
                found.append(Clue(kind, row, line.text, told, spots=spots, used=bool(spots)))
                break
    return found


def position(text: str) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees of coordinates in a text; None if they are none."""
    degrees = []
    for before, whole, minutes, seconds, after in _NUMBER.findall(POSITION_LABEL.sub(" ", text)):
        parts = [float((part or "0").replace(",", ".")) for part in (whole, minutes, seconds)]
        size = abs(parts[0]) + parts[1] / 60.0 + parts[2] / 3600.0
        letter = (before or after).upper()
        negative = letter in ("S", "W") or whole.startswith("-")
        degrees.append((letter, -size if negative else size))
    if len(degrees) < 2 or "O" in dict(degrees[:2]):  # Ost, or Oeste
        return None
    (first, one), (second, two) = degrees[:2]
    lat, lon = (two, one) if first in ("E", "W") and second in ("N", "S") else (one, two)
    return (lat, lon) if abs(lat) <= 90.0 and abs(lon) <= 180.0 else None
