"""Error maps, coverage, scores by part and example photos of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoloc.evaluation.report.charts import WorldMap, world_map
from geoloc.evaluation.report.tables import TITLES, Table, area, distance, number, table
from geoloc.evaluation.results import Report
from geoloc.output.thumbnails import thumbnail

COUNTRIES = 25
"""Rows of the table of countries that are visible at once."""

THUMBNAIL_PX = 320
QUALITY = 72


def error_map(report: Report) -> WorldMap:
    """Return the map of the photos, coloured by the error of their answers."""
    return world_map(report["maps"]["truth"], "Photos by the error of their answers")


def far_map(report: Report) -> WorldMap | None:
    """Return the map of answers with a large error, None if there are none."""
    maps = report["maps"]
    label = f"Answers more than {maps['far_km']:,.0f} km off"
    return world_map(maps["far"], label) if maps["far"] else None


def coverage(report: Report) -> Table | None:
    """Return claimed radii and regions with their coverage; None if none are claimed."""
    claims = report["honesty"]
    rows = [
        [f"{level} % radius", f"{row['photos']:,}", number("within", row["coverage"]),
         distance(row["median_km"])]
        for level, row in (claims["radii"] or {}).items()
    ] + [
        [f"{level} % credible cells", f"{row['photos']:,}", number("within", row["coverage"]),
         area(row["median_km2"])]
        for level, row in (claims["regions"] or {}).items()
    ]  # fmt: skip
    return table(["claim", "photos", "coverage", "median size"], rows, "coverage") if rows else None


def parts(report: Report) -> list[tuple[str, Table]]:
    """Return titles and tables of scores by continent, population density and nearest photo."""
    tables = report["breakdown"]
    titles = {
        "continent": "By continent",
        "population": "By population density",
        "nearest": "By distance to the nearest training photo",
    }
    return [
        (title, _part_table(tables[name], title))
        for name, title in titles.items()
        if tables.get(name)
    ]


def countries(report: Report) -> tuple[Table, Table | None]:
    """Return the scores of the countries with most photos, and of the others if there are any."""
    rows = report["breakdown"]["country"]
    others = rows[COUNTRIES:]
    return (
        _part_table(rows[:COUNTRIES], "By country"),
        _part_table(others, "More countries") if others else None,
    )


def confusion(report: Report) -> Table:
    """Return the countries that are most often taken for another."""
    return table(
        ["photos of", "answered as", "photos"],
        [[r["truth"], r["answer"], f"{r['photos']:,}"] for r in report["breakdown"]["confusion"]],
        "most frequent confusions of countries",
        text_columns=[1],
    )


def _part_table(rows: list[dict[str, Any]], label: str) -> Table:
    measures = [
        name
        for name in rows[0]
        if name not in ("name", "photos") and any(row[name] is not None for row in rows)
    ]
    return table(
        ["", "photos", *(TITLES[measure] for measure in measures)],
        [
            [row["name"], f"{row['photos']:,}",
             *(number(measure, row[measure]) for measure in measures)]
            for row in rows
        ],
        label,
    )  # fmt: skip


def photos(report: Report) -> list[tuple[str, list[dict[str, str]]]]:
    """Return titles and example photos, with thumbnails where the files can be read."""
    titles = {
        "best": "Smallest errors",
        "sure": "Most confident wrong answers",
        "farthest": "Largest errors",
    }
    return [
        (title, [_photo(example) for example in report["examples"][name]])
        for name, title in titles.items()
        if report["examples"].get(name)
    ]


def _photo(example: dict[str, Any]) -> dict[str, str]:
    chance, file = example["chance"], example["file"]
    confidence = "" if chance is None else f", {100 * chance:.0f} % confident"
    return {
        "picture": thumbnail(file, THUMBNAIL_PX, QUALITY) if file else "",
        "headline": f"{distance(example['distance_km'])}{confidence}",
        "truth": example["truth"],
        "answer": example["answer"],
        "name": Path(example["photo"]).name,
    }
