"""The results of an evaluation for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from geoloc.evaluation.report.sections import COMPARED, measures, verdict
from geoloc.evaluation.report.tables import TITLES, number
from geoloc.evaluation.results import Report


def render(report: Report) -> RenderableType:
    """Return scores with intervals, the leakage audit, calibration and paired differences."""
    system, benchmark = report["systems"][0], report["benchmark"]
    lines: list[RenderableType] = [
        Text(f"{system['name']} on {benchmark['title']}", style="bold"),
        _scores(report),
        Text(
            f"in brackets: 95 % bootstrap interval, resampled by {benchmark['resampled_by']}", "dim"
        ),
        Text(_audit(report)),
    ]
    if system["refused"]:
        lines.append(Text(f"refused: {system['refused']:,}, counted as wrong"))
    if report["honesty"]["chances"]:
        lines.append(Text(f"expected calibration error of “within 200 km”: {system['ece']:.3f}"))
    lines += [Text(verdict(report, index), style="bold") for index in range(len(report["paired"]))]
    return Group(*lines)


def _scores(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    first = report["systems"][0]
    columns = [
        (part if system is first else f"{part}, {system['name']}", row)
        for part, rows in report["scores"].items()
        for row, system in zip(rows, report["systems"], strict=True)
    ]
    for name, _ in columns:
        table.add_column(name, justify="right")
    table.add_row("photos", *(f"{row['photos']:,}" for _, row in columns))
    for measure in measures(report, COMPARED):
        table.add_row(TITLES[measure], *(_cell(row, measure) for _, row in columns))
    return table


def _cell(row: dict[str, Any], measure: str) -> str:
    value, low, high = (row[name][measure] for name in ("value", "low", "high"))
    text = number(measure, value)
    if value is None:
        return text
    ends = [number(measure, end).removesuffix(" %") for end in (low, high)]
    return f"{text} [{ends[0]}, {ends[1]}]"


def _audit(report: Report) -> str:
    audit = report["audit"]
    if report["benchmark"]["country_only"]:
        return "leakage: not audited; the table has no coordinates"
    if audit is None:
        return "leakage: not audited; give the training photos with --train"
    texts = {"author": "share an author", "duplicate": "are near-duplicates",
             "place": "are within 1 km", "disjoint": "are disjoint"}  # fmt: skip
    counts = [f"{audit[name]:,} {text}" for name, text in texts.items() if audit[name] is not None]
    unknown = [name for name in texts if audit[name] is None]
    remark = f" (not known: {', '.join(unknown)})" if unknown else ""
    return f"overlap with the training photos: {', '.join(counts)}{remark}"
