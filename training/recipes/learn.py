"""The recipe `learn`: geotagged photos and a frozen encoder to a bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geocells.sphere import haversine_km
from geocells.table import CellTable
from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background
from geoloc.bundle import directory as bundles
from geoloc.encoders.base import Preprocessing
from geoloc.encoders.cache import default_cache
from geoloc.errors import TableError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.io.thumbnails import FILE as THUMBNAILS
from geoloc.photos import decode
from geoloc.photos.decode import Photo
from geoloc.retrieval.copies import Copies
from geoloc.trips.model.parameters import FILE as TRIPS
from geoloc.types import Float32Array, Float64Array, IndexArray
from training.calibrate.crossval import (
    Validation,
    count_stages,
    cross_validate,
    make_ranker,
)
from training.calibrate.journeys.fit import fit_learned_trips
from training.calibrate.recognition.copies import fit_copies
from training.calibrate.recognition.frames import fit_frames
from training.data.manifest import Manifest
from training.data.split import assign_folds
from training.embed.encoders import LoadedEncoder, load_encoder
from training.embed.forms import HeldOutPhotos, with_int8
from training.embed.library import Library, read_library
from training.gallery.thumbnails import make_thumbnails
from training.recipes.background import choose_background, shipped_background
from training.recipes.bundle_files import write_bundle
from training.recipes.honesty import best_constant, measure_questions
from training.recipes.learned_card import Facts, learned_card
from training.recipes.model_card import (
    NEW_COLLECTIONS,
    QUESTIONS,
    licences,
    measure,
    measure_part,
)
from training.recipes.world_prior import PriorName, Priors, cells_of, priors_over, read_world

PathLike = str | os.PathLike[str]

MIN_PHOTOS, MIN_PLACES, PLACE_KM = 20, 3, 1.0
"""Fewer photos, or photos of fewer places that are this far apart, are refused without `force`."""

FEW_PHOTOS = 200
"""With fewer photos radii and claims rest on a handful of held-out photos."""


@dataclass(frozen=True, eq=False)
class LearnedBundle:
    """The bundle that `learn` wrote, and its held-out results."""

    bundle: Path
    manifest: Manifest
    validation: Validation
    metrics: dict[str, Any]
    facts: Facts


def learn(
    photos: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    encoder: str = "starter",
    coordinates: Sequence[PathLike] = (),
    background: Sequence[PathLike] = (),
    prior: PriorName | None = None,
    force: bool = False,
    thumbnails: float = 0.0,
    cache: PathLike | None = None,
    report: Reporter | None = None,
) -> LearnedBundle:
    """Make a bundle from geotagged photos.

    Args:
        photos: folders of photos with EXIF GPS, or CSV or Parquet tables; see `manifest.read`.
        out: the bundle's folder; an older bundle there is replaced once the new one is complete.
        encoder: a bundle (name or path) whose image encoder to use, or the name of a model; see
            `training.embed.encoders.load_encoder`.
        coordinates: tables of photo coordinates worldwide, for the geocells and the prior; by
            default those of the starter bundle.
        background: folders or tables of photos from all over the world, to tell the photos of other
            places by; by default those of the starter bundle, if it has the same encoder.
        prior: whether the bundle will be asked about photos like these or about the world; by
            default what the spread of the photos suggests.
        force: learn from fewer photos than MIN_PHOTOS, and of fewer places than MIN_PLACES.
        thumbnails: megabytes of small pictures of openly licensed photos in the bundle.
        cache: folder of cached embeddings and encoders; by default the user's cache folder.
        report: receives the progress.

    Raises:
        TableError: there are too few usable photos, or a table is unusable.
        BundleError: the encoder cannot be loaded, or the bundle cannot be written.
    """
    report = report or NullReporter()
    sources = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
    target = Path(out)
    bundles.check_target(target)
    store = Path(cache) if cache else default_cache()
    loaded = load_encoder(encoder, store)
    library = read_library(sources, loaded.network, store, report)
    manifest, embeddings = library.manifest, library.embeddings
    check_size(sources, manifest, force, report)
    elsewhere = _background(background, loaded, store, report)

    report.stage("building geocells")
    world = _world(coordinates, report)
    cells = cells_of(manifest.latlon, world)
    priors = priors_over(cells, manifest.latlon, world, prior)

    fold = assign_folds(manifest, embeddings)
    ranker, validation = _train(manifest, embeddings, fold, cells, priors, elsewhere, report)

    report.stage("quantising the encoder")
    loaded = with_int8(loaded, _held_out(manifest, fold, validation), store, report.note)

    report.stage("writing the bundle")
    copies = fit_recognition(library, fold, ranker, validation, loaded.spec.preprocessing)
    metrics = _measure(manifest, validation, best_constant(cells, priors.world))
    facts = Facts.of(target.name, manifest, loaded.spec, len(cells), priors.name, elsewhere)
    write_bundle(
        target, loaded.files, loaded.spec, ranker, metrics,
        learned_card(facts, metrics), licences(manifest), priors.name,
        {
            bundles.BACKGROUND: elsewhere,
            bundles.COPIES: copies,
            TRIPS: fit_learned_trips(manifest, embeddings, validation.held_out),
            THUMBNAILS: make_thumbnails(manifest, thumbnails, report=report),
        },
    )  # fmt: skip
    return LearnedBundle(target, manifest, validation, metrics, facts)


def _world(coordinates: Sequence[PathLike], report: Reporter) -> Float64Array:
    """Return (N, 2) coordinates worldwide, and report rows that are left out."""
    world, problems = read_world(coordinates)
    for line in problems:
        report.problem(line)
    return world


def _train(
    manifest: Manifest,
    embeddings: Float32Array,
    fold: IndexArray,
    cells: CellTable,
    priors: Priors,
    background: Background | None,
    report: Reporter,
) -> tuple[Ranker, Validation]:
    """Return a calibrated ranker for all photos, and the results of its cross-validation."""
    report.stage("training and calibrating", count_stages(manifest, fold))
    calibration, validation = cross_validate(
        manifest,
        embeddings,
        fold,
        cells,
        priors.world,
        lambda stage: report.advance(),
        prior_of_use=priors.use,
        background=background,
    )
    ranker = make_ranker(
        manifest,
        embeddings,
        cells,
        priors.world,
        calibration,
        prior_of_use=priors.use,
        background=background,
    )
    report.advance()
    return ranker, validation


def _held_out(manifest: Manifest, fold: IndexArray, validation: Validation) -> HeldOutPhotos:
    """Return the photos with the rankers of the other folds."""
    rankers = validation.held_out.rankers

    def answer(rows: IndexArray, embeddings: Float32Array) -> Float64Array:
        points = np.empty((len(rows), 2))
        for number in set(fold[rows].tolist()):
            own = fold[rows] == number
            points[own] = rankers[number].rank(embeddings[own]).answer
        return points

    def load(row: int, min_side: int | None) -> Photo:
        return decode.load(str(manifest.file[row]), min_side=min_side)

    return HeldOutPhotos(manifest.latlon, load, answer)


def fit_recognition(
    library: Library,
    fold: IndexArray,
    ranker: Ranker,
    validation: Validation,
    preprocessing: Preprocessing,
) -> Copies:
    """Return the recognition of copies, and calibrate the ranker for copies and frames."""
    manifest, signatures, embeddings = library.manifest, library.signatures, library.embeddings
    copies, chance = fit_copies(manifest, signatures, embeddings, ranker, preprocessing)
    rankers = validation.held_out.rankers[: int(fold.max()) + 1]
    frames = fit_frames(manifest, signatures, embeddings, rankers, fold, copies)
    ranker.calibration = replace(ranker.calibration, copy_chance=chance, frames=frames)
    return copies


def _measure(manifest: Manifest, validation: Validation, constant: Float64Array) -> dict[str, Any]:
    """Return the results in collections that the models know, and in those they do not."""
    metrics = measure(manifest, validation.known)
    if validation.new is not None:
        rows = validation.new_rows
        metrics[NEW_COLLECTIONS] = measure_part(
            manifest.take(rows), validation.new, np.arange(len(rows))
        )
        metrics[QUESTIONS] = measure_questions(validation, constant)
    return metrics


def check_size(
    sources: Sequence[PathLike], manifest: Manifest, force: bool, report: Reporter
) -> None:
    """Refuse libraries that are too small, unless `force` is set; report small ones."""
    count, places = len(manifest), count_places(manifest.latlon, MIN_PLACES)
    if count < 2 or ((count < MIN_PHOTOS or places < MIN_PLACES) and not force):
        named = ", ".join(str(os.fspath(each)) for each in sources)
        raise TableError(
            f"{named}: {count} usable geotagged photos of {places}"
            f" places; learn needs at least {MIN_PHOTOS} photos of {MIN_PLACES} places more than"
            f" {PLACE_KM:g} km apart, and some hundreds to be of use; --force learns from fewer"
        )
    if count < FEW_PHOTOS:
        report.note(
            f"{count} photos are few: radii and claims rest on a handful of held-out photos;"
            f" {FEW_PHOTOS} or more make them reliable"
        )


def count_places(latlon: Float64Array, most: int) -> int:
    """Return how many of the coordinates (N, 2) lie PLACE_KM apart, counting to `most`."""
    places = 0
    while len(latlon) and places < most:
        places += 1
        latlon = latlon[haversine_km(latlon[0], latlon) > PLACE_KM]
    return places


def _background(
    photos: Sequence[PathLike], loaded: LoadedEncoder, store: Path, report: Reporter
) -> Background | None:
    """Return the background made of `photos`, or without any that of the starter bundle."""
    if photos:
        library = read_library(photos, loaded.network, store, report)
        return choose_background(library.manifest, library.embeddings)
    found, reason = shipped_background(loaded.spec)
    if reason:
        report.note(reason)
    return found
