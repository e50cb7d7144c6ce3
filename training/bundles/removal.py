"""Removal of added photos and packs from a bundle, by content, name, or pack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoloc.bundle import directory as bundles
from geoloc.bundle import packs
from geoloc.bundle.change import alone, changing, target_of
from geoloc.errors import BundleError
from geoloc.io.digests import sha256
from geoloc.photos.discover import photos_below
from geoloc.types import BoolArray
from training.bundles.own import OWN, rewrite, stored_photos
from training.embed.library import Library


def remove_from(
    name: str | os.PathLike[str], given: Sequence[str], out: Path | None = None
) -> tuple[int, int]:
    """Remove photos or packs from a bundle.

    Args:
        name: of the bundle, or its path.
        given: packs by name; photos by path (their content counts) or by the name of their file.
        out: the bundle to write; by default the bundle itself is replaced.

    Returns:
        Number of photos that were removed, and number of own photos that are left.

    Raises:
        BundleError: one of them is not in the bundle; nothing is removed then.
    """
    path = bundles.find(name)
    target = target_of(path, out)
    with alone(target):
        bundle = bundles.load(path)
        sizes = {pack.name: len(pack.ranker.gallery.members) for pack in bundle.packs}
        whole = [each for each in given if each in sizes]
        rest = [each for each in given if each not in sizes]
        if rest and (whole or OWN not in sizes):
            raise BundleError(
                f"{path}: {rest[0]} is not in this bundle"
                if OWN not in sizes
                else f"{path}: name either packs or photos to remove"
            )
        if whole:
            with changing(path, target) as change:
                for pack in whole:
                    for file in packs.files_of(pack, list(change.manifest["sha256"])):
                        change.remove(file)
            left = 0 if OWN in whole else sizes.get(OWN, 0)
            return sum(sizes[pack] for pack in whole), left
        stored = stored_photos(path)
        gone = _named(stored, rest, path)
        rewrite(bundle, path, target, stored.take(np.flatnonzero(~gone)))
    return int(gone.sum()), int((~gone).sum())


def _named(stored: Library, given: Sequence[str], bundle: Path) -> BoolArray:
    """Return which photos (N,) are meant; raises BundleError for one that is not there."""
    digests, names = stored.sha256.astype(str), stored.manifest.file.astype(str)
    gone = np.zeros(len(names), bool)
    for text in given:
        path = Path(text)
        if path.is_dir():
            found = np.isin(digests, [sha256(Path(each)) for each in photos_below(path)])
        else:
            found = digests == sha256(path) if path.is_file() else names == path.name
        if not found.any():
            raise BundleError(f"{bundle}: {text} is not among the photos added to this bundle")
        gone |= found
    return gone
