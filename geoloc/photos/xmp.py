"""GPS positions in XMP: embedded in photos, and in sidecar files beside them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

MAX_BYTES = 4_000_000
"""Longer XMP is not read."""

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def gps_properties(xmp: bytes | str) -> dict[str, str]:
    """Return the GPS properties of XMP, such as GPSLatitude: "33,51.4S".

    Properties are attributes, as Lightroom writes them, or elements, as digiKam does. Those of
    nested structures describe other places than that of the camera and are left out.

    Returns:
        {} for XMP without a position, XMP that is damaged or longer than MAX_BYTES, and XMP with
        a document type, whose entities could fill the memory.
    """
    root = _parsed(xmp)
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


def _parsed(xmp: bytes | str) -> ElementTree.Element | None:
    if len(xmp) > MAX_BYTES:
        return None
    try:
        if isinstance(xmp, bytes):
            xmp = xmp.decode(_BYTE_ORDER_MARKS.get(xmp[:2], "utf-8-sig"))
        text = xmp.strip("\0 \t\r\n\ufeff")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return None
        return ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError):
        return None


def sidecars(photo: Path) -> list[Path]:
    """Return the existing sidecars of a photo: `photo.jpg.xmp`, then `photo.xmp`."""
    names = [f"{photo.name}{end}" for end in (".xmp", ".XMP")]
    names += [f"{photo.stem}{end}" for end in (".xmp", ".XMP")]
    paths = [photo.with_name(name) for name in names]
    return [path for path in paths if path != photo and path.is_file()]


def read_sidecar(path: Path) -> bytes:
    """Return the content of a sidecar, b"" if it cannot be read or is longer than MAX_BYTES."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError:
        return b""
    return content if len(content) <= MAX_BYTES else b""
