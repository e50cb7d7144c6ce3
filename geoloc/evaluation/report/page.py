"""The report as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from geoloc.errors import GeolocError
from geoloc.evaluation.report import details, peers, sections
from geoloc.evaluation.results import SCHEMA_VERSION, Report
from geoloc.io.atomic import atomic_write_text

TEMPLATE = Path(__file__).parent / "templates" / "page.html"


class ReportError(GeolocError):
    """A report cannot be read."""


def write(report: Report, path: Path) -> Path:
    """Write the report of `assess` as HTML, and beside it as JSON; returns the JSON's path.

    Thumbnails of the photos that are shown are in the page, if their files are there; where these
    lie is nobody else's business, and not in the JSON.

    Raises:
        OSError: it cannot be written.
    """
    numbers = path.with_suffix(".json")
    shown = {
        name: [{k: v for k, v in each.items() if k != "file"} for each in rows]
        for name, rows in report["examples"].items()
    }
    text = json.dumps({**report, "examples": shown}, ensure_ascii=False, allow_nan=False)
    atomic_write_text(numbers, text + "\n")
    atomic_write_text(path, html(_title(report), body(report)))
    return numbers


def read(path: Path) -> Report:
    """Read the JSON of a report.

    Raises:
        ReportError: it is missing, or no report of this version.
    """
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        if report["schema_version"] == SCHEMA_VERSION:
            return report
        reason = f"version {report['schema_version']}, this program reads {SCHEMA_VERSION}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise ReportError(f"{path}: no report ({reason}); make it again with geoloc evaluate -o")


def write_results(reports: list[Report], path: Path) -> None:
    """Write the page of published numbers with reports of ours; raises OSError."""
    atomic_write_text(
        path, html("Published results of photo geolocation", peers.results_page(reports))
    )


def body(report: Report) -> str:
    """The page's content."""
    parts: list[Callable[[Report], str]] = [
        sections.head, sections.scores, sections.audit, sections.systems, sections.paired,
        details.errors, details.honesty, details.parts, details.photos, _peers,
        sections.method,
    ]  # fmt: skip
    return "\n".join(part(report) for part in parts)


def html(title: str, content: str) -> str:
    """A whole page."""
    page = TEMPLATE.read_text(encoding="utf-8").replace("<!--TITLE-->", escape(title))
    return page.replace("<!--BODY-->", content)


def _title(report: dict[str, Any]) -> str:
    return f"{report['systems'][0]['name']} on {report['benchmark']['title']}"


def _peers(report: Report) -> str:
    key = report["benchmark"]["key"]
    if not key:
        return ""
    return (
        "<h2>Beside published numbers</h2>"
        f"<p>{peers.CAUTION}</p>{peers.beside(key, [report])}"
    )  # fmt: skip
