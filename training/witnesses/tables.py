"""Tables of placed photos with the collection of each, for fits that hold out collections."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PlacedPhoto:
    """A row of a table."""

    path: str
    lat: float
    lon: float
    country: str
    """ISO 3166-1 alpha-2 code, "" if the table has none."""
    collection: str


def placed_photos(tables: Iterable[str]) -> Iterator[PlacedPhoto]:
    """Yield the rows of tables whose files exist, in order."""
    for table in tables:
        folder = Path(table).parent
        with open(table, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                path = folder / row["file"]
                if path.exists():
                    lat, lon = float(row["lat"]), float(row["lon"])
                    country = row.get("country") or ""
                    yield PlacedPhoto(str(path), lat, lon, country, collection_of(row))


def collection_of(row: dict[str, str]) -> str:
    """Return the collection of a row: its own, else its source before "@", else its author."""
    if row.get("collection"):
        return row["collection"]
    source, _, rest = (row.get("source") or "").partition("@")
    return source if rest else row.get("author") or source or row["file"]
