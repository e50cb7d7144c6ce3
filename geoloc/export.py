"""Answers as files: JSON, CSV, GeoJSON, KML."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import escape

from geoloc.guess import Guess
from geoloc.report import km

CSV_COLUMNS = (
    "photo", "lat", "lon", "radius_km", "confidence", "probability", "country_code", "country",
    "region", "town", "exif_lat", "exif_lon", "exif_distance_km", "bundle",
)  # fmt: skip


def to_json(guess: Guess) -> str:
    """One line of JSON; see `Guess` for the fields."""
    return json.dumps(guess.to_dict(), ensure_ascii=False, allow_nan=False)


def to_csv(guesses: Iterable[Guess]) -> str:
    """A table with one row per photo and a header of CSV_COLUMNS."""
    out = io.StringIO()
    table = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(_row(guess) for guess in guesses)
    return out.getvalue()


def _row(guess: Guess) -> dict[str, Any]:
    place = guess.place
    values = (
        guess.photo, f"{guess.lat:.6f}", f"{guess.lon:.6f}", f"{guess.radius_km:.6g}",
        guess.confidence, f"{guess.candidates[0].probability:.4f}", place.country_code,
        place.country, place.region, place.town, guess.exif.lat, guess.exif.lon,
        guess.exif_distance_km, guess.bundle,
    )  # fmt: skip
    return dict(zip(CSV_COLUMNS, values, strict=True))


def to_geojson(guesses: Sequence[Guess]) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946) with a point for each candidate, photo by photo."""
    features = [
        {
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
            },
        }
        for guess in guesses
        for rank, candidate in enumerate(guess.candidates, start=1)
    ]
    return {"type": "FeatureCollection", "features": features}


def to_kml(guesses: Iterable[Guess]) -> str:
    """A KML document with a placemark for each photo's answer."""
    marks = "".join(
        f"<Placemark><name>{escape(guess.photo)}</name>"
        f"<description>{escape(str(guess.place))}, within {km(guess.radius_km)}"
        f" ({guess.confidence})</description>"
        f"<Point><coordinates>{guess.lon:.6f},{guess.lat:.6f}</coordinates></Point></Placemark>\n"
        for guess in guesses
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n{marks}</Document></kml>\n'
    )
