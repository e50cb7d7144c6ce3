"""Estimated positions in copies of photos and in XMP sidecars, for photo managers.

Estimates are marked by the GPS processing method, the radius as positioning error and a comment.
Existing metadata of a photo or a sidecar is never changed. exiv2 writes the metadata: it leaves
pixels and maker notes unchanged, and supports JPEG, PNG, WebP, TIFF, raw formats and XMP.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from xml.etree import ElementTree

from geoloc.errors import GeolocError, MissingExtraError
from geoloc.guess import Confidence, Exif, Guess, Place
from geoloc.io.atomic import atomic_write_bytes
from geoloc.output.text import claimed_place, km
from geoloc.photos import decode
from geoloc.photos.exif import Metadata, gps_position
from geoloc.photos.position import ESTIMATE_METHOD

Convention = Literal["digikam", "lightroom"]
"""Name of a sidecar. "digikam": `photo.jpg.xmp`, also read by darktable and Immich. "lightroom":
`photo.xmp`, which Adobe's programs read beside raw files only, not beside JPEGs."""

_POSITION = ("Xmp.exif.GPSLatitude", "Xmp.exif.GPSLongitude")

_EMPTY_SIDECAR = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated position, as it is written into metadata."""

    lat: float
    """Degrees."""
    lon: float
    radius_80_km: float
    confidence: Confidence
    """The level to which place names are written."""
    place: Place
    note: str
    """A comment that describes the position, in ASCII, which every EXIF reader supports."""

    @classmethod
    def of(cls, guess: Guess) -> Self:
        """Return the position of an answer."""
        where = guess.lat, guess.lon, guess.radius_80_km
        return cls(*where, guess.confidence, guess.place, _note(guess))


def tag_copy(source: Path, target: Path, guess: Guess) -> bool:
    """Write a copy of a photo with the estimated position; an older `target` is replaced.

    Returns:
        False if the photo has GPS tags of its own: the copy keeps them and gets no estimate.

    Raises:
        GeolocError: `target` is the photo itself, or the file format does not support metadata.
        OSError: a file cannot be read or written; names the file.
    """
    if target.exists() and os.path.samefile(source, target):
        raise GeolocError(f"{source}: a copy cannot replace the photo; choose another folder")
    content = tagged_content(source, Estimate.of(guess))
    atomic_write_bytes(target, source.read_bytes() if content is None else content)
    shutil.copystat(source, target)
    return content is not None


def tagged_content(source: Path, estimate: Estimate) -> bytes | None:
    """Return the bytes of a photo with an estimated position, None if it has GPS tags of its own.

    Raises:
        GeolocError: the file format does not support metadata.
        OSError: the photo cannot be read; names the file.
    """
    with _metadata(source.read_bytes(), source, "ask for sidecars instead") as image:
        if _has_gps_tags(image.read_exif()) or _has_gps_tags(image.read_xmp()):
            return None
        image.modify_exif(_exif(estimate, image.read_exif()))
        image.modify_xmp(_places(estimate, image.read_xmp()))
        content: bytes = image.get_bytes()
    return content


def sidecar_path(photo: Path, convention: Convention = "digikam") -> Path:
    """Return the path of the sidecar of a photo."""
    if convention == "lightroom":
        return photo.with_suffix(".xmp")
    return photo.with_name(f"{photo.name}.xmp")


def write_sidecar(photo: Path, guess: Guess, convention: Convention = "digikam") -> bool:
    """Write the estimate into the XMP sidecar of a photo, keeping its other properties.

    Returns:
        False if the photo or a sidecar of either convention already has another position: nothing
        is written.

    Raises:
        GeolocError: an existing sidecar cannot be read.
        OSError: the sidecar cannot be written; names the file.
    """
    if gps_position(guess.exif) is not None:
        return False
    content = sidecar_content(photo, Estimate.of(guess), convention)
    path = sidecar_path(photo, convention)
    if content is not None and not (path.exists() and path.read_bytes() == content):
        atomic_write_bytes(path, content)
    return content is not None


def sidecar_content(
    photo: Path, estimate: Estimate, convention: Convention = "digikam"
) -> bytes | None:
    """Return the bytes of the XMP sidecar of a photo with an estimated position.

    Returns:
        None if the photo or a sidecar of either convention already has another position; the
        sidecar as it is if it has this one.

    Raises:
        GeolocError: an existing sidecar cannot be read.
        OSError: likewise; names the file.
    """
    path = sidecar_path(photo, convention)
    if gps_position(_exif_of(photo)) is not None:
        return None
    content = path.read_bytes() if path.exists() else _EMPTY_SIDECAR
    with _metadata(content, path, "move it away") as sidecar:
        existing = sidecar.read_xmp()
        if not existing and _has_properties(content):
            raise RuntimeError("its XMP cannot be parsed")
        tags = _xmp(estimate, existing)
        if _has_gps_tags(existing):
            return content if all(existing.get(name) == tags[name] for name in _POSITION) else None
        sidecar.modify_xmp(tags)
        tagged: bytes = sidecar.get_bytes()
    return tagged


def _exif_of(photo: Path) -> Exif:
    """Return the position of a photo or its sidecars, also of raw files, which are not decoded."""
    try:
        return decode.read_exif(photo)
    except GeolocError:
        return Metadata(Exif()).or_sidecar(photo).exif


@contextmanager
def _metadata(content: bytes, path: Path, remedy: str) -> Iterator[Any]:
    """Open the metadata of a file's bytes; exiv2's errors become GeolocErrors of one line."""
    try:
        import pyexiv2
    except ImportError as error:
        raise MissingExtraError("pyexiv2", "tag") from error
    pyexiv2.set_log_level(4)  # no warnings on standard error
    try:
        with pyexiv2.ImageData(content) as image:
            yield image
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise GeolocError(f"{path}: cannot hold metadata ({reason}); {remedy}") from error


def _has_properties(sidecar: bytes) -> bool:
    """Return whether a sidecar has properties, or is not XML; exiv2 reads broken XMP as empty."""
    try:
        root = ElementTree.fromstring(sidecar)
    except ElementTree.ParseError:
        return True
    rdf = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
    about = {f"{rdf}about"}
    return any(node.attrib.keys() - about or len(node) for node in root.iter(f"{rdf}Description"))


def _has_gps_tags(tags: dict[str, Any]) -> bool:
    """Return whether there is a latitude or longitude, even one that is no position."""
    return any(name.endswith((".GPSLatitude", ".GPSLongitude")) for name in tags)


def _exif(estimate: Estimate, existing: dict[str, Any]) -> dict[str, str]:
    name = "Exif.Photo.UserComment"
    comment = existing.get(name, "").removeprefix("charset=Ascii").strip("\0 ")
    return {
        **({} if comment else {name: f"charset=Ascii {estimate.note}"}),
        "Exif.GPSInfo.GPSVersionID": "2 3 0 0",
        "Exif.GPSInfo.GPSLatitudeRef": "S" if estimate.lat < 0 else "N",
        "Exif.GPSInfo.GPSLatitude": _rationals(estimate.lat),
        "Exif.GPSInfo.GPSLongitudeRef": "W" if estimate.lon < 0 else "E",
        "Exif.GPSInfo.GPSLongitude": _rationals(estimate.lon),
        "Exif.GPSInfo.GPSMapDatum": "WGS-84",
        "Exif.GPSInfo.GPSProcessingMethod": f"charset=Ascii {ESTIMATE_METHOD}",
        "Exif.GPSInfo.GPSHPositioningError": f"{_metres(estimate)}/1",
    }


def _xmp(estimate: Estimate, existing: dict[str, Any]) -> dict[str, Any]:
    name = "Xmp.exif.UserComment"
    comment = {} if name in existing else {name: {'lang="x-default"': estimate.note}}
    return {
        **comment,
        "Xmp.exif.GPSVersionID": "2.3.0.0",
        "Xmp.exif.GPSLatitude": _minutes(estimate.lat, "NS"),
        "Xmp.exif.GPSLongitude": _minutes(estimate.lon, "EW"),
        "Xmp.exif.GPSMapDatum": "WGS-84",
        "Xmp.exif.GPSProcessingMethod": ESTIMATE_METHOD,
        "Xmp.exif.GPSHPositioningError": f"{_metres(estimate)}/1",
        **_places(estimate, existing),
    }


def _places(estimate: Estimate, existing: dict[str, Any]) -> dict[str, str]:
    """Return place names to the level that the answer claims; none if the photo has any already."""
    place = estimate.place
    names = {
        "Xmp.photoshop.Country": place.country,
        "Xmp.iptc.CountryCode": place.country_code,
        "Xmp.photoshop.State": place.region,
        "Xmp.photoshop.City": place.town,
    }
    if names.keys() & existing.keys():
        return {}
    claims = {"city": 4, "region": 3, "country": 2, "not sure": 0}[estimate.confidence]
    return {name: value for name, value in list(names.items())[:claims] if value}


def _note(guess: Guess) -> str:
    """Return a comment that describes the position of an answer."""
    confidence = f" (sure of the {guess.confidence})" if claimed_place(guess) else " (not sure)"
    radius = f"8 of 10 photos like this lie within {km(guess.radius_80_km)} of it"
    return f"Position estimated from the picture by planet-geoloc{confidence}: {radius}."


def _metres(estimate: Estimate) -> int:
    return max(1, round(estimate.radius_80_km * 1000.0))


def _rationals(angle: float) -> str:
    """Return degrees, minutes and seconds as EXIF rationals, accurate to 3 cm."""
    thousandths = round(abs(angle) * 3_600_000)
    minutes, seconds = divmod(thousandths, 60_000)
    return f"{minutes // 60}/1 {minutes % 60}/1 {seconds}/1000"


def _minutes(angle: float, sides: str) -> str:
    """Return degrees and minutes in XMP's format, accurate to 2 cm: 33,51.52000S."""
    hundred_thousandths = round(abs(angle) * 6_000_000)
    degrees, minutes = divmod(hundred_thousandths, 6_000_000)
    return f"{degrees},{minutes / 100_000:.5f}{sides[angle < 0]}"
