"""The fitting order of a calibration: scales, gate, re-ranker, then regions, radii and claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geocells.sphere import haversine_km
from geoloc.answer.calibration import CLAIM_KM, CLAIMS, LEVELS, Calibration
from geoloc.metrics import same_country
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.calibrate.fit import (
    SHARPNESSES,
    TEMPERATURES,
    UNFITTED,
    fit_claim,
    fit_gate,
    fit_radius,
    fit_region,
    most_likely,
)
from training.calibrate.rerank import MAX_PHOTOS, fit_reranker
from training.calibrate.scoring import (
    Answers,
    CandidateTable,
    FoldRankers,
    candidate_table,
    likelihood_by_scale,
    likelihood_by_source,
)

FITTED_ON = 12_000
"""Photos that the answers are calibrated on, at most."""


def fit_answers(folds: FoldRankers, weights: Float32Array) -> Calibration:
    """Fit what the answers depend on: temperature, sharpness, gate and re-ranker.

    Each ranker is given the calibration fitted on the photos of the other folds; a single ranker
    is given that of all photos.

    Args:
        folds: N photos and their rankers.
        weights: (N,) photo weights.

    Returns:
        The calibration fitted on all photos.
    """
    chosen = np.arange(len(folds.fold))
    if len(chosen) > FITTED_ON:
        chosen = np.sort(np.random.default_rng(0).choice(len(chosen), FITTED_ON, replace=False))
    photos, weight = folds.take(chosen), weights[chosen]
    everything = np.arange(len(chosen))
    others = [np.flatnonzero(photos.fold != number) for number in range(len(folds.rankers))]
    if len(folds.rankers) == 1:
        others = [everything]

    classifier, votes = likelihood_by_scale(photos)

    def with_scales(rows: IndexArray) -> Calibration:
        return replace(
            UNFITTED,
            temperature=most_likely(classifier[rows], TEMPERATURES, weight[rows]),
            sharpness=most_likely(votes[rows], SHARPNESSES, weight[rows]),
        )

    for ranker, rows in zip(folds.rankers, others, strict=True):
        ranker.calibration = with_scales(rows)
    signal, near = likelihood_by_source(photos)

    def with_gate(rows: IndexArray) -> Calibration:
        return replace(with_scales(rows), gate=fit_gate(signal[rows], near[rows], weight[rows]))

    for ranker, rows in zip(folds.rankers, others, strict=True):
        ranker.calibration = with_gate(rows)
    table = candidate_table(photos)
    for ranker, rows in zip(folds.rankers, others, strict=True):
        ranker.calibration = _with_reranker(ranker.calibration, table, weight, rows)
    return _with_reranker(with_gate(everything), table, weight, everything)


def _with_reranker(
    calibration: Calibration, table: CandidateTable, weights: Float32Array, rows: IndexArray
) -> Calibration:
    """Return the calibration with a re-ranker fitted on some photos."""
    if len(rows) > MAX_PHOTOS:
        rows = np.sort(np.random.default_rng(1).choice(rows, MAX_PHOTOS, replace=False))
    part = table.take(rows)
    reranker = fit_reranker(part.features, part.gating, part.valid, part.utility, weights[rows])
    return replace(calibration, reranker=reranker)


class UncertaintyFit:
    """Fits credible regions, radii and claims on the answers to some of N photos."""

    def __init__(self, answers: Answers, truth: Float64Array, weights: Float32Array) -> None:
        """Prepare to fit on N answers, their true places (N, 2) and photo weights (N,)."""
        answer = answers.by_method["full"]
        self._answers, self._weights = answers, weights
        self._distance = haversine_km(answer, truth)
        self._right = {name: self._distance <= km for name, km in CLAIM_KM.items()}
        self._right["country"] = same_country(answer, truth)

    def fit(self, start: Calibration, rows: IndexArray) -> Calibration:
        """Return `start` with regions, radii and claims fitted on some photos."""
        evidence, distance = self._answers.evidence[rows], self._distance[rows]
        return replace(
            start,
            region=fit_region(self._answers.mass_before[rows]),
            radius={name: fit_radius(evidence, distance, int(name) / 100) for name in LEVELS},
            claims={
                name: fit_claim(evidence, self._right[name][rows], self._weights[rows])
                for name in CLAIMS
            },
        )
