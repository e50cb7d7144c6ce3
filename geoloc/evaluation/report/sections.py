"""Sections of a report on the score: what, how good, how clean, against whom, and how measured."""

from __future__ import annotations

from html import escape
from typing import Any

from geoloc.evaluation.report.tables import NOTHING, TITLES, distance, number, ranged, table
from geoloc.evaluation.scores import MEASURES

Report = dict[str, Any]

SHOWN = (
    "within_1_km", "within_25_km", "within_200_km", "within_750_km", "within_2500_km", "median_km",
    "geoscore", "country",
)  # fmt: skip
"""Measures by which systems are shown side by side."""

MOSTLY = 0.5
"""With fewer disjoint photos than this share the report begins with a warning."""


def head(report: Report) -> str:
    """What was measured, in one sentence, and what is wrong with it."""
    benchmark, system = report["benchmark"], report["systems"][0]
    score = report["scores"]["standard"][0]
    value = score["value"]
    counts = benchmark["published_photos"]
    of = f" of {counts[0]:,}" if counts and counts[0] != benchmark["photos"] else ""
    said = (
        f"{benchmark['photos']:,}{of} photos: half of the answers are within"
        f" {distance(value['median_km'])}, {number('within_25_km', value['within_25_km'])} within"
        f" 25 km, {number('country', value['country'])} in the right country."
    )
    if system["refused"]:
        said += f" {system['refused']:,} were refused, and count as wrong."
    lines = "".join(f"<p class=notice>{escape(line)}</p>" for line in notices(report))
    return (
        f"<h1>{escape(system['name'])} on {escape(benchmark['title'])}</h1>"
        f'<p class="lead">{said}</p>{lines}'
    )


def notices(report: Report) -> list[str]:
    """What a reader has to know before the first number."""
    audit, note = report["audit"], report["benchmark"]["note"]
    lines = [f"{note[:1].upper()}{note[1:]}."] if note else []
    if audit and audit["disjoint"] < MOSTLY * report["benchmark"]["photos"]:
        lines.append(
            f"Only {audit['disjoint']:,} of these photos share nothing with the training photos:"
            " the standard score is what the system remembers, the disjoint one what it knows."
        )
    return [*lines, *report["problems"]]


def scores(report: Report) -> str:
    """Standard and disjoint scores with intervals."""
    parts = {name: rows[0] for name, rows in report["scores"].items()}
    rows = [["photos", *(f"{row['photos']:,}" for row in parts.values())]]
    rows += [
        [
            TITLES[name],
            *(
                ranged(name, row["value"][name], row["low"][name], row["high"][name])
                for row in parts.values()
            ),
        ]
        for name in MEASURES
    ]
    disjoint = (
        " “Disjoint” are the photos that share nothing with the training photos, see below."
        if "disjoint" in report["scores"]
        else ""
    )
    return f"<h2>Scores</h2><p>Beside each number its 95 % interval.{disjoint}</p>" + table(
        ["", *parts], rows, label="scores"
    )


def audit(report: Report) -> str:
    """What the photos share with the training photos."""
    found, photos = report["audit"], report["benchmark"]["photos"]
    if found is None:
        return (
            "<h3>Leakage audit</h3><p>Not audited: it is not known what this system learned from."
            " Give its training photos with <code>--train</code> to see a disjoint score.</p>"
        )
    words = {
        "author": "taken by someone who also took training photos",
        "duplicate": "near-duplicate of a training photo",
        "place": "less than 1 km from a training photo",
        "disjoint": "none of these: disjoint",
    }
    rows = [[text, *_counted(found[name], photos)] for name, text in words.items()]
    far = found["nearest_km"]
    return (
        "<h3>Leakage audit</h3>"
        + table(["what a photo shares", "photos", "share"], rows, label="leakage audit")
        + "<p class=soft>Distance to the nearest training photo: median"
        f" {distance(far['50'])}; 5 % are nearer than {distance(far['5'])}, 5 % farther than"
        f" {distance(far['95'])}.</p>"
    )


def systems(report: Report) -> str:
    """Refusals, calibration error, latency and cost, as benchmarks of language models have them."""
    rows = []
    for system, score in zip(report["systems"], report["scores"]["standard"], strict=True):
        value, cost = score["value"], system["cost_usd_per_1000"]
        rows.append(
            [
                escape(system["name"]),
                *(number(measure, value[measure]) for measure in SHOWN),
                f"{system['refused']:,}",
                NOTHING if system["ece"] is None else f"{system['ece']:.3f}",
                NOTHING if system["latency_s"] is None else f"{system['latency_s']:.2g} s",
                NOTHING if cost is None else f"{cost:,.2f}",
            ]
        )
    heads = ["system", *(TITLES[measure] for measure in SHOWN), "refused", "ECE", "latency",
             "USD per 1,000"]  # fmt: skip
    return "<h3>Systems</h3>" + table(heads, rows, ours=[0], label="systems")


def paired(report: Report) -> str:
    """Differences to other systems on the same photos."""
    parts = []
    ours = report["scores"]["standard"][0]["value"]
    for index, pair in enumerate(report["paired"], start=1):
        theirs = report["scores"]["standard"][index]["value"]
        rows = []
        for row in pair["rows"]:
            name = row["measure"]
            value = None if ours[name] is None else ours[name] - theirs[name]
            low, high = (number(name, row[end], signed=True) for end in ("low", "high"))
            p = row.get("p")
            only = f"{row['better']:,} against {row['worse']:,}" if p is not None else ""
            chance = "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
            rows.append([TITLES[name], number(name, value, signed=True), f"{low} to {high}", only,
                         chance])  # fmt: skip
        parts.append(
            f"<h2>Against {escape(pair['against'])}</h2><p>Difference on the same photos, with its"
            " paired 95 % interval. The exact tests are McNemar’s for shares, and the sign test for"
            " the distance: they look at the photos that only one of the two has right, or nearer."
            "</p>"
            + table(
                ["measure", "difference", "95 % interval", "only one right", "p"],
                rows,
                label=f"differences to {pair['against']}",
            )
        )
    return "".join(parts)


def method(report: Report) -> str:
    """What the numbers mean and what they were made with."""
    benchmark, settings = report["benchmark"], report["settings"]
    by = benchmark["resampled_by"]
    whole = f"{benchmark['units']:,} {by}s" if by != "photo" else "photos"
    return (
        "<h2>How this was measured</h2><ul>"
        "<li>Distances are great circles on the mean sphere; a photo counts at a threshold if its"
        " answer is nearer, and if its own coordinates are that precise.</li>"
        "<li>A refusal counts as an answer at the antipode, so that refusing never helps.</li>"
        "<li>GeoScore is the mean of 5000·exp(−d / 1,492.7 km), not rounded (OSV-5M); “rounded” is"
        " PIGEON’s; GeoGuessr points are 5000·exp(−10·d / maxErrorDistance), rounded, and 5000"
        f" nearer than 25 m, on a map of {settings['max_error_km']:,.3f} km.</li>"
        "<li>Country and region are those of the polygon around the point (Natural Earth); on the"
        " open sea an answer has none.</li>"
        f"<li>Intervals: {settings['resamples']:,} bootstrap resamples of {whole}, percentiles,"
        f" seed {settings['seed']}.</li>"
        + (f"<li>{escape(benchmark['cite'])}.</li>" if benchmark["cite"] else "")
        + f"<li>Table of the photos: SHA-256 <code>{benchmark['sha256']}</code>."
        f" Made with {escape(report['made_with'])}.</li></ul>"
    )


def _counted(count: int | None, photos: int) -> list[str]:
    """Photos, and their share of all."""
    if count is None:
        return ["not known", NOTHING]
    return [f"{count:,}", f"{100.0 * count / max(photos, 1):.1f} %"]
