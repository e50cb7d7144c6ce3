"""Packs of a region: galleries of many embedded photos that are added to a bundle and removed."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.answer.calibration import Calibration
from geoloc.answer.packs.joined import Joining
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
from training.bundles.embeddings import Embeddings, read_embeddings
from training.bundles.finding import find_sources
from training.bundles.images import embed_images
from training.bundles.joining import fit_joining
from training.calibrate.crossval import in_folds
from training.calibrate.fit import UNFITTED
from training.calibrate.heldout import HeldOut
from training.calibrate.parts import place_names
from training.calibrate.stages import calibrate
from training.data.manifest import Manifest
from training.data.split import balanced, block_numbers
from training.gallery.large import build_large_gallery

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
    base: str | Path,
    sources: Sequence[str | Path],
    out: Path,
    report: Reporter | None = None,
    ray: str | None = None,
) -> GalleryPack:
    """Build a pack for a bundle of many photos or their embeddings, in bounded memory.

    Args:
        base: name of the bundle, or its path.
        sources: see `find_sources`.
        out: the folder to write; the pack has its name.
        report: receives the progress.
        ray: address of a Ray cluster that embeds photos, or "local"; None embeds in this process.

    Raises:
        TableError: the photos are too few, or of another encoder.
        BundleError: the bundle cannot be read, or the pack cannot be written.
    """
    report = report or NullReporter()
    packs.prefix(out.name)
    if out.exists() and not is_pack(out):
        raise BundleError(f"{out}: exists and is not a pack; choose another name for -o")
    path = bundles.find(base)
    bundle = bundles.load(path)
    work = out.with_name(f".{out.name}.embedded")
    tables = _embedded(find_sources(list(map(str, sources))), bundle, work, report, ray)
    report.stage("reading coordinates")
    given = read_embeddings(tables, bundle.encoder_spec.dim, report)
    if len(given.photos) < FEWEST:
        raise TableError(
            f"{sources[0]}: {len(given.photos):,} usable photos; a pack takes {FEWEST:,} or more,"
            " and geoloc bundle add takes fewer photos"
        )
    try:
        with atomic_directory(out, replace=True) as folder:
            made = _build(folder, out, given, bundle, report)
            _label(folder, out.name, bundle, path)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(f"{out}: cannot be written ({reason}); free some space") from error
    shutil.rmtree(work, ignore_errors=True)
    return made


def _embedded(
    sources: list[tuple[str, bool]],
    bundle: bundles.Bundle,
    work: Path,
    report: Reporter,
    ray: str | None,
) -> list[Path]:
    """Return the sources, with tables of embeddings instead of those with photos."""
    spec, tables = bundle.encoder_spec, []
    for holds_photos, some in groupby(sources, key=lambda source: source[1]):
        names = [name for name, _ in some]
        if holds_photos:
            tables += embed_images(names, spec, bundle.path, work, report, ray)
        else:
            tables += map(Path, names)
    return tables


def _build(
    folder: Path, out: Path, given: Embeddings, bundle: bundles.Bundle, report: Reporter
) -> GalleryPack:
    """Write the files of a pack but its label; features lie on the disk until it is built."""
    own = packs.prefix(out.name)
    report.stage("building the gallery")
    apart = hold_out(given.photos.latlon)
    kept, held = given.photos.take(np.flatnonzero(~apart)), given.photos.take(np.flatnonzero(apart))
    vectors: list[Float32Array] = []
    scratch = folder / "scratch"
    scratch.mkdir()
    blocks = given.blocks(~apart, vectors)
    gallery = build_large_gallery(kept, blocks, bundle.ranker.heads, bundle.cells, scratch)
    shutil.rmtree(scratch)
    gallery.write(folder, own)
    report.stage("calibrating")
    ranker = Ranker(bundle.cells, bundle.ranker.heads, gallery, UNFITTED, bundle.background)
    calibration, joining, measured = _calibrate(
        ranker, bundle, held.manifest(), np.concatenate(vectors)
    )
    facts = {
        "photos": len(kept),
        "calibrated on": len(held),
        "licences": {name: count for name, count in kept.licence.counts().items() if name},
        "measured": measured,
    }
    packs.write_settings(folder / f"{own}json", calibration, joining, facts)
    return GalleryPack(out, len(kept), len(gallery.clusters), measured)


def hold_out(latlon: Float64Array) -> BoolArray:
    """Return which photos (N,) are held out: whole squares of them, drawn at random."""
    square = block_numbers(latlon, SQUARE_KM)
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
    ranker: Ranker, bundle: bundles.Bundle, held: Manifest, vectors: Float32Array
) -> tuple[Calibration, Joining, dict[str, Any]]:
    """Calibrate a pack on held-out photos and photos of elsewhere."""
    square = block_numbers(held.latlon, SQUARE_KM)
    fold = balanced(square, FOLDS, np.random.default_rng(0))
    rankers = [copy.copy(ranker) for _ in range(FOLDS)]
    held_out = _with_elsewhere(in_folds(rankers, fold, held, vectors), bundle.background)
    calibration, questions = calibrate(held_out)
    judge = calibration.judge("photo")
    return calibration, *fit_joining(held_out, questions.photo, judge, bundle.ranker)


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
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(held_out, name), part]) for name, part in more.items()
    }
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
