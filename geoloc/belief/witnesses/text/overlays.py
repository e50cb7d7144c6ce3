"""Text that a camera or a website put on the photo: positions, dates, watermarks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geoloc.belief.witnesses.ocr.reader import Line
from geoloc.belief.witnesses.text.clue import Clue

_PART = r"\s*\d{1,2}(?:[.,]\d+)?\s*"
_DEGREES = rf"\d{{1,3}}(?:[.,]\d{{3,}}\s*°?|\s*°{_PART}['′’]?(?:{_PART}[\"″”]?)?)"
POSITION = re.compile(
    rf"(?i)(?:[NS]\s*{_DEGREES}|{_DEGREES}\s*[NS])\W*(?:[EWO]\s*{_DEGREES}|{_DEGREES}\s*[EWO])"
    r"|[-+]?\d{1,2}\.\d{4,}\s*°?\s*[,;/ ]\s*[-+]?\d{1,3}\.\d{4,}"
    r"|\b(?:lat|lon|long|latitude|longitude|gps)\b\W*[-+]?\d{1,3}[.,]\d{2,}"
)
"""Coordinates in degrees."""

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

_KINDS = (
    ("burnt-in position", POSITION, "coordinates written on the photo by a camera or an app"),
    ("burnt-in date", DATE, "a date or time, as cameras write it on photos"),
    ("camera overlay", CAMERA, "written on the photo by a camera or an app"),
    ("watermark", WATERMARK, "the mark of an owner or a website"),
)


def find(lines: Sequence[Line]) -> list[Clue]:
    """Return what is no part of the scene, as clues that are not used.

    All lines of an overlay are excluded from the other cues: see `Clue.line`.
    """
    found = []
    for row, line in enumerate(lines):
        for kind, pattern, meaning in _KINDS:
            if pattern.search(line.text):
                told = f"{meaning}; shown, not used as evidence"
                found.append(Clue(kind, row, line.text, told, used=False))
                break
    return found
