"""Results for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from geoloc.evaluation.report.tables import TITLES, number

SHOWN = ("within_1_km", "within_25_km", "within_200_km", "within_750_km", "within_2500_km",
         "median_km", "geoscore", "country")  # fmt: skip


def render(report: dict[str, Any]) -> RenderableType:
    """Scores with their intervals, the leaks, and how honest the system is."""
    system, benchmark = report["systems"][0], report["benchmark"]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    columns = [
        (part if each is system else f"{part}, {each['name']}", row)
        for part, rows in report["scores"].items()
        for row, each in zip(rows, report["systems"], strict=True)
    ]
    for name, _ in columns:
        table.add_column(name, justify="right")
    table.add_row("photos", *(f"{row['photos']:,}" for _, row in columns))
    for measure in SHOWN:
        table.add_row(TITLES[measure], *(_cell(row, measure) for _, row in columns))
    lines: list[RenderableType] = [
        Text(f"{system['name']} on {benchmark['title']}", style="bold"),
        table,
        Text(f"in brackets 95 % intervals; resampled by {benchmark['resampled_by']}", "dim"),
        Text(_audit(report)),
    ]
    if system["refused"]:
        lines.append(Text(f"refused: {system['refused']:,}, counted as wrong"))
    if report["honesty"]["chances"]:
        lines.append(Text(f"calibration error of “right within 200 km”: {system['ece']:.3f}"))
    for pair in report["paired"]:
        lines.append(Text(_against(pair)))
    return Group(*lines)


def _cell(row: dict[str, Any], measure: str) -> str:
    value, low, high = (row[name][measure] for name in ("value", "low", "high"))
    text = number(measure, value)
    if value is None:
        return text
    ends = [number(measure, end).removesuffix(" %") for end in (low, high)]
    return f"{text} [{ends[0]}, {ends[1]}]"


def _audit(report: dict[str, Any]) -> str:
    found = report["audit"]
    if found is None:
        return "leaks: not audited; give the training photos with --train"
    words = {"author": "share an author", "duplicate": "are near-duplicates",
             "place": "are within 1 km", "disjoint": "share nothing"}  # fmt: skip
    told = [f"{found[name]:,} {text}" for name, text in words.items() if found[name] is not None]
    unknown = [name for name in words if found[name] is None]
    not_known = f" (not known: {', '.join(unknown)})" if unknown else ""
    return f"with the training photos: {', '.join(told)}{not_known}"


def _against(pair: dict[str, Any]) -> str:
    row = next(row for row in pair["rows"] if row["measure"] == "geoscore")
    low, high = (number("geoscore", row[end], signed=True) for end in ("low", "high"))
    return f"GeoScore against {pair['against']}: between {low} and {high}"
