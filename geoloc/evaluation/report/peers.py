"""Our results beside published ones, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoloc.evaluation.benchmark import published as benchmarks
from geoloc.evaluation.published import PublishedResult, published_on
from geoloc.evaluation.report.sections import capitalised
from geoloc.evaluation.report.tables import TITLES, Table, number, table
from geoloc.evaluation.results import Report

PUBLISHED = (
    "within_1_km", "within_25_km", "within_200_km", "within_750_km", "within_2500_km", "median_km",
    "mean_km", "geoscore", "country", "region",
)  # fmt: skip
"""Measures that have been published."""

OTHER_SETS = {
    "pigeon": "PIGEON's own hold-out",
    "duels": "PIGEON against humans: GeoGuessr Duels",
    "geoguessbench": "GeoGuessBench: language models",
}
"""Published results on photos that are not available to others."""

CAUTION = (
    "Papers differ in training photos, backbones, galleries and copies of a benchmark, and values"
    " are copied from one paper's table into the next. The rows are claims, not a ranking under"
    " equal conditions."
)

Row = tuple[str, dict[str, float | None], str]
"""System, value by measure, source."""


def beside(key: str, reports: Sequence[Report]) -> Table:
    """Return the published results of one benchmark and our own, the best first.

    Args:
        key: short name of the benchmark.
        reports: our reports on it.
    """
    published = published_on(key)
    rows = [(_own_row(report), True) for report in reports]
    rows += [(_published_row(result), False) for result in published]
    measures = [
        measure
        for measure in PUBLISHED
        if any(value.get(measure) is not None for (_, value, _), _ in rows)
        and (not published or any(measure in result.value for result in published))
    ]
    rows.sort(key=lambda row: -_rank(row[0][1]))
    return table(
        ["system", *(TITLES[measure] for measure in measures), "source"],
        [
            [name, *(number(measure, value.get(measure)) for measure in measures), source]
            for (name, value, source), _ in rows
        ],
        "published results" if published else "results",
        highlighted=[index for index, (_, own) in enumerate(rows) if own],
        text_columns=[0, len(measures) + 1],
    )


def parts(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Return for each benchmark its title, description, note and the table of `beside`.

    Reports on other tables come first, one part for each table.
    """
    known = benchmarks()
    titles = {key: each.title for key, each in known.items()} | OTHER_SETS
    return [
        *_custom_parts([r for r in reports if r["benchmark"]["key"] not in titles]),
        *(
            {
                "title": title,
                "benchmark": known.get(key),
                "note": capitalised(known[key].note) if key in known else "",
                "table": beside(key, [r for r in reports if r["benchmark"]["key"] == key]),
            }
            for key, title in titles.items()
        ),
    ]


def _custom_parts(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Return the parts of tables that are no published benchmark, in the order of the reports."""
    by_table: dict[tuple[str, str], list[Report]] = {}
    for report in reports:
        benchmark = report["benchmark"]
        by_table.setdefault((benchmark["title"], benchmark["sha256"]), []).append(report)
    return [
        {"title": title, "benchmark": None, "note": "", "table": beside("", members)}
        for (title, _), members in by_table.items()
    ]


def _rank(value: dict[str, float | None]) -> float:
    """Return a sort key, high for good results: GeoScore, else a share, else the median."""
    order = (("geoscore", 1.0), ("within_200_km", 5000.0), ("within_25_km", 5000.0))
    for measure, weight in order:
        if (score := value.get(measure)) is not None:
            return weight * score
    return -(value.get("median_km") or 0.0)


def _own_row(report: Report) -> Row:
    system, score = report["systems"][0]["name"], report["scores"]["standard"][0]
    source = f"measured here, {score['photos']:,} photos"
    audit = report["audit"]
    if audit:
        source += f", {audit['disjoint']:,} of them disjoint from its training photos"
    return system, score["value"], source


def _published_row(result: PublishedResult) -> Row:
    where = f"{result.source}. " if result.source else ""
    text = f"{where}{capitalised(result.note)}".strip().rstrip(".")
    return result.system, dict(result.value), f"[{result.mark}] {text}"
