"""Summary, notices and score tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoloc.evaluation.report.tables import (
    NO_VALUE,
    TITLES,
    Table,
    distance,
    number,
    table,
    with_interval,
)
from geoloc.evaluation.results import Report
from geoloc.evaluation.scores import MEASURES

COMPARED = (
    "within_1_km", "within_25_km", "within_200_km", "within_750_km", "within_2500_km", "median_km",
    "geoscore", "country",
)  # fmt: skip
"""Measures in the table of systems."""

MIN_DISJOINT_SHARE = 0.5
"""A report with fewer disjoint photos begins with a warning."""

OVERLAPS = {
    "author": "same author as a training photo",
    "duplicate": "near-duplicate of a training photo",
    "place": "less than 1 km from a training photo",
    "disjoint": "none of these: disjoint",
}


def measures(report: Report, names: Sequence[str]) -> list[str]:
    """Return the measures that a report has: all, or the country if only that is known."""
    country_only = report["benchmark"]["country_only"]
    return [name for name in names if name == "country" or not country_only]


def title(report: Report) -> str:
    """Return "system on benchmark"."""
    return f"{report['systems'][0]['name']} on {report['benchmark']['title']}"


def summary(report: Report) -> str:
    """Return the main results in one or two sentences."""
    benchmark, system = report["benchmark"], report["systems"][0]
    value = report["scores"]["standard"][0]["value"]
    counts = benchmark["published_photos"]
    of = f" of {counts[0]:,}" if counts and counts[0] != benchmark["photos"] else ""
    text = f"{benchmark['photos']:,}{of} photos: "
    if not benchmark["country_only"]:
        text += (
            f"median error {distance(value['median_km'])},"
            f" {number('within_25_km', value['within_25_km'])} of the answers within 25 km, "
        )
    text += f"{number('country', value['country'])} in the right country."
    if system["refused"]:
        text += f" {system['refused']:,} photos were refused and count as wrong."
    return text


def notices(report: Report) -> list[str]:
    """Return the reservations and problems that are shown before the first table."""
    audit, note = report["audit"], report["benchmark"]["note"]
    lines = [f"{capitalised(note)}."] if note else []
    if audit and audit["disjoint"] < MIN_DISJOINT_SHARE * report["benchmark"]["photos"]:
        lines.append(
            f"Only {audit['disjoint']:,} of these photos have no overlap with the training photos."
            " The standard score includes memorised photos; the disjoint score measures"
            " generalisation."
        )
    return [*lines, *report["problems"]]


def capitalised(text: str) -> str:
    """Return a text with its first letter in upper case, the others unchanged."""
    return f"{text[:1].upper()}{text[1:]}"


def scores(report: Report) -> Table:
    """Return all measures with intervals, on all photos and on the disjoint ones."""
    parts = {name: rows[0] for name, rows in report["scores"].items()}
    counts = ["photos", *(f"{row['photos']:,}" for row in parts.values())]
    rows = [
        [
            TITLES[name],
            *(
                with_interval(name, row["value"][name], row["low"][name], row["high"][name])
                for row in parts.values()
            ),
        ]
        for name in measures(report, MEASURES)
    ]
    return table(["", *parts], [counts, *rows], "scores")


def audit(report: Report) -> Table | None:
    """Return the overlap with the training photos; None if it was not audited."""
    found, photos = report["audit"], report["benchmark"]["photos"]
    if found is None:
        return None
    rows = [[text, *_count_and_share(found[name], photos)] for name, text in OVERLAPS.items()]
    return table(["overlap", "photos", "share"], rows, "leakage audit")


def systems(report: Report) -> Table:
    """Return the systems with refusals, calibration error, latency and cost."""
    rows, shown = [], measures(report, COMPARED)
    for system, score in zip(report["systems"], report["scores"]["standard"], strict=True):
        value, cost = score["value"], system["cost_usd_per_1000"]
        rows.append(
            [
                system["name"],
                *(number(measure, value[measure]) for measure in shown),
                f"{system['refused']:,}",
                NO_VALUE if system["ece"] is None else f"{system['ece']:.3f}",
                NO_VALUE if system["latency_s"] is None else f"{system['latency_s']:.2g} s",
                NO_VALUE if cost is None else f"{cost:,.2f}",
            ]
        )
    head = ["system", *(TITLES[measure] for measure in shown), "refused", "ECE", "latency",
            "USD per 1,000"]  # fmt: skip
    return table(head, rows, "systems", highlighted=[0])


def paired(report: Report) -> list[dict[str, Any]]:
    """Return for each other system "against", its name, "verdict" and "table", the differences."""
    standard = report["scores"]["standard"]
    return [
        {
            "against": pair["against"],
            "verdict": capitalised(verdict(report, index - 1)),
            "table": _differences(report, pair, standard[0]["value"], standard[index]["value"]),
        }
        for index, pair in enumerate(report["paired"], start=1)
    ]


def verdict(report: Report, index: int) -> str:
    """Return which system is better, with the interval of the difference.

    Systems are compared by GeoScore, or by their country accuracy if only countries are known.

    Args:
        report: of several systems.
        index: of the comparison in its list "paired".
    """
    pair, scores = report["paired"][index], report["scores"]["standard"]
    measure = "country" if report["benchmark"]["country_only"] else "geoscore"
    row = next(row for row in pair["rows"] if row["measure"] == measure)
    low, high = row["low"], row["high"]
    ours, theirs = report["systems"][0]["name"], pair["against"]
    if low is None or high is None:
        return f"{ours} and {theirs} cannot be compared"
    difference = scores[0]["value"][measure] - scores[index + 1]["value"][measure]
    unit = f"{'percentage ' if measure == 'country' else ''}points"
    suffix = f" ({TITLES[measure]})"

    def text(value: float) -> str:
        return number(measure, value).removesuffix(" %")

    if low <= 0.0 <= high:
        return (
            f"no difference between {ours} and {theirs} is shown: {text(difference)} {unit},"
            f" 95 % {text(low)} to {text(high)}{suffix}"
        )
    better, worse = (ours, theirs) if difference > 0.0 else (theirs, ours)
    least, most = sorted((abs(low), abs(high)))
    return (
        f"{better} is better than {worse} by {text(abs(difference))} {unit}, 95 %"
        f" {text(least)}-{text(most)}{suffix}"
    )


def _differences(
    report: Report,
    pair: dict[str, Any],
    ours: dict[str, float | None],
    theirs: dict[str, float | None],
) -> Table:
    rows, shown = [], measures(report, MEASURES)
    for row in pair["rows"]:
        name = row["measure"]
        if name not in shown:
            continue
        first, second = ours[name], theirs[name]
        value = None if first is None or second is None else first - second
        low, high = (number(name, row[end], signed=True) for end in ("low", "high"))
        p = row.get("p")
        only = "" if p is None else f"{row['better']:,} against {row['worse']:,}"
        p_text = "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
        rows.append(
            [TITLES[name], number(name, value, signed=True), f"{low} to {high}", only, p_text]
        )
    head = ["measure", "difference", "95 % interval", "only one right", "p"]
    return table(head, rows, f"differences to {pair['against']}")


def resampling_units(report: Report) -> str:
    """Return what the bootstrap resamples, with its number."""
    benchmark = report["benchmark"]
    by = benchmark["resampled_by"]
    return f"{benchmark['units']:,} {by}s" if by != "photo" else "photos"


def _count_and_share(count: int | None, photos: int) -> list[str]:
    if count is None:
        return ["unknown", NO_VALUE]
    return [f"{count:,}", f"{100.0 * count / max(photos, 1):.1f} %"]
