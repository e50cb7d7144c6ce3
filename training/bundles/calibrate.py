"""Calibrate a bundle of others on geotagged photos: radii from 200 photos on, claims from 1,000."""

from __future__ import annotations

import copy
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.answer.calibration import Calibration
from geoloc.answer.judge import NEVER, Claim, Judge
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.bundle.change import Change, alone, changing, target_of
from geoloc.encoders.cache import default_cache
from geoloc.errors import TableError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.photos.tables import row_problem
from training.calibrate.crossval import calibrate_folds
from training.calibrate.fit import UNFITTED
from training.data.manifest import Manifest
from training.data.split import assign_folds
from training.embed.library import Library, read_library
from training.recipes.model_card import measure_part, part_lines

FOR_RADII, FOR_CLAIMS = 200, 1_000
"""Photos from which radii are calibrated, and from which claims are made."""

CALIBRATED_ON = "calibrated on"
"""Key of bundle.json: number of photos by collection."""

RESULTS = "calibration photos"
"""Key of the metrics of bundle.json: results on the photos of the calibration, held out in turn."""

HEADING = "## Calibrated on photos of its user"

PROTOCOL = (
    "Radii, claims and source weights were fitted on photos that the bundle never saw, with"
    " `geoloc bundle calibrate`. Each photo was judged by a calibration that did not use its group."
    " Expect these results for photos like those, not for others."
)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibrated bundle, the photos by collection, and what was measured."""

    bundle: Path
    collections: dict[str, int]
    metrics: dict[str, Any]
    claims: bool


def calibrate_bundle(
    name: str | os.PathLike[str],
    photos: str | os.PathLike[str],
    *,
    out: Path | None = None,
    cache: Path | None = None,
    report: Reporter | None = None,
) -> Calibrated:
    """Fit the calibration of a bundle on geotagged photos that it does not know.

    Args:
        name: of the bundle, or its path.
        photos: a folder of photos with GPS or a table; see `training.data.manifest.read`.
        out: the bundle to write; by default the bundle is replaced.
        cache: folder of cached embeddings; by default the user's cache folder.
        report: receives the progress.

    Raises:
        TableError: there are too few usable photos.
        BundleError: the bundle cannot be read or written.
    """
    report = report or NullReporter()
    path = bundles.find(name)
    target = target_of(path, out)
    with alone(target):
        bundle = bundles.load(path)
        library = read_library([photos], bundle.build_encoder(), cache or default_cache(), report)
        library = without_known(bundle, library, os.fspath(photos), report)
        manifest = library.manifest
        if len(manifest) < FOR_RADII:
            raise TableError(
                f"{photos}: {len(manifest)} photos can be used; {FOR_RADII} calibrate the radii of"
                f" a bundle, and {FOR_CLAIMS:,} its claims"
            )
        report.stage("calibrating")
        calibration, metrics = fit_calibration(bundle.ranker, manifest, library.embeddings)
        collections = dict(Counter(map(str, manifest.collection)).most_common())
        calibrated = Calibrated(target, collections, metrics, len(manifest) >= FOR_CLAIMS)
        report.stage("writing the bundle")
        with changing(path, target) as change:
            _write(change, calibration, calibrated)
    return calibrated


def fit_calibration(
    ranker: Ranker, manifest: Manifest, embeddings: np.ndarray
) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration of a ranker on N photos it never saw, and the results by fold.

    What recognises copies and frames stays as it is. Fewer than FOR_CLAIMS photos give no claims.

    Args:
        ranker: of a bundle.
        manifest: the photos.
        embeddings: (N, D).
    """
    fold = assign_folds(manifest, embeddings)
    old = ranker.calibration
    start = replace(UNFITTED, refinement=old.refinement)
    rankers = [copy.copy(ranker) for _ in range(int(fold.max()) + 1)]
    for each in rankers:
        each.calibration = start
    calibration, held_out = calibrate_folds(rankers, fold, manifest, embeddings)
    calibration = replace(calibration, copy_chance=old.copy_chance, frames=old.frames)
    if len(manifest) < FOR_CLAIMS:
        calibration = without_claims(calibration)
        held_out.confidence[:] = "not sure"
    return calibration, measure_part(manifest, held_out, np.arange(len(manifest)))


def without_known(
    bundle: bundles.Bundle, library: Library, place: str, report: Reporter
) -> Library:
    """Leave out photos that are copies of a bundle's own, which it would place too well."""
    if bundle.copies is None:
        return library
    ranker = bundle.ranker
    features = ranker.heads.features(library.embeddings)
    known = bundle.copies.find(features, list(library.signatures), ranker.gallery) >= 0
    if not known.any():
        return library
    text = "are in the bundle already"
    report.note(row_problem(place, library.manifest.file, known, text, "photos"))
    return library.take(np.flatnonzero(~known))


def without_claims(calibration: Calibration) -> Calibration:
    """Return the calibration with no claims, for a model that was not tested on enough photos."""

    def silenced(judge: Judge) -> Judge:
        claims = {name: Claim(claim.weights, NEVER) for name, claim in judge.claims.items()}
        return replace(judge, claims=claims)

    judges = {question: silenced(judge) for question, judge in calibration.judges.items()}
    return replace(calibration, judges=judges)


def _write(change: Change, calibration: Calibration, calibrated: Calibrated) -> None:
    """Write calibration, results and model card of a calibrated bundle."""
    old = (change.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    calibration.write(change.file("calibration.json"))
    change.manifest[CALIBRATED_ON] = calibrated.collections
    change.manifest["metrics"] = {**change.manifest["metrics"], RESULTS: calibrated.metrics}
    card = [old.partition(f"\n{HEADING}\n")[0].rstrip(), "", HEADING, "", PROTOCOL, ""]
    card += [*collection_lines(calibrated.collections), "", *part_lines(calibrated.metrics)]
    change.file("MODEL_CARD.md").write_text("\n".join(card) + "\n", encoding="utf-8")


def collection_lines(collections: dict[str, int], most: int = 20) -> list[str]:
    """Return the collections of a calibration, the largest first, as lines of Markdown."""
    lines = [f"- {name or 'not named'}: {count:,} photos" for name, count in collections.items()]
    if len(lines) <= most:
        return lines
    return [*lines[:most], f"- and {len(lines) - most:,} more collections"]
