"""Position and time in the EXIF metadata of a photo."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from geoloc.guess import Exif


def exif_of(picture: Image.Image) -> Exif:
    """Return position and time of an opened picture; None for what is missing or invalid."""
    try:
        tags = picture.getexif()
        gps = tags.get_ifd(ExifTags.IFD.GPSInfo)
        details = tags.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # damaged metadata is common; the picture itself may be intact
        return Exif()
    lat = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), 90.0)
    lon = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), 180.0)
    if lat is None or lon is None:
        lat = lon = None
    return Exif(lat, lon, _iso_time(details.get(ExifTags.Base.DateTimeOriginal)))


def gps_position(exif: Exif) -> tuple[float, float] | None:
    """Return the (latitude, longitude) in degrees that the EXIF of a photo holds, None without."""
    return None if exif.lat is None or exif.lon is None else (exif.lat, exif.lon)


def _degrees(parts: Any, side: Any, limit: float) -> float | None:  # noqa: ANN401
    """Convert degrees, minutes, seconds and N, S, E or W to signed degrees."""
    try:
        degrees, minutes, seconds = (float(part) for part in (*parts, 0.0, 0.0)[:3])
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60.0 + seconds / 3600.0
    if not -limit <= value <= limit:  # true for NaN, which zero denominators give
        return None
    letter = side.decode("ascii", "ignore") if isinstance(side, bytes) else str(side or "")
    return -value if letter.strip("\0 ").upper() in ("S", "W") else value


def _iso_time(text: Any) -> str | None:  # noqa: ANN401
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
