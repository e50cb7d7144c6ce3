"""Tables of the reports: numbers as text, and the contents of an HTML table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from geoloc.output.text import km

NO_VALUE = "–"

TITLES = {
    **{f"within_{km}_km": f"{km:,} km" for km in (1, 5, 10, 25, 50, 100, 200, 750, 2500)},
    "median_km": "median km",
    "mean_km": "mean km",
    "geometric_mean_km": "geometric mean km",
    "geoscore": "GeoScore",
    "geoscore_rounded": "GeoScore, rounded",
    "geoguessr": "GeoGuessr points",
    "country": "country",
    "region": "region",
}
"""Column headings of the measures of `geoloc.evaluation.scores`."""


@dataclass(frozen=True)
class WithInterval:
    """A table cell: a value and its interval."""

    value: str
    interval: str


Cell = str | WithInterval


@dataclass(frozen=True)
class Table:
    """The contents of the macro `table`, which scrolls sideways where the table is too wide."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    label: str
    """What the table shows, for screen readers."""
    highlighted: Sequence[int] = ()
    """Indices of emphasised rows."""
    text_columns: Sequence[int] = ()
    """Indices of columns of text, which may wrap."""


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    label: str,
    *,
    highlighted: Sequence[int] = (),
    text_columns: Sequence[int] = (),
) -> Table:
    """Return a table whose headings do not break before "km"; see `Table`."""
    unbroken = [name.replace(" km", "\u00a0km") for name in head]
    return Table(unbroken, rows, label, highlighted, text_columns)


def number(measure: str, value: float | None, *, signed: bool = False) -> str:
    """Return a value in the unit of its measure: percent, points or kilometres."""
    if value is None or math.isnan(value):
        return NO_VALUE
    sign = "+" if signed and value > 0 else ""
    if measure.startswith("within") or measure in ("country", "region"):
        text = f"{100.0 * value:.1f} %"
    elif abs(value) >= 100 or measure in ("geoscore", "geoscore_rounded", "geoguessr"):
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.1f}"
    return sign + text.replace("-", "−")


def distance(value: float | None) -> str:
    """Return kilometres as text with two or three significant figures."""
    return NO_VALUE if value is None else km(value)


def area(km2: float | None) -> str:
    """Return square kilometres as text with two significant figures."""
    if km2 is None:
        return NO_VALUE
    step = 10 ** max(len(str(int(km2))) - 2, 0)
    return f"{round(km2 / step) * step:,.0f} km²"


def with_interval(measure: str, value: float | None, low: float | None, high: float | None) -> Cell:
    """Return a cell with a value and the interval from `low` to `high`, if there is one."""
    text = number(measure, value)
    if text == NO_VALUE or low is None or high is None:
        return text
    ends = (number(measure, low).removesuffix(" %"), number(measure, high).removesuffix(" %"))
    return WithInterval(text, f"{ends[0]} to {ends[1]}")
