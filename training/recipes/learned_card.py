"""Model card and summary of a learned bundle: results on new collections first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from geoloc.answer.judge import LEVELS
from geoloc.belief.background import Background
from geoloc.encoders.base import EncoderSpec
from training.data.manifest import Manifest
from training.data.split import MIN_COLLECTIONS
from training.recipes.model_card import (
    NEW_COLLECTIONS,
    QUESTIONS,
    kilometres,
    part_lines,
    percent,
    table_row,
)
from training.recipes.world_prior import PriorName

HEADLINE = "Photos of a collection the model never saw"

LEFT_OUT = (
    "Each photo was answered by a model that was trained and calibrated without any photo of its"
    " collection (its photographer or data set). Expect these results for your photos."
)

IN_COLLECTION = (
    "Each photo was answered by a model that did not see its group (five-fold cross-validation;"
    " groups that share near-duplicates are held out together) but saw other photos of its"
    " collection. These results flatter: photographer, camera and places are on both sides."
    " Geocells were built from all coordinates; pixels and labels of held-out photos were not used."
    " No photo counts at a threshold finer than the precision of its own coordinates."
)
"""Measurement protocols."""

PRIORS = {
    "collection": "photos of places like its own (prior of use: collection)",
    "world": "photos of the whole world (prior of use: world)",
}


@dataclass(frozen=True)
class Facts:
    """What a learned bundle was made of."""

    name: str
    photos: int
    groups: int
    collections: int
    cells: int
    encoder: str
    prior: PriorName
    background: int
    """Number of background photos."""

    @classmethod
    def of(
        cls,
        name: str,
        manifest: Manifest,
        spec: EncoderSpec,
        n_cells: int,
        prior: PriorName,
        background: Background | None,
    ) -> Self:
        """Return the facts of a bundle that was learned from the photos of a manifest."""
        groups, collections = (
            len(np.unique(names.astype(str))) for names in (manifest.group, manifest.collection)
        )
        encoder = f"{spec.model} ({spec.kind})"
        count = 0 if background is None else len(background)
        return cls(name, len(manifest), groups, collections, n_cells, encoder, prior, count)

    def lines(self) -> list[str]:
        """Return three lines: photos and cells, prior of use, background."""
        background = (
            f"Photos from elsewhere are told by {self.background:,} photos from all"
            " over the world, of which the bundle holds embeddings only."
            if self.background
            else "It has no background photos to tell photos from elsewhere by."
        )
        return [
            f"Learned from {self.photos:,} photos in {self.groups:,} groups and"
            f" {self.collections:,} collections, over {self.cells:,} geocells.",
            f"Made for {PRIORS[self.prior]}.",
            background,
        ]


def learned_card(facts: Facts, metrics: dict[str, Any]) -> str:
    """Return the text of MODEL_CARD.md.

    Args:
        facts: about the bundle.
        metrics: the entries of `model_card.measure`, and NEW_COLLECTIONS and QUESTIONS if they
            were measured.
    """
    made = f"Encoder: {facts.encoder}, frozen. Made by `geoloc-train learn`."
    lines = [f"# {facts.name}", "", " ".join([*facts.lines(), made]), "", f"## {HEADLINE}", ""]
    if NEW_COLLECTIONS in metrics:
        lines += [LEFT_OUT, "", *question_lines(metrics.get(QUESTIONS, {}))]
        lines += part_lines(metrics[NEW_COLLECTIONS])
    else:
        lines.append(not_measured(facts))
    lines += ["", "## In collection", "", IN_COLLECTION]
    for name, part in _in_collection(metrics).items():
        lines += ["", f"### In collection: {name}", "", *part_lines(part)]
    return "\n".join(lines) + "\n"


def not_measured(facts: Facts) -> str:
    """Return why there are no results on new collections, and what would make them possible."""
    if facts.collections >= MIN_COLLECTIONS:
        return "Not measured."
    return (
        f"Not measured: it takes photos of at least {MIN_COLLECTIONS} collections, and these are of"
        f" {facts.collections}. Expect much less than the results in collection below. Tables name"
        " the collections in the column collection, author or source."
    )


def question_lines(questions: dict[str, dict[str, Any]]) -> list[str]:
    """Return the results by question as a Markdown table; nothing without questions.

    Args:
        questions: for each question photos, coverage by level, claims_made, claims_right, geoscore
            and constant (the GeoScore of the best constant guess).
    """
    if not questions:
        return []
    levels = "/".join(LEVELS)
    head = ["asked", "photos", f"{levels} % radius held", "claims made", "right"]
    head += ["GeoScore", "best constant guess"]
    lines = [table_row(head), table_row(["---"] + ["---:"] * (len(head) - 1))]
    for name, row in questions.items():
        held = " / ".join(f"{100 * row['coverage'][level]:.0f}" for level in LEVELS) + " %"
        made, right = f"{row['claims_made']:,}", percent(row["claims_right"])
        scores = [f"{row[key]:,.0f}" for key in ("geoscore", "constant")]
        lines.append(table_row([name, f"{row['photos']:,}", held, made, right, *scores]))
    return [*lines, ""]


def summary(facts: Facts, metrics: dict[str, Any]) -> list[str]:
    """Return a few lines about a learned bundle, for the terminal; results on new photos first."""
    new = metrics.get(NEW_COLLECTIONS)
    headline = f"{HEADLINE}: " + (_result(new) if new else not_measured(facts))
    parts = _in_collection(metrics)
    shown = {"all": parts["all"]} if "all" in parts else parts
    results = [f"In collection ({name}): {_result(part)}" for name, part in shown.items()]
    return [*facts.lines(), headline, *results]


def _in_collection(metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        name: part for name, part in metrics.items() if name not in (NEW_COLLECTIONS, QUESTIONS)
    }


def _result(part: dict[str, Any]) -> str:
    """Return the accuracy, the coverage of the 80 % radius and the claims of one part."""
    row = part["accuracy"]["full"]
    made = sum(claim["photos"] for claim in part["claims"].values())
    right = sum(
        claim["photos"] * claim["right"] for claim in part["claims"].values() if claim["photos"]
    )
    share = f", {percent(right / made)} of them right" if made else ""
    return (
        f"median error {kilometres(row['median_km'])} km, {percent(row['within']['25'])} within"
        f" 25 km, {percent(row['within']['200'])} within 200 km; the 80 % radius held for"
        f" {percent(part['coverage']['80'])}; {made:,} claims{share}."
    )
