"""One answer as a line of JSON or CSV, a GeoJSON feature or a KML placemark; lists of them."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from geoloc.guess import Guess
from geoloc.output.text import km

Scalar = str | int | float | bool | None
Columns = Mapping[str, Scalar]
"""What came along with a photo from the list it was in; see `carried`."""

NOTHING: Columns = {}


@dataclass(frozen=True, slots=True)
class Record:
    """One answered photo, as a batch hands it to its output."""

    guess: Guess
    columns: Columns
    """Values of the input list to copy to the output; {} for folders."""
    source: str | None
    """Path of the photo on this machine; None for members of tar files and standard input."""


COLUMNS: dict[str, type] = {
    "photo": str, "lat": float, "lon": float, "radius_km": float, "radius_50_km": float,
    "radius_95_km": float, "confidence": str, "localisability": float, "probability": float,
    "country_code": str, "country": str, "region": str, "town": str, "town_distance_km": float,
    "exif_lat": float, "exif_lon": float, "exif_taken_at": str, "exif_distance_km": float,
    "photos": int, "agreement": float, "within": str, "bundle": str,
}  # fmt: skip
"""Names and types of the columns of every table of answers; see `Guess`."""

_RESERVED = {*COLUMNS, "rank", "place", "geometry", "bbox"}

KML_START = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n'
)
KML_END = "</Document></kml>\n"

_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]|'*[\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def carried(columns: Columns) -> dict[str, Scalar]:
    """The columns of a list under names that are free: ours win, theirs become `input_…`.

    A list with a column `lat` keeps it as `input_lat`, beside the `lat` of the answer; the same in
    every format. Bytes that are no text (see PEP 383) are escaped, as in the names of photos.
    """
    columns = _clean(columns)
    named = {}
    for name, value in columns.items():
        free = name
        while free in _RESERVED or (free != name and free in columns):
            free = f"input_{free}"
        named[free] = value
    return named


def row(guess: Guess) -> dict[str, Scalar]:
    """An answer as one row of a table, with the columns of COLUMNS."""
    place, exif = guess.place, guess.exif
    values = (
        guess.photo, guess.lat, guess.lon, guess.radius_km, guess.radii_km.get("50"),
        guess.radii_km.get("95"), guess.confidence, guess.localisability,
        guess.candidates[0].probability, place.country_code, place.country, place.region,
        place.town, place.town_distance_km, exif.lat, exif.lon, exif.taken_at,
        guess.exif_distance_km, guess.photos, guess.agreement, guess.within, guess.bundle,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def to_json(guess: Guess, columns: Columns = NOTHING) -> str:
    """One line of JSON; see `Guess` for the fields. What came along is in "columns"."""
    extra = {"columns": finite(_clean(columns))} if columns else {}
    return _json({**guess.to_dict(), **extra})


def to_csv(guesses: Iterable[Guess]) -> str:
    """A table with one row per photo and a header of COLUMNS; see `csv_lines`."""
    return "".join(csv_lines(map(row, guesses), COLUMNS))


def csv_lines(rows: Iterable[Mapping[str, Scalar]], columns: Iterable[str]) -> Iterator[str]:
    """Rows under a header, safe to open in a spreadsheet.

    A text that a spreadsheet would run as a formula, like the file name "=1+1.jpg", gets an
    apostrophe in front, as has one that would look so then; numbers do not.
    """
    names = list(columns)
    table = csv.writer(_Echo())  # RFC 4180: lines end in CR LF, and cells with either are quoted
    yield table.writerow(map(_harmless, names))
    for each in rows:
        yield table.writerow([_cell(each.get(name), name) for name in names])


class _Echo:
    """Lets a CSV writer return its lines."""

    def write(self, text: str) -> str:
        return text


def _cell(value: Scalar, name: str) -> Scalar:
    if isinstance(value, float) and name in COLUMNS:
        return format(value, ".6f" if name in ("lat", "lon", "exif_lat", "exif_lon") else ".6g")
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text


def to_geojson(guesses: Sequence[Guess]) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946) with a point for each candidate, photo by photo."""
    return {
        "type": "FeatureCollection",
        "features": [feature for guess in guesses for feature in features(guess)],
    }


def features(guess: Guess, columns: Columns = NOTHING) -> Iterator[dict[str, Any]]:
    """A GeoJSON point for each candidate of one photo; rank 1 is the answer."""
    for rank, candidate in enumerate(guess.candidates, start=1):
        yield {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [candidate.lon, candidate.lat]},
            "properties": {
                "photo": guess.photo,
                "rank": rank,
                "place": str(candidate.place),
                "country_code": candidate.place.country_code,
                "probability": candidate.probability,
                "radius_km": guess.radius_km if rank == 1 else None,
                "confidence": guess.confidence,
                **finite(carried(columns)),
            },
        }


def feature_lines(guess: Guess, columns: Columns = NOTHING) -> str:
    """The features of one photo as text, one a line, to be put into a FeatureCollection."""
    return ",\n".join(map(_json, features(guess, columns)))


def to_kml(guesses: Iterable[Guess]) -> str:
    """A KML document with a placemark for each photo's answer."""
    return KML_START + "".join(map(placemark, guesses)) + KML_END


def placemark(guess: Guess, columns: Columns = NOTHING) -> str:
    """The KML placemark of one photo's answer, a line or more."""
    about = f"{guess.place}, within {km(guess.radius_km)} ({guess.confidence})"
    data = "".join(
        f'<Data name="{_xml(name)}"><value>{_xml(str(value))}</value></Data>'
        for name, value in {**row(guess), **carried(columns)}.items()
        if value is not None
    )
    return (
        f"<Placemark><name>{_xml(guess.photo)}</name><description>{_xml(about)}</description>"
        f"<ExtendedData>{data}</ExtendedData>"
        f"<Point><coordinates>{guess.lon:.6f},{guess.lat:.6f}</coordinates></Point></Placemark>\n"
    )


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def _clean(columns: Columns) -> dict[str, Scalar]:
    def clean(value: Any) -> Any:  # noqa: ANN401
        text = isinstance(value, str)
        return value.encode("utf-8", "backslashreplace").decode() if text else value

    return {clean(name): clean(value) for name, value in columns.items()}


def finite(columns: Columns) -> dict[str, Scalar]:
    """JSON knows no infinity and no NaN."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in columns.items()
    }


def _xml(text: str) -> str:
    """Text for elements and attributes; what no XML may hold is escaped, as in file names."""
    legal = _NOT_XML.sub(lambda c: ascii(c[0])[1:-1], text)
    return escape(legal, {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
