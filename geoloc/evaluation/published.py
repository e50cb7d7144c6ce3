"""Published results of other systems, with their sources."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("published.csv")

MARKS = {
    "S": "read in the source",
    "S2": "read in a secondary source",
    "M": "from memory, not verified",
}
"""Reliability of a row."""

MEASURES = {
    "km1": "within_1_km",
    "km25": "within_25_km",
    "km200": "within_200_km",
    "km750": "within_750_km",
    "km2500": "within_2500_km",
    "country": "country",
    "region": "region",
    "geoscore": "geoscore",
    "mean_km": "mean_km",
    "median_km": "median_km",
}
"""Columns of the file -> names in `geoloc.evaluation.scores`."""

_PERCENT = ("km1", "km25", "km200", "km750", "km2500", "country", "region")


@dataclass(frozen=True)
class PublishedResult:
    """One row of a published table."""

    benchmark: str
    """Short name; see `geoloc.evaluation.benchmark.published`."""
    system: str
    value: dict[str, float]
    """By measure, shares as 0..1; measures that were not published are missing."""
    mark: str
    """A key of MARKS."""
    source: str
    note: str


@cache
def published_results() -> tuple[PublishedResult, ...]:
    """Return all rows in the order of the file."""
    with DATA.open(encoding="utf-8", newline="") as file:
        return tuple(map(_result, csv.DictReader(file)))


def published_on(benchmark: str) -> list[PublishedResult]:
    """Return the rows of one benchmark."""
    return [result for result in published_results() if result.benchmark == benchmark]


def _result(row: dict[str, str]) -> PublishedResult:
    value = {
        measure: float(row[name]) / (100.0 if name in _PERCENT else 1.0)
        for name, measure in MEASURES.items()
        if row[name]
    }
    return PublishedResult(
        row["benchmark"], row["system"], value, row["mark"], row["source"], row["note"]
    )
