"""Position and time in the metadata of a photo: EXIF, embedded XMP, and XMP sidecars."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import ExifTags, Image

from geoloc.guess import Exif
from geoloc.photos.position import position

_XMP_TAG = 700
"""Of TIFF, for an XMP packet."""

MAX_XMP_BYTES = 4_000_000
"""Longer XMP is not read."""

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Metadata:
    """Position and time in the metadata of one photo."""

    exif: Exif
    """None where a value is missing or invalid."""
    unusable_gps: bool = False
    """Whether GPS coordinates are present but invalid, for example without a hemisphere."""

    def or_sidecar(self, photo: Path) -> Metadata:
        """Return the position of the first sidecar that has one, if the photo has none."""
        if gps_position(self.exif) is not None:
            return self
        found = self
        for path in sidecars(photo):
            found = found.or_position_of(xmp_gps(read_sidecar(path)))
        return found

    def or_position_of(self, gps: dict[str, Any]) -> Metadata:
        """Return the position of GPS tags, by their names in EXIF, if there is none yet."""
        if gps_position(self.exif) is not None:
            return self
        if gps.keys().isdisjoint(("GPSLatitude", "GPSLongitude")):
            return self
        found = position(
            gps.get("GPSLatitude"),
            gps.get("GPSLatitudeRef"),
            gps.get("GPSLongitude"),
            gps.get("GPSLongitudeRef"),
            gps.get("GPSProcessingMethod"),
        )
        if found is None:
            return replace(self, unusable_gps=True)
        return Metadata(Exif(*found, self.exif.taken_at))


def metadata_of(picture: Image.Image, source: object = None) -> Metadata:
    """Return position and time of an opened picture.

    Args:
        picture: the position of its EXIF counts first, then that of its embedded XMP.
        source: if it is the path of the picture, the position of a sidecar counts third.
    """
    exif: Any = {}
    gps: dict[str, Any] = {}
    taken_at = None
    try:
        exif = picture.getexif()
        gps = {
            ExifTags.GPSTAGS.get(tag, str(tag)): value
            for tag, value in exif.get_ifd(ExifTags.IFD.GPSInfo).items()
        }
        taken_at = _iso_time(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal))
    except Exception:  # damaged metadata is common; the picture itself may be intact
        gps = {}
    found = Metadata(Exif(taken_at=taken_at)).or_position_of(gps)
    found = found.or_position_of(_xmp(picture, exif))
    return found.or_sidecar(Path(source)) if isinstance(source, str | os.PathLike) else found


def gps_position(exif: Exif) -> tuple[float, float] | None:
    """Return (latitude, longitude) in degrees, or None if the metadata has no position."""
    return None if exif.lat is None or exif.lon is None else (exif.lat, exif.lon)


def _xmp(picture: Image.Image, exif: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the GPS properties of the XMP that is embedded in a picture."""
    try:
        packets = [picture.info.get("xmp"), picture.info.get("XML:com.adobe.xmp")]
        packets.append(exif.get(_XMP_TAG))
        packets.append(getattr(picture, "tag_v2", {}).get(_XMP_TAG))
    except Exception:  # damaged tags raise errors of any type
        return {}
    packet = next((each for each in packets if isinstance(each, bytes | str) and each), "")
    return xmp_gps(packet)


def xmp_gps(xmp: bytes | str) -> dict[str, str]:
    """Return the GPS properties of XMP, such as GPSLatitude: "33,51.4S".

    Properties are attributes, as Lightroom writes them, or elements, as digiKam does. Those of
    nested structures describe other places than that of the camera and are left out.

    Returns:
        {} for XMP that has none, is damaged, is longer than MAX_XMP_BYTES, or has a document type,
        whose entities could fill the memory.
    """
    root = _parsed_xmp(xmp)
    properties: dict[str, str] = {}
    if root is None:
        return properties
    graphs = [root] if root.tag == f"{_RDF}RDF" else root.iter(f"{_RDF}RDF")
    for graph in graphs:
        for node in graph.findall(f"{_RDF}Description"):
            values = [*node.attrib.items(), *((child.tag, child.text or "") for child in node)]
            for name, value in values:
                if name.startswith(f"{_EXIF}GPS") and value.strip():
                    properties.setdefault(name.removeprefix(_EXIF), value.strip())
    return properties


def _parsed_xmp(xmp: bytes | str) -> ElementTree.Element | None:
    if len(xmp) > MAX_XMP_BYTES:
        return None
    try:
        if isinstance(xmp, bytes):
            xmp = xmp.decode(_BYTE_ORDER_MARKS.get(xmp[:2], "utf-8-sig"))
        text = xmp.strip("\0 \t\r\n\ufeff")
        if "GPS" not in text or "<!DOCTYPE" in text or "<!ENTITY" in text:
            return None  # without GPS there is nothing to parse for, as in most photos
        return ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError):
        return None


def sidecars(photo: Path) -> list[Path]:
    """Return the existing sidecars of a photo: `photo.jpg.xmp`, then `photo.xmp`."""
    names = [f"{photo.name}{end}" for end in (".xmp", ".XMP")]
    names += [f"{photo.stem}{end}" for end in (".xmp", ".XMP")]
    paths = [photo.with_name(name) for name in names]
    return [path for path in paths if path != photo and os.path.isfile(path)]


def read_sidecar(path: Path) -> bytes:
    """Return the content of a sidecar, b"" if it cannot be read or is longer than MAX_XMP_BYTES."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_XMP_BYTES + 1)
    except OSError:
        return b""
    return content if len(content) <= MAX_XMP_BYTES else b""


def _iso_time(text: Any) -> str | None:  # noqa: ANN401
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
