"""Answers as JSON lines, CSV rows, GeoJSON features and KML placemarks."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape  # that of xml.sax imports HTTP
from typing import Any

from geoloc.guess import SCHEMA_VERSION, Candidate, Guess
from geoloc.output.accounts import one_line
from geoloc.output.text import km
from geoloc.photos.coordinate_columns import are_answers, coordinate_columns
from geoloc.photos.tabular.delimited import escape_formula

Scalar = str | int | float | bool | None
Columns = Mapping[str, Scalar]
"""Columns of a photo in the input list, by name; see `output_columns`."""

NO_COLUMNS: Columns = {}


@dataclass(frozen=True)
class Record:
    """One answered photo, as a batch hands it to its output."""

    guess: Guess
    columns: Columns
    """Values of the input list to copy to the output; {} for folders."""
    source: str | None
    """Path of the photo on this machine; None for members of tar files and standard input."""

    @cached_property
    def answer(self) -> str:
        """The guess as one line of JSON, without the columns."""
        return to_json(self.guess)


COLUMNS: dict[str, type] = {
    "photo": str, "lat": float, "lon": float, "radius_50_km": float, "radius_80_km": float,
    "radius_95_km": float, "confidence": str, "chance_200km": float, "probability": float,
    "country_code": str, "country": str, "region": str, "town": str, "town_distance_km": float,
    "exif_lat": float, "exif_lon": float, "exif_taken_at": str, "exif_distance_km": float,
    "photo_count": int, "agreement": float, "contradictory": bool, "within": str,
    "calibrated": bool, "witnesses": str, "bundle": str, "schema_version": int,
}  # fmt: skip
"""Columns of every table of answers and their types; README.md explains them."""

_RESERVED = {
    *COLUMNS,
    *(field.name for field in dataclasses.fields(Guess)),
    *("error", "rank", "answer", "geometry", "bbox"),
}
"""Names that columns of an input list cannot have in the output."""

KML_START = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n'
)
KML_END = "</Document></kml>\n"

_COLLECTION = {"type": "FeatureCollection", "schema_version": SCHEMA_VERSION}
GEOJSON_START = f'{json.dumps(_COLLECTION)[:-1]}, "features": [\n'
GEOJSON_END = "\n]}\n"

_XML_ATTRIBUTE = str.maketrans({'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def output_columns(columns: Columns) -> dict[str, Scalar]:
    """Return the columns of an input list under names that no column of the answer has.

    A column `lat` of the list becomes `input_lat`, beside the `lat` of the answer, in every format;
    so does `latitude`, which readers of tables would take for the same.
    Lone surrogates, which stand for undecodable bytes (PEP 383), are escaped.
    """
    columns = _escape_surrogates(columns)
    renamed = {}
    for name, value in columns.items():
        new = name
        while new in _RESERVED or _is_coordinate(new) or (new != name and new in columns):
            new = f"input_{new}"
        renamed[new] = value
    return renamed


def input_columns(columns: Columns) -> Columns:
    """Return columns without those of an earlier answer, if they are a row of a table of answers.

    The copies that `output_columns` made of the columns of its input stay.
    """
    if not are_answers(columns):
        return columns
    return {name: value for name, value in columns.items() if name not in _RESERVED}


def _is_coordinate(name: str) -> bool:
    """Return whether a column would be read as the answer: `Latitude`, but not `gt_lat`."""
    pairs = coordinate_columns([name])
    return bool(pairs) and not pairs[0].words


def table_row(guess: Guess) -> dict[str, Scalar]:
    """Return an answer as one row of a table with the columns COLUMNS."""
    place, exif = guess.place, guess.exif
    values = (
        guess.photo, guess.lat, guess.lon, guess.radius_50_km, guess.radius_80_km,
        guess.radius_95_km, guess.confidence, guess.chance_200km,
        guess.probability, place.country_code, place.country, place.region,
        place.town, place.town_distance_km, exif.lat, exif.lon, exif.taken_at,
        guess.exif_distance_km, len(guess.photos), guess.agreement, guess.contradictory,
        guess.within, guess.calibrated, one_line(guess), guess.bundle, guess.schema_version,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def to_json(guess: Guess, columns: Columns = NO_COLUMNS) -> str:
    """Return an answer as one line of JSON; see `Guess` for the fields.

    Args:
        guess: the answer.
        columns: of the input list, see `output_columns`.
    """
    return with_columns(_json(guess.to_dict()), columns)


def with_columns(answer: str, columns: Columns) -> str:
    """Return an answer as `to_json` returns it, with columns of the input list added."""
    if not columns:
        return answer
    return f"{answer[:-1]}, {_json(replace_nonfinite(output_columns(columns)))[1:]}"


def error_to_json(photo: str, error: str, columns: Columns = NO_COLUMNS) -> str:
    """Return a photo without an answer as one line of JSON; see `to_json`."""
    return _json({**_error_values(photo, error), **replace_nonfinite(output_columns(columns))})


def to_csv(guesses: Iterable[Guess]) -> str:
    """Return a CSV table with the header COLUMNS and one row per photo; see `csv_lines`."""
    return "".join(csv_lines(map(table_row, guesses), COLUMNS))


def csv_lines(rows: Iterable[Mapping[str, Scalar]], columns: Iterable[str]) -> Iterator[str]:
    """Yield a header and rows as lines of CSV (RFC 4180) that are safe to open in a spreadsheet.

    A text that a spreadsheet would run as a formula, such as the file name "=1+1.jpg", gets an
    apostrophe in front, which readers of this project take away; see `escape_formula`.
    """
    names = list(columns)
    table = csv.writer(_Echo())  # ends lines with CR LF, and quotes cells that contain either
    yield table.writerow(map(escape_formula, names))
    for each in rows:
        yield table.writerow([_cell(each.get(name), name) for name in names])


class _Echo:
    """A file whose `write` returns the text, so that a CSV writer returns its lines."""

    def write(self, text: str) -> str:
        return text


def _cell(value: Scalar, name: str) -> Scalar:
    if isinstance(value, float) and name in COLUMNS:
        return format(value, ".6f" if name in ("lat", "lon", "exif_lat", "exif_lon") else ".6g")
    return escape_formula(value) if isinstance(value, str) else value


def to_geojson(guesses: Sequence[Guess], errors: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """Return a FeatureCollection (RFC 7946) with a point for each candidate, photo by photo.

    Args:
        guesses: the answers.
        errors: names of photos without an answer, and why; they become features without a geometry.
    """
    failed = [
        {"type": "Feature", "geometry": None, "properties": _error_values(*each)} for each in errors
    ]
    found = [feature for guess in guesses for feature in features(guess)]
    return {**_COLLECTION, "features": [*found, *failed]}


def features(guess: Guess, columns: Columns = NO_COLUMNS) -> Iterator[dict[str, Any]]:
    """Yield a GeoJSON point for each candidate of one photo, after one for any other answer."""
    copied = replace_nonfinite(output_columns(columns))
    if not guess.is_first_place:
        yield _feature(guess, guess, None, copied)
    for rank, candidate in enumerate(guess.candidates, start=1):
        yield _feature(guess, candidate, rank, copied)


def _feature(
    guess: Guess, point: Guess | Candidate, rank: int | None, copied: Columns
) -> dict[str, Any]:
    """Return a point; `rank` is None for an answer that is none of the candidates."""
    answer = point is guess or (rank == 1 and guess.is_first_place)
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [point.lon, point.lat]},
        "properties": {
            "photo": guess.photo,
            "rank": rank,
            "answer": answer,
            "place": str(point.place),
            "country_code": point.place.country_code,
            "probability": point.probability,
            "radius_80_km": guess.radius_80_km if answer else None,
            "confidence": guess.confidence,
            **copied,
        },
    }


def feature_lines(guess: Guess, columns: Columns = NO_COLUMNS) -> str:
    """Return the features of one photo as text, one per line, for a FeatureCollection."""
    return ",\n".join(map(_json, features(guess, columns)))


def to_kml(guesses: Iterable[Guess]) -> str:
    """Return a KML document with a placemark for the answer to each photo."""
    return KML_START + "".join(map(placemark, guesses)) + KML_END


def placemark(guess: Guess, columns: Columns = NO_COLUMNS) -> str:
    """Return the KML placemark of one answer."""
    description = f"{guess.place}, within {km(guess.radius_80_km)} ({guess.confidence})"
    data = "".join(
        f'<Data name="{xml_text(name)}"><value>{xml_text(str(value))}</value></Data>'
        for name, value in {**table_row(guess), **output_columns(columns)}.items()
        if value is not None
    )
    return (
        f"<Placemark><name>{xml_text(guess.photo)}</name>"
        f"<description>{xml_text(description)}</description>"
        f"<ExtendedData>{data}</ExtendedData>"
        f"<Point><coordinates>{guess.lon:.6f},{guess.lat:.6f}</coordinates></Point></Placemark>\n"
    )


def _error_values(photo: str, error: str) -> dict[str, Scalar]:
    return {"photo": photo, "error": error, "schema_version": SCHEMA_VERSION}


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def _escape_surrogates(columns: Columns) -> dict[str, Scalar]:
    def escaped(value: Any) -> Any:  # noqa: ANN401
        text = isinstance(value, str)
        return value.encode("utf-8", "backslashreplace").decode() if text else value

    return {escaped(name): escaped(value) for name, value in columns.items()}


def replace_nonfinite(columns: Columns) -> dict[str, Scalar]:
    """Return columns with None in place of infinity and NaN, which JSON does not have."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in columns.items()
    }


def xml_text(text: str) -> str:
    """Escape text for elements and attributes, and characters that XML does not allow."""
    legal = _NOT_XML.sub(lambda c: ascii(c[0])[1:-1], text)
    return escape(legal, quote=False).translate(_XML_ATTRIBUTE)
