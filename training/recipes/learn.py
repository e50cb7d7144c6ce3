"""The recipe `learn`: geotagged photos and a frozen encoder to a bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoloc.bundle import directory as bundles
from geoloc.encoders.base import ImageEncoder
from geoloc.encoders.cache import EmbeddingCache, default_cache
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import TableError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.types import Float32Array
from training.calibrate.crossval import HeldOutAnswers, cross_validate, make_ranker
from training.data import manifest as photo_table
from training.data.manifest import Manifest
from training.data.split import assign_folds
from training.embed.encoders import load_encoder
from training.recipes.assemble import write_bundle
from training.recipes.model_card import licences, measure, model_card
from training.recipes.world_prior import cells_and_prior, read_world

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class LearnedBundle:
    """The bundle that `learn` wrote, and its held-out results."""

    bundle: Path
    manifest: Manifest
    held_out: HeldOutAnswers
    metrics: dict[str, Any]


def learn(
    photos: PathLike,
    out: PathLike,
    *,
    encoder: str = "starter",
    coordinates: Sequence[PathLike] = (),
    cache: PathLike | None = None,
    report: Reporter | None = None,
) -> LearnedBundle:
    """Make a bundle from geotagged photos.

    Args:
        photos: a folder of photos with EXIF GPS, or a CSV or Parquet table; see `manifest.read`.
        out: the bundle's folder; an older bundle there is replaced once the new one is complete.
        encoder: a bundle (name or path) whose image encoder to use, or the name of a model; see
            `training.embed.encoders.load_encoder`.
        coordinates: Parquet tables of photo coordinates worldwide, for the geocells and the prior.
        cache: folder of cached embeddings and encoders; by default the user's cache folder.
        report: receives the progress.

    Raises:
        TableError: there are too few usable photos, or a table is unusable.
        BundleError: the encoder cannot be loaded, or the bundle cannot be written.
    """
    report = report or NullReporter()
    target = Path(out)
    bundles.check_target(target)
    report.stage("reading photos")
    manifest, problems = photo_table.read(photos)
    store = Path(cache) if cache else default_cache()
    loaded = load_encoder(encoder, store)

    report.stage("embedding photos", len(manifest))
    manifest, embeddings, unreadable = _embed(manifest, loaded.network, store, report)
    for line in [*problems, *unreadable]:
        report.problem(line)
    if len(manifest) < 2:
        raise TableError(
            f"{photos}: {len(manifest)} usable geotagged photos; learn needs at least 2,"
            " and some hundreds to be of use"
        )
    fold = assign_folds(manifest, embeddings)

    report.stage("building geocells")
    world, problems = read_world(coordinates)
    for line in problems:
        report.problem(line)
    cells, prior = cells_and_prior(manifest.latlon, world)

    report.stage("training and calibrating", int(fold.max()) + 3)
    calibration, held_out = cross_validate(
        manifest, embeddings, fold, cells, prior, lambda stage: report.advance()
    )
    ranker = make_ranker(manifest, embeddings, cells, prior, calibration)
    report.advance()

    report.stage("writing the bundle")
    metrics = measure(manifest, held_out)
    card = model_card(target.name, manifest, loaded.spec, len(cells), metrics)
    write_bundle(
        target, {"encoder.onnx": loaded.file}, loaded.spec, ranker, metrics, card,
        licences(manifest),
    )  # fmt: skip
    return LearnedBundle(target, manifest, held_out, metrics)


def _embed(
    manifest: Manifest, network: ImageEncoder, store: Path, report: Reporter
) -> tuple[Manifest, Float32Array, list[str]]:
    """Return the readable photos, their embeddings (N, D), and a line for each unreadable photo."""
    with EmbeddingCache(store, network.spec) as cache:
        encoded = encode_all(network, map(str, manifest.file), cache=cache, progress=report.advance)
    return manifest.take(encoded.index), encoded.embeddings, [*map(str, encoded.errors)]
