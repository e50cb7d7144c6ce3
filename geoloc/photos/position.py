"""The one rule for whether coordinates in metadata or in a table are a position."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from geoloc.types import BoolArray, Float64Array

ESTIMATE_METHOD = "ESTIMATE planet-geoloc"
"""GPSProcessingMethod of positions that this program estimated: they are never read as known."""

_WORDS = {
    "N": "n north nord norte northern".split(),
    "S": "s south sud süd sur sul southern".split(),
    "E": "e east est ost este leste eastern".split(),
    "W": "w west ouest ovest oeste western".split(),
}
_LETTER_OF = {word: letter for letter, words in _WORDS.items() for word in words}

_MAX_TEXT = 100
_ANGLE = re.compile(
    r"\s*(?P<sign>[-+]?)\s*(?P<numbers>\d+(?:\.\d*)?(?:[\s,:;°º'′’\"″”]+\d+(?:\.\d*)?){0,2})"
    r"[\s,:;°º'′’\"″”]*(?P<side>[^\W\d][^\d]*)?",
    re.ASCII | re.IGNORECASE,
)


NO_POSITION = "without N, S, E or W; 0/0; 0 N 0 E; or an estimate of this program"
"""Which GPS coordinates in metadata are no position."""


def on_earth(latlon: Float64Array) -> BoolArray:
    """Return (N,) whether coordinates (N, 2) are numbers in -90..90 and -180..180 degrees."""
    return np.asarray((np.abs(latlon) <= (90.0, 180.0)).all(axis=1))  # False for NaN


def is_position(latlon: Float64Array) -> BoolArray:
    """Return (N,) whether coordinates (N, 2) are the position of a photo.

    They are on the Earth and not 0 N 0 E, which devices and tables have for an unknown position.
    """
    return np.asarray(on_earth(latlon) & (latlon != 0.0).any(axis=1))


def position(
    lat: Any,  # noqa: ANN401
    lat_ref: Any,  # noqa: ANN401
    lon: Any,  # noqa: ANN401
    lon_ref: Any,  # noqa: ANN401
    method: Any = "",  # noqa: ANN401
) -> tuple[float, float] | None:
    """Parse GPS values of any form into (latitude, longitude) in degrees.

    Returns None if a hemisphere is missing, an angle is not a number (0/0), the processing method
    marks an estimate of this program, or `is_position` is false.

    Args:
        lat: latitude: degrees, or up to three of degrees, minutes and seconds, or text such as
            "33,51.4S" (XMP).
        lat_ref: its hemisphere: "N", b"S", "south latitude"...
        lon: longitude, as for `lat`.
        lon_ref: its hemisphere: "E", "W", "West"...
        method: GPSProcessingMethod.
    """
    if ESTIMATE_METHOD in _text(method):
        return None
    north = _degrees(lat, lat_ref, "NS", 90.0)
    east = _degrees(lon, lon_ref, "EW", 180.0)
    if north is None or east is None or not is_position(np.array([[north, east]]))[0]:
        return None
    return north, east


def _degrees(value: Any, ref: Any, letters: str, limit: float) -> float | None:  # noqa: ANN401
    """Return signed degrees, or None for an invalid angle; a minus sign means south or west."""
    side = _text(ref)
    if isinstance(value, str | bytes):
        found = _ANGLE.fullmatch(_text(value)[:_MAX_TEXT])
        if found is None:
            return None
        parts = [float(number) for number in re.findall(r"[\d.]+", found["numbers"])]
        negative = found["sign"] == "-"
        side = found["side"] or side
    else:
        signed = _numbers(value)
        first = next((part for part in signed if part), 0.0)
        parts, negative = [abs(part) for part in signed], first < 0.0
        if first > 0.0 and min(signed) < 0.0:
            return None
    letter = _letter(side)
    if not 1 <= len(parts) <= 3 or letter is None or letter not in letters:
        return None
    if max(parts[1:], default=0.0) > 60.0:  # a decimal comma, or a unit mistaken
        return None
    angle = sum(part / 60.0**power for power, part in enumerate(parts))
    if angle > limit:
        return None
    return -angle if negative or letter == letters[1] else angle


def _numbers(value: Any) -> list[float]:  # noqa: ANN401
    """Return rationals or numbers, alone or in a sequence, as floats; none for anything else."""
    try:
        numbers = [float(part) for part in (value if hasattr(value, "__len__") else [value])]
    except (TypeError, ValueError, ArithmeticError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def _letter(side: str) -> str | None:
    """Return N, S, E or W for a hemisphere in letters or words, None for anything else."""
    words = re.findall(r"[^\W\d_]+", side.lower())
    return _LETTER_OF.get(words[0]) if words else None


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.strip("\0 \t\r\n") if isinstance(value, str) else ""
