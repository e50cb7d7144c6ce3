"""How bundles are made: straight lists of stages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoloc.bundle import directory as bundles
from geoloc.encoders.cache import EmbeddingCache, default_cache
from geoloc.encoders.pipeline import encode_all
from geoloc.errors import TableError
from geoloc.io.progress import NullReporter, Reporter
from training.calibrate.crossval import HeldOut, cross_validate, make_ranker
from training.data import manifest as photo_table
from training.data.manifest import Manifest
from training.data.split import assign_folds
from training.embed.encoders import load_encoder
from training.recipes.model_card import licences, measure, model_card
from training.recipes.world_prior import build_earth, read_world

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Learned:
    """What `learn` made and found."""

    bundle: Path
    manifest: Manifest
    held_out: HeldOut
    metrics: dict[str, Any]


def learn(
    photos: PathLike,
    out: PathLike,
    *,
    encoder: str = "starter",
    coordinates: Sequence[PathLike] = (),
    cache: PathLike | None = None,
    report: Reporter | None = None,
) -> Learned:
    """From geotagged photos to a working bundle.

    Args:
        photos: a folder of photos with EXIF GPS, or a CSV or Parquet table; see `manifest.read`.
        out: the bundle's folder; an older bundle there is replaced when the new one is whole.
        encoder: a bundle (name or path) whose image encoder to use, or the name of a model; see
            `training.embed.encoders.load_encoder`.
        coordinates: Parquet tables of photo coordinates of the world, for cells and prior.
        cache: folder of cached embeddings and encoders; by default the user's cache folder.
        report: who is told of progress.

    Raises:
        TableError: there are too few usable photos, or a table is unusable.
        BundleError: the encoder cannot be loaded, or the bundle cannot be written.
    """
    tell = report or NullReporter()
    target = Path(out)
    bundles.check_target(target)
    tell.stage("reading photos")
    manifest, problems = photo_table.read(photos)
    store = Path(cache) if cache else default_cache()
    encoded_by = load_encoder(encoder, store)

    tell.stage("embedding photos", len(manifest))
    network = encoded_by.network
    with EmbeddingCache(store, network.spec) as kept:
        encoded = encode_all(network, map(str, manifest.file), cache=kept, progress=tell.advance)
    manifest, embeddings = manifest.take(encoded.index), encoded.embeddings
    for line in [*problems, *map(str, encoded.errors)]:
        tell.problem(line)
    if len(manifest) < 2:
        raise TableError(
            f"{photos}: {len(manifest)} usable geotagged photos; learn needs at least 2,"
            " and some hundreds to be of use"
        )
    fold = assign_folds(manifest, embeddings)

    tell.stage("building geocells")
    world, left_out = read_world(coordinates)
    for line in left_out:
        tell.problem(line)
    cells, prior = build_earth(manifest.latlon, world)

    tell.stage("training and calibrating", int(fold.max()) + 3)
    calibration, held_out = cross_validate(
        manifest, embeddings, fold, cells, prior, lambda stage: tell.advance()
    )
    ranker = make_ranker(manifest, embeddings, cells, prior, calibration)
    tell.advance()

    tell.stage("writing the bundle")
    metrics = measure(manifest, held_out)
    with bundles.writing(target) as folder:
        shutil.copyfile(encoded_by.file, folder / "encoder.onnx")
        cells.write(folder / "cells.parquet")
        ranker.heads.write(folder / "heads.safetensors")
        ranker.gallery.write(folder)
        calibration.write(folder / "calibration.json")
        card = model_card(target.name, manifest, encoded_by.spec, len(cells), metrics)
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        bundles.seal(folder, target.name, encoded_by.spec, metrics, licences(manifest))
    return Learned(target, manifest, held_out, metrics)
