"""Sections of a report on what lies behind the score: errors, honesty, places, photos."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from geoloc.evaluation.report.charts import error_key, world
from geoloc.evaluation.report.figures import area_chart, error_chart, reliability, risk_chart
from geoloc.evaluation.report.tables import TITLES, area, distance, number, table
from geoloc.evaluation.report.thumbnails import thumbnail

Report = dict[str, Any]

COUNTRIES = 25
"""Rows of the table of countries that are shown at once."""

RELIABILITY = (
    "Claimed chance of being right within 200 km, and how often it was. On the dotted line a system"
    " is as good as it says."
)
RISK = (
    "Share of answers more than 200 km off if only the surest are given. A system that knows what"
    " it does not know starts low."
)
AREA = (
    "Share of photos whose truth lies in the likeliest part of the Earth of so many km²: a circle"
    " around the answer, or what the system believes in."
)


def errors(report: Report) -> str:
    """How far off answers are, and where."""
    maps = report["maps"]
    far = f"more than {maps['far_km']:,.0f} km off"
    wrong = (
        f"<figure>{world(maps['far'], f'Answers {far}')}<figcaption>Where answers {far} point: the"
        " places that the system believes in too often.</figcaption></figure>"
        if maps["far"]
        else ""
    )
    return (
        f"<h2>Errors</h2><figure>{error_chart(report)}<figcaption>Share of photos answered within a"
        " distance. Higher and farther to the left is better.</figcaption></figure>"
        f"<figure>{world(maps['truth'], 'Photos by the error of their answers')}{error_key()}"
        "<figcaption>Where the photos were taken, and how far off the median answer is there."
        f" Photos within 2 degrees are one dot.</figcaption></figure>{wrong}"
    )


def honesty(report: Report) -> str:
    """Whether the system is as sure as it should be."""
    claims = report["honesty"]
    parts = ["<h2>Honesty</h2>"]
    chances = claims["chances"]
    figures = []
    if chances:
        parts.append(
            f"<p>For {chances['photos']:,} photos it says how likely it is right within 200 km."
            f" Expected calibration error {chances['ece']:.3f}, Brier score"
            f" {chances['brier']:.3f}. Answering the surest first, the share of answers more than"
            " 200 km off is"
            f" {number('within', chances['selective_risk']['area'])} on average over the curve.</p>"
        )
        figures += [(reliability(chances), RELIABILITY), (risk_chart(chances), RISK)]
    else:
        parts.append("<p>It does not say how sure it is.</p>")
    figures.append((area_chart(claims), AREA))
    drawn = "".join(
        f"<figure>{chart}<figcaption>{words}</figcaption></figure>" for chart, words in figures
    )
    return "".join([*parts, _coverage(claims), f'<div class="pair">{drawn}</div>'])


def _coverage(claims: dict[str, Any]) -> str:
    rows = [
        [f"{level} % radius", f"{row['photos']:,}", number("within", row["coverage"]),
         distance(row["median_km"])]
        for level, row in (claims["radii"] or {}).items()
    ] + [
        [f"{level} % credible cells", f"{row['photos']:,}", number("within", row["coverage"]),
         area(row["median_km2"])]
        for level, row in (claims["regions"] or {}).items()
    ]  # fmt: skip
    if not rows:
        return ""
    heads = ["claim", "photos", "held the truth of", "median size"]
    return table(heads, rows, label="coverage")


def parts(report: Report) -> str:
    """Scores by continent, country, population and distance to training photos."""
    tables = report["breakdown"]
    titles = {"continent": "By continent", "population": "By people around",
              "nearest": "By distance to the nearest training photo"}  # fmt: skip
    shown = "".join(
        f"<h3>{title}</h3>{_part_table(tables[name], title)}"
        for name, title in titles.items()
        if tables.get(name)
    )
    countries = tables["country"]
    first = _part_table(countries[:COUNTRIES], "By country")
    rest = countries[COUNTRIES:]
    more = (
        f"<details><summary>{len(rest)} more countries</summary>"
        f"{_part_table(rest, 'More countries')}</details>"
        if rest
        else ""
    )
    confused = table(
        ["photos of", "answered as", "photos"],
        [
            [escape(r["truth"]), escape(r["answer"]), f"{r['photos']:,}"]
            for r in tables["confusion"]
        ],
        words=[1],
        label="countries taken for others",
    )
    return (
        f"<h2>Where it is good</h2>{shown}<h3>By country</h3>{first}{more}"
        f"<h3>Taken for another country most often</h3>{confused}"
    )


def _part_table(rows: list[dict[str, Any]], label: str) -> str:
    measures = [name for name in rows[0] if name not in ("name", "photos")]
    return table(
        ["", "photos", *(TITLES[measure] for measure in measures)],
        [
            [escape(row["name"]), f"{row['photos']:,}",
             *(number(measure, row[measure]) for measure in measures)]
            for row in rows
        ],
        label=label,
    )  # fmt: skip


def photos(report: Report) -> str:
    """Best and worst answers, with thumbnails where the photos are at hand."""
    titles = {
        "best": "Nearest",
        "sure": "Surest of the wrong",
        "farthest": "Farthest",
    }
    parts = []
    for name, title in titles.items():
        if report["examples"].get(name):
            items = "".join(_photo(each) for each in report["examples"][name])
            parts.append(f"<h3>{title}</h3><ul class=photos>{items}</ul>")
    return "<h2>Photos</h2>" + "".join(parts) if parts else ""


def _photo(each: dict[str, Any]) -> str:
    sure = "" if each["chance"] is None else f", {100 * each['chance']:.0f} % sure"
    picture, name = thumbnail(each["file"]), escape(Path(each["photo"]).name)
    image = f'<img alt="" src="{picture}">' if picture else '<div class="none"></div>'
    return (
        f"<li>{image}<b>{distance(each['distance_km'])}{sure}</b>{escape(each['truth'])}<br>"
        f"<span class=soft>answered {escape(each['answer'])}<br>{name}</span></li>"
    )
