"""Our results beside what others have published, each number with where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from geoloc.evaluation.benchmark import published as benchmarks
from geoloc.evaluation.published import MARKS, Number, numbers, of
from geoloc.evaluation.report.tables import TITLES, number, table

SHOWN = (
    "within_1_km", "within_25_km", "within_200_km", "within_750_km", "within_2500_km", "median_km",
    "mean_km", "geoscore", "country", "region",
)  # fmt: skip
"""Measures that anybody has published."""

OTHER_SETS = {
    "pigeon": "PIGEON's own hold-out",
    "duels": "PIGEON against humans: GeoGuessr Duels",
    "geoguessbench": "GeoGuessBench: language models",
}
"""Published numbers of photos that nobody else has."""

CAUTION = (
    "Papers differ in training photos, backbones, galleries and copies of a benchmark, and cells of"
    " one table are copied into the next: read rows as what was claimed, not as a race."
)


def beside(key: str, reports: Sequence[dict[str, Any]]) -> str:
    """The published rows of one benchmark, and rows of our own reports of it, as an HTML table."""
    rows = [(_ours(report), True) for report in reports]
    rows += [(_theirs(each), False) for each in of(key)]
    used = [
        measure
        for measure in SHOWN
        if any(measure in value for (_, value, _), _ in rows)
        and any(measure in each.value for each in of(key))
    ]
    rows.sort(key=lambda row: -_rank(row[0][1]))
    return table(
        ["system", *(TITLES[measure] for measure in used), "where it was read"],
        [
            [name, *(number(measure, value.get(measure)) for measure in used), source]
            for (name, value, source), _ in rows
        ],
        ours=[index for index, (_, own) in enumerate(rows) if own],
        words=[0, len(used) + 1],
        label="published numbers",
    )


def results_page(reports: Sequence[dict[str, Any]]) -> str:
    """HTML of all published numbers, benchmark by benchmark, with reports of ours among them."""
    marks = ", ".join(f"[{mark}] {words}" for mark, words in MARKS.items())
    parts = [
        "<h1>Published results of photo geolocation</h1>",
        f"<p>{len(numbers())} rows. Marks: {escape(marks)}. {CAUTION}</p>",
    ]
    titles = {key: known.title for key, known in benchmarks().items()} | OTHER_SETS
    for key, title in titles.items():
        ours = [report for report in reports if report["benchmark"]["key"] == key]
        parts.append(f"<h2>{escape(title)}</h2>")
        if key in benchmarks():
            known = benchmarks()[key]
            note = f" {known.note[:1].upper()}{known.note[1:]}." if known.note else ""
            parts.append(
                f"<p>{known.photos[0]:,} photos. {escape(known.cite)}.{escape(note)}<br><small>"
                f"Photos: {escape(known.pictures)}. Coordinates: {escape(known.table)}.</small></p>"
            )
        parts.append(beside(key, ours))
    return "\n".join(parts)


def _rank(value: dict[str, float | None]) -> float:
    """Higher is better: by GeoScore, else by the share within 200 km, else by the median."""
    order = (("geoscore", 1.0), ("within_200_km", 5000.0), ("within_25_km", 5000.0))
    for measure, weight in order:
        if (known := value.get(measure)) is not None:
            return weight * known
    return -(value.get("median_km") or 0.0)


def _ours(report: dict[str, Any]) -> tuple[str, dict[str, float | None], str]:
    system, score = report["systems"][0]["name"], report["scores"]["standard"][0]
    source = f"measured here, {score['photos']:,} photos"
    audit = report["audit"]
    if audit:
        source += f", of which {audit['disjoint']:,} share nothing with its training photos"
    return escape(system), score["value"], escape(source)


def _theirs(each: Number) -> tuple[str, dict[str, float | None], str]:
    where = f"{each.source}. " if each.source else ""
    words = f"{where}{each.note[:1].upper()}{each.note[1:]}".strip().rstrip(".")
    return escape(each.system), dict(each.value), f"[{each.mark}] {escape(words)}"
