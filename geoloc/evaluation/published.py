"""Published numbers of other systems, with their sources."""

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
"""Columns of the file, and what `geoloc.evaluation.scores` calls them."""

_PERCENT = ("km1", "km25", "km200", "km750", "km2500", "country", "region")


@dataclass(frozen=True)
class Number:
    """One row of a published table."""

    benchmark: str
    """Short name; see `geoloc.evaluation.benchmark.published`."""
    system: str
    value: dict[str, float]
    """By measure, shares as 0..1; only what was published."""
    mark: str
    """A key of MARKS."""
    source: str
    note: str


@cache
def numbers() -> tuple[Number, ...]:
    """All rows, in the order of the file."""
    with DATA.open(encoding="utf-8", newline="") as file:
        return tuple(_number(row) for row in csv.DictReader(file))


def of(benchmark: str) -> list[Number]:
    """The rows of one benchmark."""
    return [number for number in numbers() if number.benchmark == benchmark]


def _number(row: dict[str, str]) -> Number:
    value = {
        measure: float(row[name]) / (100.0 if name in _PERCENT else 1.0)
        for name, measure in MEASURES.items()
        if row[name]
    }
    return Number(row["benchmark"], row["system"], value, row["mark"], row["source"], row["note"])
