"""Cross-validation: models that never saw a photo, or its collection, answer it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from geocells.table import CellTable
from geoloc.answer.calibration import Calibration
from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background, collection_codes
from geoloc.io.atomic import atomic_file
from geoloc.types import BoolArray, Float32Array, Float64Array, IndexArray, StrArray
from training.calibrate.answers import Judged
from training.calibrate.fit import UNFITTED
from training.calibrate.heldout import HeldOut, single
from training.calibrate.parts import (
    HELD_OUT_PARTS,
    Part,
    foreign_photos,
    join,
    known_photos,
    photos_of_new_collections,
    place_names,
)
from training.calibrate.scoring import PARTS, answers_by_part
from training.calibrate.stages import FITTED_ON, JudgedQuestions, calibrate, judge_photos
from training.config import HeadConfig
from training.data.manifest import Manifest
from training.data.split import collection_folds, group_weights
from training.gallery.cluster import build_gallery

METHODS = (*PARTS, "full")
"""What answers each photo: single parts, see `answers_by_part`, and the pipeline."""


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


@dataclass(frozen=True, eq=False)
class Validation:
    """Everything that was measured with models that never saw the photos."""

    known: HeldOutAnswers
    """The answers to all N photos, by models that know other photos of their collections."""
    new: HeldOutAnswers | None
    """The answers to photos of collections that the model never saw; None if there are too few."""
    new_rows: IndexArray
    """(M,) the photos that `new` answers."""
    questions: JudgedQuestions
    """The answers to questions of every kind."""
    held_out: HeldOut
    """The photos that the questions are about."""


def make_ranker(
    manifest: Manifest,
    embeddings: Float32Array,
    cells: CellTable,
    prior: Float32Array,
    calibration: Calibration = UNFITTED,
    config: HeadConfig | None = None,
    *,
    prior_of_use: Float32Array | None = None,
    background: Background | None = None,
) -> Ranker:
    """Return a ranker whose heads and gallery are fitted on all given photos."""
    from training.heads.examples import Examples
    from training.heads.fit import fit_heads  # needs torch, which calibrating does not

    examples = Examples(embeddings, manifest.latlon, group_weights(manifest.group))
    heads, _ = fit_heads(examples, cells, prior, config, prior_of_use=prior_of_use)
    gallery = build_gallery(manifest, heads.features(embeddings), cells)
    return Ranker(cells, heads, gallery, calibration, background)


def cross_validate(
    manifest: Manifest,
    embeddings: Float32Array,
    fold: IndexArray,
    cells: CellTable,
    prior: Float32Array,
    progress: Callable[[str], None] = lambda stage: None,
    config: HeadConfig | None = None,
    *,
    prior_of_use: Float32Array | None = None,
    background: Background | None = None,
) -> tuple[Calibration, Validation]:
    """Answer every photo with models that never saw it, and calibrate on these answers.

    Every photo is answered by a model of the other folds. With MIN_COLLECTIONS collections or
    more, photos are also answered by a model that never saw their collection, and background
    photos by models that know none of them. The calibration that judges an answer is itself fitted
    on the other folds only. The calibration that is returned, for the bundle, is fitted on all.

    Args:
        manifest: N photos.
        embeddings: (N, D) of them.
        fold: (N,) from `assign_folds`.
        cells: C geocells.
        prior: (C,) the world's photo density over the cells.
        progress: called with the name of each stage.
        config: settings of the heads.
        prior_of_use: (C,) where the bundle will be used; see `fit_heads`.
        background: photos from all over the world.
    """

    def rankers_without(of_fold: IndexArray) -> list[Ranker]:
        rankers = []
        for number in range(int(of_fold.max()) + 1):
            progress(f"fold {number + 1}")
            rows = np.flatnonzero(of_fold != number)
            rankers.append(
                make_ranker(
                    manifest.take(rows), embeddings[rows], cells, prior, config=config,
                    prior_of_use=prior_of_use, background=background,
                )
            )  # fmt: skip
        return rankers

    by_collection = collection_folds(manifest.collection)
    rankers = rankers_without(fold)
    parts = [known_photos(manifest, embeddings, fold)]
    if by_collection is not None:
        first = len(rankers)
        rankers += rankers_without(by_collection)
        parts.append(photos_of_new_collections(manifest, embeddings, by_collection, first))
    folds = int(fold.max()) + 1
    foreign = None if background is None else foreign_photos(manifest, background, folds)
    if foreign is not None:
        parts.append(foreign)
    progress("calibration")
    held_out = join(rankers, parts, fold, by_collection)
    calibration, questions = calibrate(held_out)
    return calibration, _validation(held_out, questions, parts, by_collection is not None)


def count_stages(manifest: Manifest, fold: IndexArray) -> int:
    """Return how often `cross_validate` calls its progress, plus one for the final ranker."""
    by_collection = collection_folds(manifest.collection)
    return int(fold.max()) + 3 + (0 if by_collection is None else int(by_collection.max()) + 1)


def _validation(
    held_out: HeldOut, questions: JudgedQuestions, parts: list[Part], has_new: bool
) -> Validation:
    known = len(parts[0].row)
    new_rows = parts[1].row if has_new else np.zeros(0, np.intp)
    return Validation(
        answers_of(held_out, questions.photo, np.arange(known)),
        answers_of(held_out, questions.photo, known + np.arange(len(new_rows)))
        if has_new
        else None,
        new_rows,
        questions,
        held_out,
    )


def answers_of(held_out: HeldOut, judged: Judged, rows: IndexArray) -> HeldOutAnswers:
    """Return the answers to some photos, by every method."""
    by_part, nearest_km = answers_by_part(held_out.take(rows))
    return HeldOutAnswers(
        {**by_part, "full": judged.answers.point[rows]},
        judged.radii_km[rows],
        judged.in_region[rows],
        np.array(judged.claims, dtype=object)[rows],
        judged.chance[rows],
        nearest_km,
    )


def held_out_by(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> HeldOut:
    """Return N photos that a ranker never saw."""
    return single(
        ranker,
        embeddings,
        manifest.latlon,
        group_weights(manifest.group),
        collection_codes(manifest.collection),
        place_names(manifest.latlon),
    )


def calibrate_ranker(
    ranker: Ranker, manifest: Manifest, embeddings: Float32Array, part: IndexArray | None = None
) -> Calibration:
    """Calibrate a ranker on N photos it never saw, set its calibration, and return it.

    What is answered is fitted on the first part, radii and claims on the others. With fewer than
    FITTED_ON photos in the first, they are fitted on the answers to each part by the other parts.

    Args:
        ranker: the ranker.
        manifest: the photos.
        embeddings: (N, D).
        part: (N,) from `held_out_parts`, -1 for none; None for photos without links.
    """
    if part is None:
        part = np.arange(len(manifest)) % HELD_OUT_PARTS
    if np.count_nonzero(part == 0) >= FITTED_ON:
        held_out = held_out_by(ranker, manifest, embeddings)
        rows = np.flatnonzero(part == 0), np.flatnonzero(part > 0)
        ranker.calibration, _ = calibrate(*(held_out.take(some) for some in rows))
        return ranker.calibration
    used = np.flatnonzero(part >= 0)
    fold = np.unique(part[used], return_inverse=True)[1]
    copies = [copy.copy(ranker) for _ in range(int(fold.max()) + 1)]
    held_out = in_folds(copies, fold, manifest.take(used), embeddings[used])
    ranker.calibration, _ = calibrate(held_out)
    return ranker.calibration


def in_folds(
    rankers: list[Ranker], fold: IndexArray, manifest: Manifest, embeddings: Float32Array
) -> HeldOut:
    """Return N photos that none of the rankers saw, each answered by the ranker of its fold."""
    return replace(
        held_out_by(rankers[0], manifest, embeddings),
        rankers=rankers,
        ranker=fold,
        apart=fold != np.arange(len(rankers))[:, None],
    )


def calibrate_folds(
    rankers: list[Ranker], fold: IndexArray, manifest: Manifest, embeddings: Float32Array
) -> tuple[Calibration, HeldOutAnswers]:
    """Calibrate rankers on N photos they never saw, fold by fold.

    Args:
        rankers: one for each fold.
        fold: (N,) the ranker that answers each photo; it is judged by the other folds.
        manifest: the photos.
        embeddings: (N, D).

    Returns:
        The calibration fitted on all photos, and the answers.
    """
    held_out = in_folds(rankers, fold, manifest, embeddings)
    calibration, questions = calibrate(held_out)
    return calibration, answers_of(held_out, questions.photo, np.arange(len(held_out)))


def answer_held_out(ranker: Ranker, manifest: Manifest, embeddings: Float32Array) -> HeldOutAnswers:
    """Return the answers of a calibrated ranker to N photos it never saw, by every method."""
    held_out = held_out_by(ranker, manifest, embeddings)
    judged = judge_photos(held_out)
    return answers_of(held_out, judged, np.arange(len(held_out)))


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
