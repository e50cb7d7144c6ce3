"""Results by question: what is held and claimed when photos are combined or constrained."""

from __future__ import annotations

from typing import Any

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.hedge import Hedge
from geoloc.answer.judge import CLAIM_KM, LEVELS
from geoloc.metrics import geoscore
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.calibrate.answers import Judged
from training.calibrate.crossval import Validation

SHOWN_SIZES = (4, 12)
"""Numbers of photos of one place that are reported."""


def best_constant(cells: CellTable, prior: Float32Array) -> Float64Array:
    """Return the point (2,) with the highest expected score under a prior (C,)."""
    hedge = Hedge.over(cells.centroids, prior, None)
    return np.asarray(hedge.points[hedge.best(prior[None])[0]])


def measure_questions(
    validation: Validation, constant: Float64Array
) -> dict[str, dict[str, float | dict[str, float]]]:
    """Measure the answers to questions about photos of collections the models never saw.

    Collections and countries are balanced as in the calibration, so that no large collection
    decides.

    Args:
        validation: from `cross_validate`, with results on new collections.
        constant: (2,) the best constant guess.

    Returns:
        By question: photos, coverage by level, claims_made, claims_right, geoscore, and constant
        (the GeoScore of the constant guess). A question without answers is missing.
    """
    judged: dict[str, Judged] = {"photo": validation.questions.photo}
    judged |= {str(kind): each for kind, each in validation.questions.others.items()}
    results = {}
    for name, kind, chosen in _questions(validation, judged):
        rows = np.flatnonzero(chosen)
        if len(rows):
            results[name] = measure_rows(validation, judged[kind], rows, constant)
    return results


def _questions(
    validation: Validation, judged: dict[str, Judged]
) -> list[tuple[str, str, BoolArray]]:
    """Return name, kind and the chosen answers of each question."""
    found = []
    for kind, title in (("photo", "one photo"), ("photo within", ""), ("place", "")):
        if kind not in judged:
            continue
        answers = judged[kind].answers
        new = answers.new
        if title:
            found.append((title, kind, new))
        if kind == "photo within":
            shape = shapes(answers.asked.within)
            for one, text in (
                ("country", "one photo, its country given"),
                ("region", "one photo, its region given"),
                ("circle", "one photo, a circle given"),
                ("box", "one photo, a box given"),
            ):
                found.append((text, kind, new & (shape == one)))
        if kind == "place":
            for size in SHOWN_SIZES:
                text = f"{size} photos of one place"
                found.append((text, kind, new & (answers.asked.photos == size)))
    return found


def shapes(within: list[str]) -> StrArray:
    """Return the kind (Q,) of each drawn constraint: country, region, circle or box."""
    kinds = [
        ("region" if "," in text else "country")
        if text[0].isalpha()
        else ("circle" if text.endswith("km") else "box")
        for text in within
    ]
    return np.array(kinds, dtype=object)


def measure_rows(
    validation: Validation, judged: Judged, rows: IndexArray, constant: Float64Array
) -> dict[str, Any]:
    """Measure some answers; see `measure_questions`."""
    answers = judged.answers.take(rows)
    truth = validation.held_out.latlon[answers.asked.first]
    weights = answers.weights / answers.weights.sum()
    claims = np.array([judged.claims[row] for row in rows], dtype=object)
    made, right = claims != "not sure", right_claims(claims, answers.km, answers.right_country)
    held = answers.km[:, None] <= judged.radii_km[rows]
    return {
        "photos": len(rows),
        "coverage": dict(zip(LEVELS, (weights @ held).tolist(), strict=True)),
        "claims_made": int(made.sum()),
        "claims_right": float(right[made].mean()) if made.any() else float("nan"),
        "geoscore": float(weights @ geoscore(answers.km)),
        "constant": float(weights @ geoscore(haversine_km(constant, truth))),
    }


def right_claims(claims: StrArray, km: Float64Array, country: BoolArray) -> BoolArray:
    """Return (Q,) whether each claim is right; False without a claim."""
    right = (claims == "country") & country
    for name, limit in CLAIM_KM.items():
        right |= (claims == name) & (km <= limit)
    return np.asarray(right, bool)
