"""`Shadow`: a measured shadow, or the sun's elevation, and a time, as the user states them.

--shadow 1.8:2.4±5% --time 2024-06-01T10:30Z       an object and its shadow, in any unit
--shadow 37°±1° --time 2024-06-01T10:00Z/11:00Z    the sun's elevation, within an hour
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from geoloc.errors import WitnessError

DEFAULT_ERROR = 0.05
"""Error of a ratio unless the user gives one: 5 %."""

DEFAULT_ERROR_DEG = 1.0

LONGEST = timedelta(days=366)
"""Longest time window."""

SHADOW_FORMS = 'give "1.8:2.4±5%" (object:shadow) or "37°±1°" (the sun\'s elevation)'
TIME_FORMS = 'give "2024-06-01T10:30Z", "2024-06-01T12:30+02:00", or a window "…T10:00Z/11:00Z"'

_NUMBER = r"\s*(\d+(?:[.,]\d*)?|[.,]\d+)\s*"
_ERROR = rf"(?:(?:±|\+-|\+/-){_NUMBER}"
_RATIO = re.compile(rf"{_NUMBER}:{_NUMBER}{_ERROR}%\s*)?")
_ANGLE = re.compile(rf"\s*([-−]?){_NUMBER}(?:°|deg){_ERROR}(?:°|deg)?\s*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shadow:
    """The elevation of the sun in a photo, with its error, and when it was taken."""

    elevation_deg: float
    error_deg: float
    """Standard deviation."""
    start: datetime
    """With a zone."""
    end: datetime
    """The same as `start` if the moment is known."""
    text: str
    """As the user gave it."""

    @classmethod
    def parse(cls, shadow: str, time: str | None) -> Shadow:
        """Parse the options --shadow and --time.

        Raises:
            WitnessError: one of them is missing, not understood, or impossible.
        """
        if not time:
            raise WitnessError(f"a shadow needs the time of the photo: {TIME_FORMS}")
        elevation, error = _elevation(shadow)
        start, end = _window(time)
        return cls(elevation, error, start, end, f"{shadow.strip()} at {time.strip()}")


def _elevation(text: str) -> tuple[float, float]:
    """Return elevation and error in degrees."""
    given = f"shadow {text.strip()[:60]}"
    if found := _RATIO.fullmatch(text):
        height, length = (float(found[i].replace(",", ".")) for i in (1, 2))
        share = float(found[3].replace(",", ".")) / 100.0 if found[3] else DEFAULT_ERROR
        if height <= 0.0 or length <= 0.0:
            raise WitnessError(f"{given}: a length is 0; {SHADOW_FORMS}")
        elevation = math.degrees(math.atan2(height, length))
        # of a tangent: d(elevation) = sin(2 elevation) / 2 * relative error
        error = math.degrees(0.5 * math.sin(2 * math.radians(elevation)) * share)
    elif found := _ANGLE.fullmatch(text):
        elevation = float(found[2].replace(",", ".")) * (-1.0 if found[1] else 1.0)
        error = float(found[3].replace(",", ".")) if found[3] else DEFAULT_ERROR_DEG
    else:
        raise WitnessError(f"{given}: not understood; {SHADOW_FORMS}")
    if not -18.0 <= elevation <= 90.0:
        raise WitnessError(f"{given}: the sun is never {elevation:g}° high in a lit photo")
    if error > 45.0:
        raise WitnessError(f"{given}: an error of {error:.0f}° says nothing; measure again")
    return elevation, max(error, 0.1)


def _window(text: str) -> tuple[datetime, datetime]:
    """Return the first and the last moment of a time or a window."""
    first, slash, last = text.strip().partition("/")
    start = _moment(first, text)
    if not slash:
        return start, start
    same_day = last if "T" in last.upper() else f"{first[:10]}T{last}"
    end = _moment(same_day, text)
    if "T" not in last.upper() and end < start:
        end += timedelta(days=1)
    if not start <= end <= start + LONGEST:
        raise WitnessError(f"time {text.strip()[:60]}: ends before it begins, or after a year")
    return start, end


def _moment(text: str, whole: str) -> datetime:
    given = f"time {whole.strip()[:60]}"
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise WitnessError(f"{given}: no ISO 8601 time; {TIME_FORMS}") from error
    if moment.tzinfo is None:
        raise WitnessError(f"{given}: lacks its zone; add Z for UTC, or an offset as +02:00")
    if not 1950 <= moment.year <= 2050:
        raise WitnessError(f"{given}: the sun is computed for 1950 to 2050; check the year")
    return moment.astimezone(UTC)
