"""Own photos in a world bundle: learned with it, added and removed without training it again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.answer.packs.joined import Joining
from geoloc.answer.ranker import Ranker
from geoloc.bundle import directory as bundles
from geoloc.bundle import packs
from geoloc.bundle.change import Change, alone, changing, target_of
from geoloc.encoders.cache import default_cache
from geoloc.errors import BundleError, TableError
from geoloc.io.progress import NullReporter, Reporter
from geoloc.photos.tables import row_problem
from geoloc.retrieval.copies import Copies
from geoloc.retrieval.gallery import FILES
from geoloc.retrieval.tables import OLD_MEMBERS
from training.bundles.joining import fit_joining
from training.bundles.stored import joined, known, read_photos, write_photos
from training.calibrate.crossval import Validation, cross_validate, make_ranker
from training.data.split import assign_folds
from training.embed.library import Library, read_library
from training.gallery.cluster import build_gallery, cluster_photos
from training.recipes.model_card import licences

PathLike = str | os.PathLike[str]

OWN = "own"
"""Name of the pack of a user's own photos."""


@dataclass(frozen=True, eq=False)
class OwnPack:
    """A pack of own photos, ready to be written."""

    library: Library
    ranker: Ranker
    joining: Joining
    copies: Copies
    facts: dict[str, Any]
    """Number of photos, number that the calibration rests on, and what was measured."""

    def write(self, change: Change) -> None:
        """Write all files of the pack into a bundle, and count its licences."""
        own = packs.prefix(OWN)
        change.remove(f"{own}{OLD_MEMBERS}")
        for name in FILES:
            change.file(f"{own}{name}")
        self.ranker.gallery.write(change.folder, own)
        self.ranker.heads.write(change.file(f"{own}{packs.HEADS}"))
        self.copies.write(change.file(f"{own}{packs.COPIES}"))
        write_photos(change.file(f"{own}{packs.PHOTOS}"), self.library)
        facts = {**self.facts, "photos": len(self.library.manifest)}
        facts["licences"] = licences(self.library.manifest)
        packs.write_settings(
            change.file(f"{own}json"), self.ranker.calibration, self.joining, facts
        )


def fit_pack(bundle: bundles.Bundle, library: Library) -> tuple[OwnPack, Validation]:
    """Fit heads, gallery, calibration and joining on own photos, over the cells of a bundle."""
    from training.recipes.world_prior import collection_prior

    manifest, vectors = library.manifest, library.embeddings
    cells, world = bundle.cells, bundle.ranker.heads.prior
    use, background = collection_prior(cells, manifest.latlon, world), bundle.background
    fold = assign_folds(manifest, vectors)
    calibration, validation = cross_validate(
        manifest, vectors, fold, cells, world, prior_of_use=use, background=background
    )
    ranker = make_ranker(
        manifest, vectors, cells, world, calibration, prior_of_use=use, background=background
    )
    photos, judge = validation.questions.photo, calibration.judge("photo")
    joining, measured = fit_joining(validation.held_out, photos, judge, bundle.ranker)
    facts = {"calibrated on": len(manifest), "measured": measured}
    copies = copies_of(library, ranker, 1.0)  # recognises nothing until its threshold is fitted
    return OwnPack(library, ranker, joining, copies, facts), validation


def copies_of(library: Library, ranker: Ranker, threshold: float) -> Copies:
    """Return the signatures of the photos in the order of the gallery."""
    latlon = library.manifest.latlon
    order = np.argsort(cluster_photos(latlon, ranker.cells.locate(latlon)), kind="stable")
    precision_km = library.manifest.precision_km[order].astype(np.float32)
    return Copies(library.signatures[order], precision_km, np.array([threshold], np.float32))


def learn_with(
    base: PathLike,
    photos: Sequence[PathLike],
    out: Path | None,
    *,
    force: bool = False,
    cache: Path | None = None,
    report: Reporter | None = None,
) -> OwnPack:
    """Add own geotagged photos to a bundle: world knowledge and personal places in one answer.

    Photos that the bundle has in its pack already are learned again, with the new ones.

    Args:
        base: name of the bundle, or its path.
        photos: folders of photos with GPS, or tables; see `training.data.manifest.read`.
        out: the bundle to write; None to change the bundle itself.
        force: learn from fewer photos than `training.recipes.learn` asks for.
        cache: folder of cached embeddings; by default the user's cache folder.
        report: receives the progress.

    Raises:
        TableError: there are too few usable photos, or a table is unusable.
        BundleError: the bundle cannot be read or written.
    """
    from training.recipes.learn import check_size, fit_recognition

    report = report or NullReporter()
    path = bundles.find(base)
    target = target_of(path, out)
    with alone(target):
        bundle = bundles.load(path)
        library = _read(bundle, photos, cache, report)
        if OWN in (pack.name for pack in bundle.packs):
            library = joined([stored_photos(path), library])
        check_size(photos, library.manifest, force, report)
        if bundle.background is None:
            report.note(
                f"{base}: has no photos of elsewhere, so own places are told from others by photos"
                " of your own places only"
            )
        report.stage("training and calibrating")
        pack, validation = fit_pack(bundle, library)
        fold = assign_folds(library.manifest, library.embeddings)
        preprocessing = bundle.encoder_spec.preprocessing
        copies = fit_recognition(library, fold, pack.ranker, validation, preprocessing)
        pack = replace(pack, copies=copies)
        report.stage("writing the bundle")
        with changing(path, target) as change:
            pack.write(change)
    return pack


def add_photos(
    name: PathLike,
    photos: Sequence[PathLike],
    out: Path | None = None,
    *,
    cache: Path | None = None,
    report: Reporter | None = None,
) -> tuple[int, int]:
    """Add photos to the pack of a bundle, without training: they become members at once.

    Heads and calibration stay as they were learned. A bundle without a pack learns one.

    Returns:
        Number of photos that were added, and number of photos in the pack.

    Raises: TableError, BundleError: as for `learn_with`.
    """
    report = report or NullReporter()
    path = bundles.find(name)
    target = target_of(path, out)
    bundle = bundles.load(path)
    if OWN not in (pack.name for pack in bundle.packs):
        count = len(learn_with(name, photos, out, cache=cache, report=report).library.manifest)
        return count, count
    with alone(target):
        new = _read(bundle, photos, cache, report)
        stored = stored_photos(path)
        again = known(new, stored.sha256)
        if again.any():
            text = "are in the bundle already"
            named = ", ".join(str(os.fspath(each)) for each in photos)
            report.note(row_problem(named, new.manifest.file, again, text, "photos"))
        fresh = new.take(np.flatnonzero(~again))
        if len(fresh.manifest):
            report.stage("writing the bundle")
            rewrite(bundle, path, target, joined([stored, fresh]))
    return len(fresh.manifest), len(fresh.manifest) + len(stored.manifest)


def rewrite(bundle: bundles.Bundle, path: Path, target: Path, library: Library) -> None:
    """Write a bundle whose pack has other photos; no photos remove the pack."""
    (pack,) = (each for each in bundle.packs if each.name == OWN)
    with changing(path, target) as change:
        if not len(library.manifest):
            for name in packs.files_of(OWN, list(change.manifest["sha256"])):
                change.remove(name)
            return
        ranker = pack.ranker
        features = ranker.heads.features(library.embeddings)
        gallery = build_gallery(library.manifest, features, ranker.cells)
        threshold = 1.0 if pack.copies is None else float(pack.copies.threshold[0])
        changed = Ranker(ranker.cells, ranker.heads, gallery, ranker.calibration)
        settings = packs.settings(path, OWN)
        facts = {key: settings[key] for key in ("calibrated on", "measured")}
        copies = copies_of(library, changed, threshold)
        OwnPack(library, changed, pack.joining, copies, facts).write(change)


def stored_photos(path: Path) -> Library:
    """Return the photos of the pack of a bundle; raises BundleError if there is none."""
    file = path / f"{packs.prefix(OWN)}{packs.PHOTOS}"
    if not file.is_file():
        raise BundleError(f"{path}: no photos were added to this bundle; geoloc bundle add does it")
    return read_photos(file)


def _read(
    bundle: bundles.Bundle, photos: Sequence[PathLike], cache: Path | None, report: Reporter
) -> Library:
    library = read_library(photos, bundle.build_encoder(), cache or default_cache(), report)
    if not len(library.manifest):
        named = ", ".join(str(os.fspath(each)) for each in photos)
        raise TableError(
            f"{named}: no readable photo with coordinates; give photos with GPS, or a table with"
            " the columns file, lat, lon"
        )
    return library
