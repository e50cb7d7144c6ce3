"""Times of photos: EXIF with or without offset, GPS time stamps, sidecars, dates in file names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

Source = Literal["exif", "gps", "sidecar", "name", "table", "order"]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
"""Cameras have no earlier times; a clock without power starts at 1970 or 1980."""

FUTURE_S = 2 * 86400.0
"""A time so long after now is wrong."""

_EXIF_TIME = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)|Z")
_NAME_TIME = re.compile(
    r"(?<!\d)(19[89]\d|20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_ T.]*(?:at )?([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d))?(?!\d{5})"
)
_EPOCH_MS = re.compile(r"(?<!\d)(1\d{12})(?!\d)")
_DIGEST = re.compile(r"[0-9a-f]{12,}(-[0-9a-f]+)*", re.IGNORECASE)
_XMP_TIME = re.compile(
    r"(?:exif:DateTimeOriginal|photoshop:DateCreated|xmp:CreateDate)\s*(?:=\s*[\"']|>)\s*([^\"'<]+)"
)


@dataclass(frozen=True, slots=True)
class PhotoTime:
    """When a photo was taken, by the clocks that recorded it."""

    local_s: float | None = None
    """Reading of the camera's clock, in seconds since 1970 as if it showed UTC."""
    zone_s: float | None = None
    """Offset of that reading from UTC that the file states."""
    utc_s: float | None = None
    """Seconds since 1970 of the GPS time stamp."""
    source: Source | None = None

    @property
    def plausible(self) -> bool:
        """Whether the clock shows a time between 1990 and now."""
        now = datetime.now(UTC).timestamp()
        return self.local_s is not None and EARLIEST <= self.local_s <= now + FUTURE_S


def exif_time(
    exif: Mapping[int, Any], detail: Mapping[int, Any], gps: Mapping[int, Any]
) -> PhotoTime:
    """Return the time in EXIF.

    Args:
        exif: tags of the first directory.
        detail: tags of the Exif directory.
        gps: tags of the GPS directory.
    """
    original = parse_local(detail.get(0x9003)) or parse_local(detail.get(0x9004))
    tags = (0x9011, 0x9291) if parse_local(detail.get(0x9003)) else (0x9012, 0x9292)
    if original is None:
        original, tags = parse_local(exif.get(0x0132)), (0x9010, 0x9290)
    utc = _gps_stamp(gps)
    if original is None:
        return PhotoTime(utc, 0.0, utc, "gps") if utc is not None else PhotoTime()
    zone = parse_offset(detail.get(tags[0]))
    return PhotoTime(original + _sub_seconds(detail.get(tags[1])), zone, utc, "exif")


def parse_local(text: Any) -> float | None:  # noqa: ANN401
    """Return a time such as "2024:03:05 10:20:30" in seconds since 1970 as if UTC, else None."""
    found = _EXIF_TIME.match(str(text).strip("\0 "))
    if found is None:
        return None
    try:
        return _moment(found.groups())
    except ValueError:
        return None


def parse_offset(text: Any) -> float | None:  # noqa: ANN401
    """Return an offset such as "+02:00" or "Z" in seconds, else None."""
    found = _OFFSET.fullmatch(str(text).strip("\0 "))
    if found is None:
        return None
    if found[1] is None:
        return 0.0
    seconds = int(found[2]) * 3600.0 + int(found[3]) * 60.0
    if seconds > 15 * 3600.0:
        return None
    return -seconds if found[1] == "-" else seconds


def parse_iso(text: Any) -> PhotoTime:  # noqa: ANN401
    """Return a time such as "2024-03-05T10:20:30.5+01:00", with or without an offset."""
    plain = str(text).strip()
    local = parse_local(plain)
    if local is None:
        return PhotoTime()
    rest = plain[19:]
    fraction = re.match(r"\.\d+", rest)
    local += float(fraction[0]) if fraction else 0.0
    return PhotoTime(local, parse_offset(rest[fraction.end() if fraction else 0 :]), None, "table")


def sidecar_time(photo: Path) -> PhotoTime:
    """Return the time in the XMP sidecar of a photo, if it has one."""
    for path in (photo.with_name(f"{photo.name}.xmp"), photo.with_suffix(".xmp")):
        try:
            with path.open("rb") as file:
                text = file.read(1 << 20).decode("utf-8", "replace")
        except OSError:
            continue
        for found in _XMP_TIME.finditer(text):
            time = parse_iso(found[1])
            if time.local_s is not None:
                return PhotoTime(time.local_s, time.zone_s, None, "sidecar")
    return PhotoTime()


def name_time(name: str) -> PhotoTime:
    """Return the time in a file name such as IMG_20240305_102030.jpg.

    Names with a date alone, such as those of messengers, have no time of day: None.
    """
    stem = Path(name).stem
    if _DIGEST.fullmatch(stem) and not stem.isdecimal():
        return PhotoTime()
    for found in _NAME_TIME.finditer(stem):
        if found[4] is not None:
            try:
                local = _moment(found.groups())
            except ValueError:
                continue
            return PhotoTime(local, None, None, "name")
    epoch = _EPOCH_MS.search(stem)
    if epoch is not None:
        return PhotoTime(int(epoch[1]) / 1000.0, 0.0, None, "name")
    return PhotoTime()


def iso(utc_s: float, zone_s: float) -> str:
    """Return a time as ISO 8601 with its offset from UTC, which is rounded to minutes."""
    zone = timezone(timedelta(minutes=round(zone_s / 60.0)))
    return datetime.fromtimestamp(round(utc_s), zone).isoformat()


def _moment(numbers: Iterable[str | None]) -> float:
    """Return year, month, day, hour, minute and second, as if UTC, in seconds since 1970."""
    year, month, day, hour, minute, second = (*(int(each or 0) for each in numbers), 0, 0, 0)[:6]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _sub_seconds(text: Any) -> float:  # noqa: ANN401
    digits = re.match(r"\d{1,6}", str(text).strip("\0 "))
    return float(f"0.{digits[0]}") if digits else 0.0


def _gps_stamp(gps: Mapping[int, Any]) -> float | None:
    """Return GPSDateStamp and GPSTimeStamp in seconds since 1970, else None."""
    day = re.fullmatch(r"(\d{4})[:-](\d\d)[:-](\d\d)", str(gps.get(29, "")).strip("\0 "))
    try:
        hours, minutes, seconds = (float(part) for part in gps[7])
        start = _moment(day.groups()) if day else None
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    total = hours * 3600.0 + minutes * 60.0 + seconds
    if start is None or not 0.0 <= total <= 86400.0:
        return None
    stamp = start + total
    return stamp if stamp >= EARLIEST else None
