"""Checks of bundles before they are trusted: plain files of known kinds, and shapes that fit.

A bundle holds data and no code. Nothing in it is unpickled, no name leads out of its folder, and a
bundle made elsewhere names no file of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.answer.ranker import Ranker
from geoloc.belief.background import Background
from geoloc.belief.heads import Heads
from geoloc.encoders.weight_files import LOCAL
from geoloc.errors import BundleError
from geoloc.retrieval.tables import members_file

FILE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
"""Allowed names of files in a bundle: no paths and no hidden files."""

KINDS = (".arrow", ".data", ".faiss", ".json", ".md", ".onnx", ".parquet", ".safetensors", ".txt")
"""Allowed endings of files in a bundle; ".data" are the plain numbers beside an ONNX network."""

CODE = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth", ".py", ".so")
"""Endings of files that may run code when they are loaded."""


def check_files(folder: Path, listed: Iterable[str]) -> None:
    """Check the files of a bundle before any of them is opened.

    Raises:
        BundleError: a name leads out of the folder, or a file may hold code.
    """
    for name in listed:
        if not FILE_NAME.fullmatch(name):
            raise BundleError(
                f"{folder}: bundle.json lists the file {name!r}, which is not a valid name; do not"
                " trust this bundle"
            )
        if not name.endswith(KINDS):
            raise BundleError(
                f"{folder / name}: bundles hold no files of this kind, which may contain code; do"
                " not trust this bundle"
            )
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise BundleError(
                f"{folder / name}: a link that leads out of the bundle; copy the file into it"
            )
    for path in sorted(folder.iterdir()):
        if path.name.lower().endswith(CODE):
            raise BundleError(
                f"{path}: may run code when it is loaded, and no bundle needs it; delete it, and do"
                " not trust who put it there"
            )


def check_foreign(folder: Path, manifest: dict[str, Any]) -> None:
    """Check that a bundle made on another machine names no file of this one.

    Args:
        folder: of the bundle.
        manifest: content of its bundle.json.

    Raises:
        BundleError: its encoder is a file or folder outside the bundle.
    """
    encoder = manifest.get("encoder")
    values = encoder if isinstance(encoder, dict) else {}
    for key in ("model", "weights"):
        text = str(values.get(key, ""))
        if text.startswith((LOCAL, "/", "~", ".", "\\")) or ".." in text or "://" in text:
            raise BundleError(
                f"{folder}: its encoder names {text!r}, which is not in the bundle; do not trust"
                " it, or ask its publisher for one with its own encoder"
            )


def check_heads(path: Path, dim: int, heads: Heads, cells: int) -> None:
    """Check that heads fit the encoder and the cells of their bundle.

    Args:
        path: of their file.
        dim: length of an embedding.
        heads: read from the file.
        cells: number of geocells.

    Raises:
        BundleError: they do not.
    """
    width = heads.projection.shape[-1]
    of_classifier = heads.weight.shape[0] if heads.weight.ndim == 2 else -1
    if len(heads.prior) != cells:
        raise _misfit(path, "it belongs to another cell table")
    if heads.projection.shape != (dim, width) or heads.mean.shape != (dim,):
        raise _misfit(path, "it belongs to another encoder")
    if (
        not 0 < of_classifier <= width
        or not heads.weight.shape[1:] == heads.bias.shape == heads.active.shape
        or not heads.prior.shape == heads.shift.shape == (cells,)
        or not _numbers(heads.active, cells)
    ):
        raise _misfit(path, "its tensors do not fit each other")


def check_gallery(folder: Path, ranker: Ranker, prefix: str = "") -> None:
    """Check that the gallery of a ranker fits its heads and cells.

    Args:
        folder: of the bundle.
        ranker: made of its files.
        prefix: of the names of the files of a pack.

    Raises:
        BundleError: it does not.
    """
    gallery, width = ranker.gallery, ranker.heads.projection.shape[-1]
    clusters, members = gallery.clusters, gallery.members
    fits = {
        "clusters.parquet": _numbers(clusters.cell, len(ranker.cells)) and _places(clusters.latlon),
        members_file(folder, prefix).name.removeprefix(prefix): (
            _numbers(members.cluster, len(clusters)) and _places(members.latlon)
        ),
        "prototypes.faiss": gallery.prototypes.d == width,
        "members.faiss": gallery.photos.d == width,
    }
    for name, fit in fits.items():
        if not fit:
            raise _misfit(folder / f"{prefix}{name}", "it does not fit the other files")


def read_background(path: Path, dim: int) -> Background:
    """Read the background of a bundle whose embeddings have the length `dim`.

    Raises:
        BundleError: the file is damaged, or its embeddings are of another encoder.
    """
    background = Background.read(path)
    count = len(background)
    if not (
        background.quantised.shape == (count, dim)
        and background.latlon.shape == (count, 2)
        and background.collection.shape == (count,)
    ):
        raise _misfit(path, "it belongs to another encoder, or its columns differ in length")
    return background


def _misfit(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: damaged bundle ({reason}); fetch or make it again")


def _numbers(rows: Any, count: int) -> bool:  # noqa: ANN401  (N,) of any integer type
    """Return whether all rows are numbers 0..count-1."""
    return len(rows) == 0 or bool(rows.min() >= 0 and rows.max() < count)


def _places(latlon: Any) -> bool:  # noqa: ANN401  (N, 2)
    """Return whether all coordinates are on the Earth, without a copy of those in a mapped file."""
    if not len(latlon):
        return True
    ends = np.stack([latlon.min(axis=0), latlon.max(axis=0)])  # NaN if one is
    return bool((np.abs(ends) <= (90.0, 180.0 + 1e-6)).all())
