"""`FileTags`: time zone, height, camera and captions in the metadata of a file."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import Any

from PIL import ExifTags, Image

from geoloc.photos.decode import FORMATS, Photo
from geoloc.photos.exif import MAX_XMP_BYTES, read_sidecar, sidecars

LARGEST_OFFSET_MIN, SMALLEST_OFFSET_MIN = 14 * 60, -12 * 60
STEP_MIN = 15
"""Offsets of time zones are multiples of a quarter of an hour."""

_NEAR_MIN = 4.0
"""A local time and a UTC time of one moment differ by a multiple of STEP_MIN, up to this."""

_NAME = re.compile(
    r"\d{4}-?\d\d-?\d\d[T _-]?\d\d[-:.]?\d\d(?:[-:.]?\d\d)?"
    r"(\+\d\d[:.]?\d\d|-\d\d[:.]\d\d)(?!\d)"  # -0100 may count the photos of a burst
)
_PIXEL_NAME = re.compile(r"PXL_(\d{8})_(\d{6})")
_XMP_TIME = re.compile(
    r'(?:exif:DateTimeOriginal|photoshop:DateCreated)\s*(?:=\s*["\']|>)[^"\'<]*?'
    r"([+-]\d\d:\d\d)\s*[\"'<]"
)
_XMP_TEXT = re.compile(r"<dc:(?:title|description|subject)>(.*?)</dc:", re.DOTALL)
_TIME = "%Y:%m:%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Clock:
    """One statement of a file about the offset of its local time from UTC."""

    source: str
    """ "offset tag", "GPS time", "file name", "Google Takeout", "XMP"."""
    reading: str
    offset_min: int | None
    """None for a statement that makes no sense; `reading` says why."""


@dataclass(frozen=True, slots=True)
class FileTags:
    """What the metadata of one file say, each None or empty where nothing is said."""

    taken_at: datetime | None = None
    """Local time without a zone."""
    clocks: tuple[Clock, ...] = ()
    altitude_m: float | None = None
    heading_deg: float | None = None
    make: str = ""
    model: str = ""
    captions: tuple[str, ...] = ()
    author: str = ""
    licence: str = ""
    """What the file says of copyright."""


def read_tags(photo: Photo) -> FileTags:
    """Read the tags of a photo whose `content` is in memory; damaged ones are left out."""
    exif, gps, iptc, xmp = _raw(photo.content)
    base = ExifTags.Base
    taken_at = _time(exif.get(base.DateTimeOriginal)) or _time(exif.get(base.DateTime))
    texts = [xmp]
    if photo.path is not None:
        files = map(read_sidecar, sidecars(_as_path(photo)))
        texts += [content.decode("utf-8", "replace") for content in files]
    clocks = [
        *_offset_tags(exif),
        *_gps_clock(gps, taken_at),
        *_name_clocks(PurePath(photo.path or photo.name).name, taken_at),
        *_takeout_clock(photo, taken_at),
        *(Clock("XMP", zone, offset_min(zone)) for zone in _found(_XMP_TIME, texts)),
    ]
    below = gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01")
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    return FileTags(
        taken_at,
        tuple(dict.fromkeys(clocks)),
        None if altitude is None or altitude > 20_000 else -altitude if below else altitude,
        _number(gps.get(ExifTags.GPS.GPSImgDirection)),
        _text(exif.get(base.Make)),
        _text(exif.get(base.Model)),
        tuple(filter(None, [*_captions(exif, iptc), *map(_plain, _found(_XMP_TEXT, texts))])),
        _text(exif.get(base.Artist)),
        _text(exif.get(base.Copyright)),
    )


def offset_min(text: str) -> int | None:
    """Return the minutes of an offset such as "+09:00" or "-0330"; None if there is no such."""
    found = re.fullmatch(r"\s*([+-])(\d\d)[:.]?(\d\d)\s*", text)
    if found is None or int(found[3]) >= 60:
        return None
    minutes = (60 * int(found[2]) + int(found[3])) * (-1 if found[1] == "-" else 1)
    possible = SMALLEST_OFFSET_MIN <= minutes <= LARGEST_OFFSET_MIN and minutes % STEP_MIN == 0
    return minutes if possible else None


def shown_offset(minutes: int) -> str:
    """Return an offset as "UTC+09:00"."""
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _raw(content: bytes | None) -> tuple[dict[int, Any], dict[int, Any], dict[Any, Any], str]:
    """Return the tags of EXIF, GPS and IPTC, and the XMP; {} and "" for damaged ones."""
    formats = [name for name in (*FORMATS, "HEIF", "AVIF") if name in Image.OPEN]
    try:
        with Image.open(io.BytesIO(content or b""), formats=formats) as picture:
            exif = picture.getexif()
            tags = {**dict(exif), **exif.get_ifd(ExifTags.IFD.Exif)}
            xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
            text = xmp if isinstance(xmp, str) else xmp.decode("utf-8", "replace")
            return tags, exif.get_ifd(ExifTags.IFD.GPSInfo), _iptc(picture), text[:MAX_XMP_BYTES]
    except Exception:  # damaged metadata raise errors of any type
        return {}, {}, {}, ""


def _iptc(picture: Image.Image) -> dict[Any, Any]:
    from PIL import IptcImagePlugin

    return IptcImagePlugin.getiptcinfo(picture) or {}  # type: ignore[arg-type]


def _offset_tags(exif: dict[int, Any]) -> list[Clock]:
    tags = (ExifTags.Base.OffsetTimeOriginal, ExifTags.Base.OffsetTime)
    texts = [text for tag in tags if (text := _text(exif.get(tag)))][:1]
    return [Clock("offset tag", text, offset_min(text)) for text in texts]


def _gps_clock(gps: dict[int, Any], taken_at: datetime | None) -> list[Clock]:
    """Return the offset of the local time from the time of the GPS satellites."""
    stamp, date = gps.get(ExifTags.GPS.GPSTimeStamp), _text(gps.get(ExifTags.GPS.GPSDateStamp))
    try:
        hours, minutes, seconds = map(float, stamp or ())
        day = datetime.strptime(date, "%Y:%m:%d").replace(tzinfo=UTC)
        utc = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except (TypeError, ValueError, ArithmeticError):
        return []
    return _between("GPS time", taken_at, utc)


def _name_clocks(name: str, taken_at: datetime | None) -> list[Clock]:
    """Return what a file name says: an offset, or the UTC time that Pixel phones write."""
    zones = _NAME.findall(name)[:1]
    clocks = [Clock("file name", zone, offset_min(zone)) for zone in zones if offset_min(zone)]
    if found := _PIXEL_NAME.match(name):
        try:
            utc = datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return clocks
        clocks += _between("Pixel file name", taken_at, utc)
    return clocks


def _takeout_clock(photo: Photo, taken_at: datetime | None) -> list[Clock]:
    """Return what the JSON sidecar of a Google Takeout says."""
    if photo.path is None:
        return []
    for end in (".json", ".supplemental-metadata.json"):
        path = _as_path(photo)
        text = read_sidecar(path.with_name(path.name + end))
        try:
            seconds = int(json.loads(text)["photoTakenTime"]["timestamp"])
            clocks = _between("Google Takeout", taken_at, datetime.fromtimestamp(seconds, UTC))
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            continue
        # Takeout has the local time as UTC if the file did not say otherwise
        return [each for each in clocks if each.offset_min != 0]
    return []


def _between(source: str, taken_at: datetime | None, utc: datetime) -> list[Clock]:
    """Return the offset of a local time from the UTC time of the same moment."""
    if taken_at is None:
        return []
    minutes = (taken_at.replace(tzinfo=UTC) - utc).total_seconds() / 60
    offset = round(minutes / STEP_MIN) * STEP_MIN
    day = "" if abs(minutes) < 24 * 60 - 1 else "%d %B "
    reading = f"{taken_at:{day}%H:%M} local, {utc:{day}%H:%M} UTC"
    possible = SMALLEST_OFFSET_MIN <= offset <= LARGEST_OFFSET_MIN
    same_moment = abs(minutes - offset) <= _NEAR_MIN
    return [Clock(source, reading, offset if possible and same_moment else None)]


def _captions(exif: dict[int, Any], iptc: dict[Any, Any]) -> list[str]:
    """Return descriptions and keywords; 2:25 and 2:120 are keywords and caption of IPTC."""
    tags = (ExifTags.Base.ImageDescription, ExifTags.Base.XPKeywords, ExifTags.Base.XPComment)
    found = [_text(exif.get(tag)) for tag in tags]
    for key in ((2, 25), (2, 120)):
        values = iptc.get(key, [])
        found += map(_text, values if isinstance(values, list) else [values])
    return found


def _as_path(photo: Photo) -> Path:
    return Path(photo.path or photo.name)


def _found(pattern: re.Pattern[str], texts: list[str]) -> list[str]:
    return [match for text in texts for match in pattern.findall(text)]


def _plain(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def _time(value: Any) -> datetime | None:  # noqa: ANN401
    try:
        return datetime.strptime(_text(value)[:19], _TIME)
    except ValueError:
        return None


def _number(value: Any) -> float | None:  # noqa: ANN401
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if abs(number) < 1e6 else None  # False for NaN


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bytes):
        wide = len(value) % 2 == 0 and b"\0" in value.rstrip(b"\0")  # Windows writes UTF-16
        value = value.decode("utf-16-le" if wide else "utf-8", "replace")
    return value.strip("\0 \t\r\n") if isinstance(value, str) else ""
