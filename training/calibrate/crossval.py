"""Cross-validation: answers to held-out photos, and the calibration fitted on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.table import CellTable
from geoloc.answer.calibration import LEVELS, Calibration
from geoloc.answer.ranker import Ranker
from geoloc.io.atomic import atomic_file
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.calibrate.fit import UNFITTED
from training.calibrate.scoring import Answers, FoldRankers, answer
from training.calibrate.stages import UncertaintyFit, fit_answers
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.data.split import group_weights
from training.gallery.cluster import build_gallery
from training.heads.examples import Examples
from training.heads.fit import fit_heads

METHODS = ("prior", "classifier", "nearest photo", "cell", "full")
"""The methods that answer each photo: the best cell under the prior, the classifier's best cell,
the most similar photo, the cell with the highest posterior, and the full pipeline. Cells answer
with their centroid."""


@dataclass(frozen=True, eq=False)
class HeldOutAnswers:
    """The answers to N photos by models that never saw their groups."""

    answers: dict[str, Float64Array]
    """(N, 2) degrees by method; see METHODS."""
    radii_km: Float32Array
    """(N, len(LEVELS)), calibrated on other photos."""
    in_region: BoolArray
    """(N, len(LEVELS)) whether the credible cells, calibrated on other photos, held the truth."""
    confidence: StrArray
    """(N,) claims, calibrated on other photos."""
    localisability: Float32Array
    """(N,) probability of an error below 200 km, calibrated on other photos."""
    nearest_km: Float64Array
    """(N,) distance to the nearest training photo."""

    @classmethod
    def unjudged(cls, answers: Answers) -> HeldOutAnswers:
        """Return answers whose radii, regions and claims are still to be filled in."""
        count = len(answers.nearest_km)
        return cls(
            answers.by_method,
            np.empty((count, len(LEVELS)), np.float32),
            np.empty((count, len(LEVELS)), bool),
            np.empty(count, dtype=object),
            np.empty(count, np.float32),
            answers.nearest_km,
        )

    def judge(self, answers: Answers, rows: IndexArray, calibration: Calibration) -> None:
        """Fill in radii, regions and claims of some answers under a calibration."""
        evidence = answers.evidence[rows]
        self.radii_km[rows], self.confidence[rows] = calibration.judge(evidence)
        self.localisability[rows] = calibration.localisability(evidence)
        limits = np.array([calibration.region[name] for name in LEVELS])
        self.in_region[rows] = answers.mass_before[rows, None] <= limits


def make_ranker(
    manifest: Manifest,
    embeddings: Float32Array,
    cells: CellTable,
    prior: Float32Array,
    calibration: Calibration = UNFITTED,
    config: HeadConfig | None = None,
) -> Ranker:
    """Return a ranker whose heads and gallery are fitted on all given photos."""
    weights = group_weights(manifest.group)
    heads, _ = fit_heads(Examples(embeddings, manifest.latlon, weights), cells, prior, config)
    gallery = build_gallery(manifest, heads.features(embeddings), cells)
    return Ranker(cells, heads, gallery, calibration)


def cross_validate(
    manifest: Manifest,
    embeddings: Float32Array,
    fold: IndexArray,
    cells: CellTable,
    prior: Float32Array,
    progress: Callable[[str], None] = lambda stage: None,
    config: HeadConfig | None = None,
) -> tuple[Calibration, HeldOutAnswers]:
    """Answer every photo with a model of the other folds, and calibrate on these answers.

    The calibration that judges a photo is itself fitted on the other folds only. The calibration
    that is returned, for the bundle, is fitted on all photos.

    Args:
        manifest: N photos.
        embeddings: (N, D) of them.
        fold: (N,) from `assign_folds`.
        cells: C geocells.
        prior: (C,) prior over the cells.
        progress: called with the name of each stage.
        config: settings of the heads.
    """
    rankers = []
    for number in np.unique(fold):
        progress(f"fold {number + 1}")
        rows = np.flatnonzero(fold != number)
        rankers.append(
            make_ranker(manifest.take(rows), embeddings[rows], cells, prior, config=config)
        )
    progress("calibration")
    folds = FoldRankers(rankers, fold, embeddings, manifest.latlon)
    return calibrate_folds(folds, group_weights(manifest.group))


def calibrate_folds(
    folds: FoldRankers, weights: Float32Array
) -> tuple[Calibration, HeldOutAnswers]:
    """Calibrate rankers on photos they never saw, fold by fold; see `cross_validate`.

    Args:
        folds: N photos, and a ranker for each fold.
        weights: (N,) photo weights.
    """
    fold = folds.fold
    calibration = fit_answers(folds, weights)
    answers = answer(folds, METHODS)
    uncertainty = UncertaintyFit(answers, folds.latlon, weights)
    held_out = HeldOutAnswers.unjudged(answers)
    for number in np.unique(fold):
        fitted = uncertainty.fit(UNFITTED, np.flatnonzero(fold != number))
        held_out.judge(answers, np.flatnonzero(fold == number), fitted)
    return uncertainty.fit(calibration, np.arange(len(fold))), held_out


def calibrate_ranker(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> Calibration:
    """Calibrate a ranker on N photos it never saw, set its calibration, and return it."""
    weights = group_weights(manifest.group)
    folds = _single_fold(ranker, manifest, embeddings)
    refinement = ranker.calibration.refinement
    ranker.calibration = replace(fit_answers(folds, weights), refinement=refinement)
    uncertainty = UncertaintyFit(answer(folds, METHODS), manifest.latlon, weights)
    ranker.calibration = uncertainty.fit(ranker.calibration, np.arange(len(manifest)))
    return ranker.calibration


def answer_held_out(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> HeldOutAnswers:
    """Return the answers of a calibrated ranker to N photos it never saw, by every method."""
    answers = answer(_single_fold(ranker, manifest, embeddings), METHODS)
    held_out = HeldOutAnswers.unjudged(answers)
    held_out.judge(answers, np.arange(len(manifest)), ranker.calibration)
    return held_out


def _single_fold(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> FoldRankers:
    return FoldRankers([ranker], np.zeros(len(manifest), np.intp), embeddings, manifest.latlon)


def write_answers(manifest: Manifest, held_out: HeldOutAnswers, base: Path, path: Path) -> Path:
    """Write held-out answers as a table for `geoloc play` and `geoloc evaluate`.

    Args:
        manifest: N photos.
        held_out: their answers.
        base: folder that the file names in the table are relative to.
        path: the CSV file to write, atomically, with the columns file, player (the method), lat,
            lon.

    Raises:
        OSError: the file cannot be written.
    """
    files = [Path(os.path.relpath(file, base)).as_posix() for file in manifest.file]
    methods = list(held_out.answers)
    points = np.concatenate([held_out.answers[method] for method in methods])
    table = pa.table(
        {
            "file": files * len(methods),
            "player": np.repeat(methods, len(files)).tolist(),
            "lat": points[:, 0].round(6),
            "lon": points[:, 1].round(6),
        }
    )
    with atomic_file(path) as out:
        csv.write_csv(table, out)
    return out.path
