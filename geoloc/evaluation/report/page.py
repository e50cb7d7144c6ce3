"""Reports as HTML files that load nothing, and their numbers as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geoloc.errors import GeolocError
from geoloc.evaluation.published import MARKS, published_results
from geoloc.evaluation.report import details, figures, peers, sections
from geoloc.evaluation.report.charts import ERROR_LEVELS
from geoloc.evaluation.report.tables import distance, number
from geoloc.evaluation.results import SCHEMA_VERSION, Report
from geoloc.io.atomic import atomic_write_text
from geoloc.output.html import render
from geoloc.output.map.base import base_map

PACKAGE = "geoloc.evaluation.report"


class ReportError(GeolocError):
    """A report cannot be read."""


def write(report: Report, path: Path) -> Path:
    """Write a report of `assess` as HTML, and as JSON beside it.

    Thumbnails of the example photos are in the page where their files can be read. The JSON leaves
    out the paths of these files, which may be private.

    Args:
        report: from `geoloc.evaluation.results.assess`.
        path: the HTML file.

    Returns:
        The path of the JSON file.

    Raises:
        OSError: a file cannot be written.
    """
    numbers = path.with_suffix(".json")
    examples = {
        name: [{k: v for k, v in each.items() if k != "file"} for each in rows]
        for name, rows in report["examples"].items()
    }
    text = json.dumps({**report, "examples": examples}, ensure_ascii=False, allow_nan=False)
    atomic_write_text(numbers, text + "\n")
    atomic_write_text(path, html(report))
    return numbers


def read(path: Path) -> Report:
    """Read the JSON of a report.

    Raises:
        ReportError: the file is missing, or is not a report of this version.
    """
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        if report["schema_version"] == SCHEMA_VERSION:
            return report
        reason = f"version {report['schema_version']}, this program reads {SCHEMA_VERSION}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise ReportError(f"{path}: not a report ({reason}); make it again with geoloc evaluate -o")


def write_results(reports: list[Report], path: Path) -> None:
    """Write the page of published results, with our reports among them.

    Raises:
        OSError: the file cannot be written.
    """
    atomic_write_text(path, results_html(reports))


def html(report: Report) -> str:
    """Return the page of one report."""
    return render("report.html", PACKAGE, report=report, **_context(report))


def results_html(reports: list[Report]) -> str:
    """Return the page of published results, benchmark by benchmark."""
    return render(
        "published.html",
        PACKAGE,
        title="Published results of photo geolocation",
        count=len(published_results()),
        marks=MARKS,
        caution=peers.CAUTION,
        parts=peers.parts(reports),
    )


def _context(report: Report) -> dict[str, Any]:
    """Return the values of report.html that are computed from the report."""
    claims, key = report["honesty"], report["benchmark"]["key"]
    chances, located = claims["chances"], not report["benchmark"]["country_only"]
    countries, more_countries = details.countries(report)
    return {
        "title": sections.title(report),
        "summary": sections.summary(report),
        "notices": sections.notices(report),
        "scores": sections.scores(report),
        "audit": sections.audit(report),
        "systems": sections.systems(report),
        "paired": sections.paired(report),
        "units": sections.resampling_units(report),
        "error_chart": figures.error_chart(report) if located else None,
        "error_map": details.error_map(report) if located else None,
        "base": base_map() if located else None,
        "error_levels": ERROR_LEVELS,
        "far_map": details.far_map(report) if located else None,
        "coverage": details.coverage(report),
        "reliability_chart": figures.reliability_chart(chances) if chances else None,
        "risk_chart": figures.risk_chart(chances) if chances else None,
        "area_chart": figures.area_chart(claims) if located else None,
        "parts": details.parts(report),
        "countries": countries,
        "more_countries": more_countries,
        "confusion": details.confusion(report),
        "photos": details.photos(report),
        "caution": peers.CAUTION,
        "published": peers.beside(key, [report]) if key else None,
        "distance": distance,
        "number": number,
    }
