"""Numbers and tables of the reports, as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from geoloc.output.text import km

NOTHING = "–"

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
"""Headings of the measures of `geoloc.evaluation.scores`."""


def number(measure: str, value: float | None, *, signed: bool = False) -> str:
    """A measure as it is read: percent, points or kilometres."""
    if value is None or math.isnan(value):
        return NOTHING
    sign = "+" if signed and value > 0 else ""
    if measure.startswith("within") or measure in ("country", "region"):
        text = f"{100.0 * value:.1f} %"
    elif abs(value) >= 100 or measure in ("geoscore", "geoscore_rounded", "geoguessr"):
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.1f}"
    return sign + text.replace("-", "−")


def distance(value: float | None) -> str:
    """Kilometres or metres, with few figures."""
    return NOTHING if value is None else km(value)


def area(km2: float | None) -> str:
    """Square kilometres with two figures."""
    if km2 is None:
        return NOTHING
    figures = 10 ** max(len(str(int(km2))) - 2, 0)
    return f"{round(km2 / figures) * figures:,.0f} km²"


def ranged(measure: str, value: float | None, low: float | None, high: float | None) -> str:
    """A measure with its interval beside it."""
    text = number(measure, value)
    if text == NOTHING or low is None or high is None:
        return text
    ends = (number(measure, low).removesuffix(" %"), number(measure, high).removesuffix(" %"))
    return f"{text} <small>{ends[0]} to {ends[1]}</small>"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    ours: Sequence[int] = (),
    words: Sequence[int] = (),
    label: str,
) -> str:
    """An HTML table that scrolls sideways where it is too wide.

    Args:
        head: column headings.
        rows: cells, which are HTML already.
        ours: rows that stand out.
        words: columns of text, which may wrap.
        label: what the table shows.
    """

    def cell(tag: str, column: int, content: str) -> str:
        kind = ' class="words"' if column in words else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{content}</{tag}>"

    names = [escape(name).replace(" km", "\u00a0km") for name in head]
    top = "".join(cell("th", i, name) for i, name in enumerate(names))
    body = "".join(
        f"<tr{' class=ours' if index in ours else ''}>"
        + "".join(cell("td", i, content) for i, content in enumerate(row))
        + "</tr>"
        for index, row in enumerate(rows)
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
