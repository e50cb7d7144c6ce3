"""Held-out results of a bundle: metrics for bundle.json, and the text of its model card."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from geocells.sphere import haversine_km
from geoloc.answer.judge import CLAIM_KM, LEVELS
from geoloc.encoders.base import EncoderSpec
from geoloc.evaluation.leakage import SAME_PLACE_KM
from geoloc.metrics import Accuracy, coverage, same_country, score
from geoloc.types import Float64Array, IndexArray, StrArray
from training.calibrate.crossval import METHODS, HeldOutAnswers
from training.data.manifest import Manifest

ANSWERED_SHARES = (10, 25, 50, 75, 100)
"""Percentages of photos answered at which the selective-risk curve is reported."""

MOST_FOLDERS = 8
"""With more top folders results are reported for all photos together only."""

NEW_COLLECTIONS, QUESTIONS = "new collections", "questions"
"""Keys of the metrics: results on photos of collections that the model never saw, and the same by
what is asked (one photo, with a constraint, several photos)."""

ANSWERED = "full, answered"
"""Row of the accuracy table for photos with a claim, that is, not "not sure"."""


def measure(manifest: Manifest, held_out: HeldOutAnswers) -> dict[str, Any]:
    """Measure held-out answers by folder, ready for JSON.

    Returns:
        By folder (for at most MOST_FOLDERS folders) and "all" if there are several: accuracy by
        method, coverage and median of the radii, number and precision of each claim, accuracy at
        places not in the gallery.
    """
    names = sorted(set(manifest.folder))
    parts = {}
    if len(names) <= MOST_FOLDERS:
        parts = {_part_name(name): np.flatnonzero(manifest.folder == name) for name in names}
    if len(parts) != 1:
        parts["all"] = np.arange(len(manifest))
    return {name: measure_part(manifest, held_out, rows) for name, rows in parts.items()}


def _part_name(folder: str) -> str:
    """Return the key of a folder among the metrics; some keys have a meaning of their own."""
    reserved = folder in ("photos", "all", NEW_COLLECTIONS, QUESTIONS)
    return f"{folder}/" if reserved else folder or "photos"


def measure_part(manifest: Manifest, held_out: HeldOutAnswers, rows: IndexArray) -> dict[str, Any]:
    """Measure the held-out answers to some photos: one entry of the result of `measure`."""

    def accuracy(method: str, chosen: IndexArray) -> Accuracy:
        points = held_out.answers[method][chosen]
        return score(points, manifest.latlon[chosen], manifest.precision_km[chosen])

    answered = rows[held_out.confidence[rows] != "not sure"]
    new_places = rows[held_out.nearest_km[rows] >= SAME_PLACE_KM]
    table = {method: asdict(accuracy(method, rows)) for method in METHODS}
    table[ANSWERED] = asdict(accuracy("full", answered))
    table["full, places not seen"] = asdict(accuracy("full", new_places))
    answer, truth = held_out.answers["full"][rows], manifest.latlon[rows]
    return {
        "accuracy": table,
        "coverage": {
            name: coverage(answer, truth, held_out.radii_km[rows, i])
            for i, name in enumerate(LEVELS)
        },
        "median_radius_km": {
            name: float(np.median(held_out.radii_km[rows, i])) for i, name in enumerate(LEVELS)
        },
        "region_coverage": dict(
            zip(LEVELS, held_out.in_region[rows].mean(axis=0).tolist(), strict=True)
        ),
        "selective_risk": selective_risk(
            held_out.localisability[rows], haversine_km(answer, truth)
        ),
        "claims": _claims(held_out.confidence[rows], answer, truth),
    }


def selective_risk(
    localisability: npt.NDArray[np.floating], distance_km: Float64Array
) -> dict[str, float]:
    """Return the selective-risk curve: errors above 200 km when the least localisable abstain.

    Args:
        localisability: (N,) probability of an error below 200 km.
        distance_km: (N,) distance from answer to truth.

    Returns:
        Share of answers more than 200 km off, by percentage of photos answered.
    """
    order = np.argsort(-localisability, kind="stable")
    wrong = np.cumsum(distance_km[order] > CLAIM_KM["region"])
    answered = {f"{share}": max(1, round(len(order) * share / 100)) for share in ANSWERED_SHARES}
    return {share: float(wrong[count - 1] / count) for share, count in answered.items()}


def _claims(
    confidence: StrArray,
    answer: Float64Array,
    truth: Float64Array,
) -> dict[str, dict[str, float]]:
    """Return for each claim the number of photos it was made for, and the share it was right."""
    distance = haversine_km(answer, truth)
    right = {name: distance <= km for name, km in CLAIM_KM.items()}
    right["country"] = same_country(answer, truth)
    result = {}
    for name, is_right in right.items():
        made = confidence == name
        share = float(is_right[made].mean()) if made.any() else float("nan")
        result[name] = {"photos": int(made.sum()), "right": share}
    return result


def markdown_table(part: dict[str, Any]) -> str:
    """Return the accuracy of one collection as a Markdown table."""
    first = next(iter(part["accuracy"].values()))
    thresholds = list(first["within"])
    head = ["answer by", "photos", "median km", *(f"{km} km" for km in thresholds), "country"]
    lines = [table_row(head), table_row(["---"] + ["---:"] * (len(head) - 1))]
    for method, row in part["accuracy"].items():
        shares = [row["within"][km] for km in thresholds] + [row["country"]]
        numbers = [percent(share) for share in shares]
        photos, median = str(row["photos"]), kilometres(row["median_km"])
        lines.append(table_row([method, photos, median, *numbers]))
    return "\n".join(lines)


def table_row(cells: list[str]) -> str:
    """Return one row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def percent(share: float) -> str:
    """Return a share as text, a dash for NaN."""
    return "–" if np.isnan(share) else f"{100 * share:.1f} %"


def kilometres(value: float) -> str:
    """Return a distance in whole km as text, a dash for NaN."""
    return "–" if np.isnan(value) else f"{value:,.0f}"


def model_card(
    name: str,
    manifest: Manifest,
    spec: EncoderSpec,
    n_cells: int,
    metrics: dict[str, Any],
    made_by: str,
    protocol: str,
) -> str:
    """Return the text of MODEL_CARD.md.

    Args:
        name: of the bundle.
        manifest: photos that the bundle was learned from.
        spec: of the encoder.
        n_cells: number of geocells.
        metrics: results by part of the test photos; see `measure_part`.
        made_by: command of `geoloc-train` that made the bundle.
        protocol: how the results were measured.
    """
    lines = [
        f"# {name}",
        "",
        f"Learned from {len(manifest)} photos in {len(set(manifest.group))} groups, over {n_cells}"
        f" geocells. Encoder: {spec.model} ({spec.kind}), frozen. Made by"
        f" `geoloc-train {made_by}`.",
        "",
        protocol,
    ]
    for part_name, part in metrics.items():
        lines += ["", f"## {part_name}", "", *part_lines(part)]
    return "\n".join(lines) + "\n"


def part_lines(part: dict[str, Any]) -> list[str]:
    """Return the results of one part of the photos as lines of Markdown."""
    return [markdown_table(part), "", *calibration_lines(part)]


def licences(manifest: Manifest) -> dict[str, int]:
    """Return the number of photos under each licence; members.parquet has that of each photo."""
    return dict(Counter(str(licence) for licence in manifest.licence if licence))


def calibration_lines(part: dict[str, Any]) -> list[str]:
    """Return coverage, selective risk and claims of one collection as Markdown list items."""

    def coverage_line(level: str) -> str:
        share, radius = part["coverage"][level], part["median_radius_km"][level]
        return (
            f"- The {level} % radius (median {kilometres(radius)} km) contained the truth of"
            f" {percent(share)} of the photos, the {level} % credible cells of"
            f" {percent(part['region_coverage'][level])}."
        )

    risk = ", ".join(
        f"{share} %: {percent(value)}" for share, value in part["selective_risk"].items()
    )
    risk_line = (
        f"- Errors above 200 km, by share of photos answered, most localisable first: {risk}."
    )
    claims = [
        f"- “Sure of the {name}” was claimed for {claim['photos']} photos and right for"
        f" {percent(claim['right'])}."
        for name, claim in part["claims"].items()
        if claim["photos"]
    ]
    return [*map(coverage_line, LEVELS), risk_line, *claims]
