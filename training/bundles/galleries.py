"""Packs of a region: galleries of many embedded photos that are added to a bundle and removed."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background
from geoloc.bundle import directory as bundles
from geoloc.bundle import packs
from geoloc.bundle.change import alone, changing, target_of
from geoloc.bundle.trust import check_files
from geoloc.errors import BundleError, TableError
from geoloc.io.atomic import atomic_directory
from geoloc.io.digests import sha256
from geoloc.io.progress import NullReporter, Reporter
from geoloc.types import BoolArray, Float32Array, Float64Array
from training.bundles.embeddings import read_embeddings
from training.bundles.joining import fit_joining
from training.calibrate.crossval import in_folds
from training.calibrate.fit import UNFITTED
from training.calibrate.heldout import HeldOut
from training.calibrate.parts import place_names
from training.calibrate.stages import calibrate
from training.data.manifest import Manifest
from training.data.split import balanced, blocks
from training.gallery.large import build_large_gallery
from training.recipes.model_card import licences

FEWEST = 1_000
"""Photos of a pack, at least."""

HELD_OUT, HELD_OUT_SHARE = 1_500, 0.1
"""Photos that the pack is calibrated on and does not have: so many, but at most this share."""

SQUARE_KM, FOLDS = 5.0, 3
"""Photos of one square are held out together."""

LABEL = "pack.json"
"""File of a folder with a pack: what it belongs to, and the checksums of its other files."""

_BELONGS = ("heads.safetensors", "cells.parquet")
"""Files of a bundle that a pack belongs to."""


@dataclass(frozen=True, eq=False)
class GalleryPack:
    """The pack that `build_gallery_pack` wrote, and what was measured."""

    folder: Path
    photos: int
    clusters: int
    measured: dict[str, Any]


def build_gallery_pack(
    base: str | Path, sources: Sequence[Path], out: Path, report: Reporter | None = None
) -> GalleryPack:
    """Build a pack for a bundle of photos that its encoder has embedded, in bounded memory.

    Args:
        base: name of the bundle, or its path.
        sources: see `read_embeddings`.
        out: the folder to write; the pack has its name.
        report: receives the progress.

    Raises:
        TableError: the photos are too few, or of another encoder.
        BundleError: the bundle cannot be read, or the pack cannot be written.
    """
    report = report or NullReporter()
    own = packs.prefix(out.name)
    if out.exists() and not is_pack(out):
        raise BundleError(f"{out}: exists and is not a pack; choose another name for -o")
    path = bundles.find(base)
    bundle = bundles.load(path)
    report.stage("reading coordinates")
    given = read_embeddings(sources, bundle.encoder_spec.dim, report)
    if len(given.manifest) < FEWEST:
        raise TableError(
            f"{sources[0]}: {len(given.manifest):,} usable photos; a pack takes {FEWEST:,} or more,"
            " and geoloc bundle add takes fewer photos"
        )
    apart = hold_out(given.manifest.latlon)
    held = given.manifest.take(np.flatnonzero(apart))
    vectors = np.concatenate([np.asarray(each, np.float32) for each in given.blocks(apart)])
    kept = given.manifest.take(np.flatnonzero(~apart))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch,
            atomic_directory(out, replace=True) as folder,
        ):
            report.stage("building the gallery")
            gallery = build_large_gallery(
                kept, given.blocks(~apart), bundle.ranker.heads, bundle.cells, Path(scratch)
            )
            ranker = Ranker(bundle.cells, bundle.ranker.heads, gallery, UNFITTED, bundle.background)
            report.stage("calibrating")
            facts = _calibrate(folder / f"{own}json", ranker, bundle, held, vectors, kept)
            gallery.write(folder, own)
            _label(folder, out.name, bundle, path)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(f"{out}: cannot be written ({reason}); free some space") from error
    return GalleryPack(out, len(kept), len(gallery.clusters), facts)


def hold_out(latlon: Float64Array) -> BoolArray:
    """Return which photos (N,) are held out: whole squares of them, drawn at random."""
    square = np.unique(blocks(latlon, SQUARE_KM).astype(str), return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(int(square.max()) + 1)
    total = np.cumsum(np.bincount(square)[order])
    chosen = order[total <= min(HELD_OUT, HELD_OUT_SHARE * len(latlon))]
    if len(chosen) < 2 * FOLDS:
        raise TableError(
            f"the {len(latlon):,} photos lie in too few squares of {SQUARE_KM:g} km to hold"
            " any out; geoloc bundle add takes photos of few places"
        )
    return np.isin(square, chosen)


def _calibrate(
    path: Path,
    ranker: Ranker,
    bundle: bundles.Bundle,
    held: Manifest,
    vectors: Float32Array,
    kept: Manifest,
) -> dict[str, Any]:
    """Calibrate a pack on held-out photos and photos of elsewhere; write its settings."""
    square = np.unique(blocks(held.latlon, SQUARE_KM).astype(str), return_inverse=True)[1]
    fold = balanced(square, FOLDS, np.random.default_rng(0))
    rankers = [copy.copy(ranker) for _ in range(FOLDS)]
    held_out = _with_elsewhere(in_folds(rankers, fold, held, vectors), bundle.background)
    calibration, questions = calibrate(held_out)
    judge = calibration.judge("photo")
    joining, measured = fit_joining(held_out, questions.photo, judge, bundle.ranker)
    facts = {
        "photos": len(kept),
        "calibrated on": len(held),
        "licences": licences(kept),
        "measured": measured,
    }
    packs.write_settings(path, calibration, joining, facts)
    return measured


def _with_elsewhere(held_out: HeldOut, background: Background | None) -> HeldOut:
    """Return held-out photos with those that the bundle has of the rest of the world."""
    if background is None:
        return held_out
    rows = np.random.default_rng(0).permutation(len(background))[: len(held_out)]
    fold = rows % len(held_out.rankers)
    latlon = background.latlon[rows].astype(np.float64)
    more = {
        "ranker": fold,
        "embeddings": background.embeddings[rows],
        "latlon": latlon,
        "weights": np.ones(len(rows), np.float32),
        "collection": background.collection[rows],
        "place": place_names(latlon),
        "new": np.ones(len(rows), bool),
    }
    joined = {name: np.concatenate([getattr(held_out, name), part]) for name, part in more.items()}
    others = fold != np.arange(len(held_out.rankers))[:, None]
    return replace(held_out, apart=np.concatenate([held_out.apart, others], axis=1), **joined)


def _label(folder: Path, name: str, bundle: bundles.Bundle, path: Path) -> None:
    """Write what a pack belongs to, and the checksums of its files."""
    manifest = bundles.verify(path)
    values = {
        "pack": name,
        "encoder": bundle.encoder_spec.fingerprint,
        "belongs to": {file: manifest["sha256"][file] for file in _BELONGS},
        "sha256": {file.name: sha256(file) for file in sorted(folder.iterdir())},
    }
    (folder / LABEL).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def is_pack(folder: Path) -> bool:
    """Return whether a folder holds a pack."""
    return (folder / LABEL).is_file()


def add_pack(name: str | Path, folder: Path, out: Path | None = None) -> str:
    """Add a pack to a bundle; one of the same name is replaced. Return its name.

    Raises:
        BundleError: the pack is damaged, or belongs to a bundle of another encoder, other heads or
            other cells.
    """
    path = bundles.find(name)
    target = target_of(path, out)
    try:
        label = json.loads((folder / LABEL).read_text(encoding="utf-8"))
        pack, files = str(label["pack"]), dict(label["sha256"])
        encoder, belongs = label["encoder"], dict(label["belongs to"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder / LABEL}: damaged pack ({error}); fetch it again") from error
    own = packs.prefix(pack)
    check_files(folder, files)
    with alone(target):
        bundle = bundles.load(path)
        manifest = bundles.verify(path)
        if bundle.encoder_spec.fingerprint != encoder:
            raise BundleError(f"{folder}: made with another encoder than that of {path}")
        if any(manifest["sha256"][file] != belongs.get(file) for file in _BELONGS):
            raise BundleError(
                f"{folder}: made for another bundle than {path}; make it again with"
                f" geoloc-train gallery --base {name}"
            )
        for file, digest in files.items():
            if not file.startswith(own) or sha256(folder / file) != digest:
                raise BundleError(f"{folder / file}: damaged pack; fetch or make it again")
        with changing(path, target) as change:
            for file in packs.files_of(pack, list(change.manifest["sha256"])):
                change.remove(file)
            for file in files:
                shutil.copyfile(folder / file, change.file(file))
            packs.read(change.folder, files, bundle.ranker, bundle.background)
    return pack
